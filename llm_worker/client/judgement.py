"""What comes of a comparison, the same over Kafka and over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from llm_worker.client.failures import error_of
from llm_worker.contracts.http import ComparisonAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from llm_worker.contracts.result import LLMComparisonResultV1, TokenUsage
    from llm_worker.contracts.vocabulary import ProviderName, Winner


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict, who gave it and what it cost.

    Attributes:
        winner: The better essay.
        justification: Why, in at most 500 characters.
        confidence: 1 unsure to 5 sure.
        provider: Who judged.
        model: Which of the provider's models.
        cached: Whether the verdict had been bought before.
        cost_usd: US dollars over all attempts; None: unknown, not zero.
        token_usage: Tokens over all attempts.
        response_time_ms: Milliseconds from the request's arrival at a worker to its answer.
        correlation_id: Joins the request with its events.
        trace_id: Of the W3C trace, where the request had one.
        metadata: The request's, with `prompt_sha256`, and more (docs/contracts.md).
    """

    winner: Winner
    justification: str
    confidence: float
    provider: ProviderName
    model: str
    cached: bool
    cost_usd: Decimal | None
    token_usage: TokenUsage
    response_time_ms: int
    correlation_id: UUID
    trace_id: str | None
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, answer: LLMComparisonResultV1 | ComparisonAnswer) -> Judgement:
        """Read a result, or an HTTP answer.

        Raises:
            ComparisonError: It is an error result.
        """
        if isinstance(answer, ComparisonAnswer):
            return cls._read(answer, answer.metadata)
        error = error_of(answer)
        if error is not None:
            raise error
        # A result without an error has all that an answer has.
        verdict = ComparisonAnswer.model_construct(None, **dict(answer))
        return cls._read(verdict, answer.request_metadata)

    @classmethod
    def _read(cls, answer: ComparisonAnswer, metadata: Mapping[str, Any]) -> Judgement:
        return cls(
            winner=answer.winner,
            justification=answer.justification,
            confidence=answer.confidence,
            provider=answer.provider,
            model=answer.model,
            cached=answer.cached,
            cost_usd=Decimal(str(answer.cost_estimate)) if answer.cost_known else None,
            token_usage=answer.token_usage,
            response_time_ms=answer.response_time_ms,
            correlation_id=answer.correlation_id,
            trace_id=answer.trace_id,
            metadata=metadata,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BothOrders:
    """The verdicts on one pair in both orders: whoever favours a place contradicts itself.

    Attributes:
        ab: The verdict on the essays as they were given.
        ba: The verdict with the essays swapped; its Essay A is the essay_b of the call.
    """

    ab: Judgement
    ba: Judgement

    @property
    def winner(self) -> Winner | None:
        """The better essay as the call names them; None: a tie, the orders disagree."""
        return self.ab.winner if self.ab.winner is not self.ba.winner else None

    @property
    def is_tie(self) -> bool:
        """Whether the two orders disagree."""
        return self.winner is None

    @property
    def justifications(self) -> tuple[str, str]:
        """Why, as they were given: the second one speaks of the swapped essays."""
        return self.ab.justification, self.ba.justification

    @property
    def cost_usd(self) -> Decimal | None:
        """US dollars of both; None where one is unknown."""
        if self.ab.cost_usd is None or self.ba.cost_usd is None:
            return None
        return self.ab.cost_usd + self.ba.cost_usd
