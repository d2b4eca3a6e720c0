"""The answer to one comparison request: a verdict or an error."""

from __future__ import annotations

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from llm_worker.contracts.envelope import Milliseconds, Tokens, Unit, UtcDatetime, WireModel
from llm_worker.contracts.vocabulary import ErrorCode, ProviderName, Winner

JUSTIFICATION_LIMIT = 500
"""Characters of a justification on the wire."""


class TokenUsage(WireModel):
    """Tokens as the provider counted them, over all attempts of the request."""

    prompt_tokens: Tokens = Field(default=0, ge=0, description="Tokens sent.")
    completion_tokens: Tokens = Field(default=0, ge=0, description="Tokens answered.")
    total_tokens: Tokens = Field(default=0, ge=0, description="Tokens in all.")


class ErrorDetail(WireModel):
    """What went wrong, for a program and for a person. Never holds prompt text or a key."""

    error_code: ErrorCode = Field(description="Why there is no verdict, for a program.")
    message: str = Field(description="Names the field or the cause, and the remedy.")
    correlation_id: UUID = Field(description="The request's.")
    timestamp: UtcDatetime = Field(description="When it was given up, UTC.")
    service: str = Field(description="The service that gave up.")
    operation: str = Field(description="What it was doing.")
    details: dict[str, Any] = Field(
        default_factory=dict,
        description="provider, model, http_status, retry_after, is_retryable, errors per target.",
    )
    stack_trace: None = Field(default=None, description="Always null; kept for its readers.")
    trace_id: str | None = Field(
        default=None, description="W3C trace id, 32 hex digits; null when not traced."
    )
    span_id: str | None = Field(
        default=None, description="W3C span id, 16 hex digits; null when not traced."
    )


class LLMComparisonResultV1(WireModel):
    """Exactly one of a verdict (winner, justification, confidence) or error_detail."""

    request_id: str = Field(description="The request's event id.")
    correlation_id: UUID = Field(description="The request's; also the record's key.")
    winner: Winner | None = Field(default=None, description="The better essay; null in an error.")
    justification: str | None = Field(
        default=None,
        max_length=JUSTIFICATION_LIMIT,
        description="Why; a longer one was cut at a word and ends with an ellipsis. "
        "Null in an error.",
    )
    confidence: float | None = Field(
        default=None, ge=1, le=5, description="1 unsure, 5 sure; null in an error."
    )
    error_detail: ErrorDetail | None = Field(
        default=None, description="Why there is no verdict; null in a verdict."
    )
    provider: ProviderName = Field(
        description="Who judged; where nobody was asked, who would have been asked first."
    )
    model: str = Field(description="The provider's name of the model.")
    response_time_ms: Milliseconds = Field(
        ge=0, description="Milliseconds from the request's arrival to its answer."
    )
    token_usage: TokenUsage = Field(description="Tokens over all attempts of the request.")
    cost_estimate: Annotated[float, Unit("USD")] = Field(
        ge=0, description="USD; 0.0 with cost_known false is unknown."
    )
    cost_known: bool = Field(description="False: the cost is unknown, not zero.")
    cached: bool = Field(description="Whether the verdict had been bought before.")
    attempts: Annotated[int, Unit("calls")] = Field(
        ge=0, description="Calls made to providers for this request."
    )
    requested_at: UtcDatetime = Field(description="The request's event_timestamp, UTC.")
    completed_at: UtcDatetime = Field(description="When the answer was ready, UTC.")
    trace_id: str | None = Field(
        default=None, description="W3C trace id, 32 hex digits; null when not traced."
    )
    request_metadata: dict[str, Any] = Field(
        description="The request's metadata, with `prompt_sha256` of the exact prompt sent; of a "
        "cached verdict `bought_by`, the correlation id that paid; `adjustments`."
    )

    @model_validator(mode="after")
    def _is_verdict_or_error(self) -> Self:
        verdict = (self.winner, self.justification, self.confidence)
        if self.error_detail is None and None in verdict:
            raise ValueError("winner, justification and confidence are needed without error_detail")
        if self.error_detail is not None and verdict != (None, None, None):
            raise ValueError("a result is a verdict or an error, not both")
        return self
