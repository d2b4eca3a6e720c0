"""The request for one comparison."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from llm_worker.contracts.envelope import Unit, UtcDatetime, WireModel
from llm_worker.contracts.vocabulary import ProviderName


class ReasoningEffort(StrEnum):
    """How hard a reasoning model should think."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class OutputVerbosity(StrEnum):
    """How long the answer should be."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class CacheMode(StrEnum):
    """What the cache may do for a request."""

    USE = "use"
    REFRESH = "refresh"
    BYPASS = "bypass"


class LLMConfigOverrides(WireModel):
    """What this request wants otherwise than the worker's defaults."""

    provider_override: ProviderName | None = Field(
        default=None, description="Ask this provider and no other."
    )
    model_override: str | None = Field(
        default=None, min_length=1, max_length=256, description="Ask this model and no other."
    )
    temperature_override: float | None = Field(
        default=None,
        ge=0,
        le=2,
        description="Sampling temperature: 0 the steadiest, 2 the wildest.",
    )
    system_prompt_override: str | None = Field(
        default=None, description="Replaces the worker's system prompt."
    )
    max_tokens_override: Annotated[int | None, Unit("tokens")] = Field(
        default=None, gt=0, description="Most tokens that the answer may have."
    )
    reasoning_effort: ReasoningEffort | None = Field(
        default=None, description="How hard a reasoning model should think."
    )
    output_verbosity: OutputVerbosity | None = Field(
        default=None, description="How long the answer should be."
    )


class LLMComparisonRequestV1(WireModel):
    """Ask which of two essays is better, why, and how sure."""

    user_prompt: str = Field(
        description="The comparison prompt, not blank; may already contain both essays.",
        json_schema_extra={"pattern": r"\S"},
    )
    essay_a: str | None = Field(
        default=None, description="The first essay; with essay_b it is put into the prompt."
    )
    essay_b: str | None = Field(default=None, description="The second essay; both or neither.")
    callback_topic: str | None = Field(
        default=None, description="Reply topic; must match the worker's allowed patterns."
    )
    llm_config_overrides: LLMConfigOverrides | None = Field(
        default=None, description="What is wanted otherwise than the worker's defaults."
    )
    correlation_id: UUID | None = Field(
        default=None, description="Where given it must agree with the envelope's."
    )
    user_id: str | None = Field(
        default=None, max_length=256, description="For cost attribution and budgets."
    )
    organization_id: str | None = Field(
        default=None, max_length=256, description="For cost attribution and budgets."
    )
    metadata: dict[str, Any] = Field(
        default_factory=dict,
        description="Opaque; echoed verbatim in the result's `request_metadata`.",
    )
    cache_mode: CacheMode = Field(
        default=CacheMode.USE,
        description="use: read and write; refresh: write only; bypass: neither.",
    )
    replicate: int = Field(
        default=0, ge=0, description="Asks for an independent draw of the same comparison."
    )
    not_after: UtcDatetime | None = Field(
        default=None,
        description="After this the answer is TIMEOUT and nothing is spent; UTC without an offset.",
    )

    @field_validator("user_prompt")
    @classmethod
    def _has_words(cls, prompt: str) -> str:
        if not prompt.strip():
            raise ValueError("is blank; say what is to be compared")
        return prompt

    @model_validator(mode="after")
    def _has_both_essays_or_neither(self) -> Self:
        if (self.essay_a is None) != (self.essay_b is None):
            raise ValueError("essay_a and essay_b go together: send both, or neither")
        return self
