"""A verdict, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from llm_worker.contracts.result import JUSTIFICATION_LIMIT, TokenUsage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llm_worker.contracts.vocabulary import Winner

_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which essay is better, why, and how sure: `confidence` 0..1."""

    winner: Winner
    justification: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one attempt, as the provider counted them; None is unknown.

    `prompt_tokens` includes what was read from and written to the provider's cache,
    `completion_tokens` includes reasoning.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    """The part of `cache_write_tokens` that is kept, and priced, for an hour (Anthropic)."""

    def counts(self) -> dict[str, int]:
        """Tokens by kind, with their total where it is known; unknown kinds are left out."""
        counts = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total(),
            "cache_read_tokens": self.cache_read_tokens,
            "cache_write_tokens": self.cache_write_tokens,
            "reasoning_tokens": self.reasoning_tokens,
        }
        return {kind: count for kind, count in counts.items() if count is not None}

    def total(self) -> int | None:
        """All tokens, None where they are unknown."""
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Billing:
    """What an attempt used and cost; `cost_usd` None is unknown, never zero."""

    usage: Usage = field(default_factory=Usage)
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedLimit:
    """How much of a limit is left, as the provider's headers say.

    `per_minute` is the limit, `remaining` what is left of it, `reset_s` the seconds until it is
    full again; None is untold.
    """

    kind: LimitKind
    per_minute: int | None
    remaining: int | None
    reset_s: float | None


class LimitKind(StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What is known of a call beside its answer.

    `adjustments` are parameters that were asked for and left out, each with its reason in words.
    `provider_request_id` names the call to the provider's support, `response_id` the answer;
    `finish_reason` is why the model stopped, in the words of OpenTelemetry's conventions.
    """

    provider_request_id: str | None = None
    http_status: int | None = None
    limits: tuple[ReportedLimit, ...] = ()
    adjustments: tuple[str, ...] = ()
    response_id: str | None = None
    finish_reason: str | None = None


NO_FACTS = CallFacts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A provider's usable answer; `model` is the one that answered."""

    verdict: Verdict
    model: str
    billing: Billing
    facts: CallFacts = NO_FACTS


def wire_confidence(confidence: float) -> float:
    """Map 0..1 to the wire's 1..5, clamped."""
    return min(5.0, max(1.0, 1.0 + 4.0 * confidence))


def own_confidence(confidence: float) -> float:
    """Map the wire's 1..5 back to 0..1."""
    return (confidence - 1) / 4


def cut_at_word(text: str, limit: int = JUSTIFICATION_LIMIT) -> str:
    """Shorten `text` to `limit` characters, at a word, with an ellipsis."""
    if len(text) <= limit:
        return text
    words = text[: limit - 1].rsplit(None, 1)
    return (words[0] if words else "") + _ELLIPSIS


def total_cost(billings: Iterable[Billing]) -> Decimal | None:
    """Add up; None as soon as one cost is unknown."""
    total = Decimal(0)
    for billing in billings:
        if billing.cost_usd is None:
            return None
        total += billing.cost_usd
    return total


def total_usage(billings: Iterable[Billing]) -> TokenUsage:
    """Add up what is known."""
    usages = [billing.usage for billing in billings]
    prompt = sum(usage.prompt_tokens or 0 for usage in usages)
    completion = sum(usage.completion_tokens or 0 for usage in usages)
    return TokenUsage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
    )
