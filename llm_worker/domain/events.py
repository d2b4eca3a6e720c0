"""Which events an outcome gives rise to, and under which ids.

An event of the request is uuid5(request, kind), one of an attempt uuid5(attempt, kind): published
again it has its old id, and a second purchase has a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, assert_never
from uuid import uuid5

from llm_worker.contracts.events import (
    LLMCostTrackingV1,
    LLMProviderFailureV1,
    LLMRequestCompletedV1,
    LLMRequestStartedV1,
)
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.errors import ProviderError
from llm_worker.domain.outcome import BreakerMove, Completed, Failed, Rejected
from llm_worker.domain.results import SERVICE, completed_result, failed_result, rejected_result
from llm_worker.domain.verdict import total_cost, total_usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from llm_worker.contracts.envelope import WireModel
    from llm_worker.contracts.result import LLMComparisonResultV1
    from llm_worker.domain.delivery import Delivery
    from llm_worker.domain.errors import WorkerError
    from llm_worker.domain.outcome import Attempt, FinishedAttempt, Outcome
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Billing


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event to publish; `reply_topic` None means the topic's own name."""

    topic: TopicName
    event_id: UUID
    correlation_id: UUID
    timestamp: datetime
    data: WireModel
    trace: dict[str, str]
    reply_topic: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A delivery to set aside as it came, with the reason."""

    delivery: Delivery
    error: WorkerError
    attempts: int
    spent_usd: Decimal | None
    timestamp: datetime


def started_event(request: ComparisonRequest, attempt: Attempt) -> Event:
    """Say that an attempt begins."""
    target = attempt.target
    data = LLMRequestStartedV1(
        provider=target.provider,
        request_type="comparison",
        correlation_id=request.correlation_id,
        user_id=request.asked.user_id,
        metadata={
            "model": target.model,
            "attempt": attempt.number,
            "request_id": str(request.request_id),
            **({"circuit_breaker": "half_open"} if attempt.is_probe else {}),
            **({"repair": True} if attempt.repair else {}),
        },
    )
    return _of_attempt(request, attempt, TopicName.REQUEST_STARTED, attempt.started_at, data)


def events_of(outcome: Outcome) -> Iterator[Event | DeadLetter]:
    """Every event of an outcome but the starts of its attempts; the result comes last."""
    match outcome:
        case Completed():
            yield from attempt_events(outcome.request, outcome.attempts)
            yield _completed_event(outcome)
            yield result_event(outcome, completed_result(outcome))
        case Failed():
            yield from attempt_events(outcome.request, outcome.attempts)
            yield _completed_event(outcome)
            yield _dead_letter(outcome)
            yield result_event(outcome, failed_result(outcome))
        case Rejected():
            yield _rejection(outcome)
        case _:
            assert_never(outcome)


def attempt_events(
    request: ComparisonRequest, attempts: Sequence[FinishedAttempt]
) -> Iterator[Event]:
    """Tell how each attempt failed, and what each cost or may have cost."""
    for finished in attempts:
        if isinstance(finished.ending, ProviderError):
            yield _failure_event(request, finished, finished.ending)
        if finished.billing is not None:
            yield _cost_event(request, finished, finished.billing)


def result_event(outcome: Completed | Failed, result: LLMComparisonResultV1) -> Event:
    """Address a result to where the caller wants it."""
    request = outcome.request
    return Event(
        topic=TopicName.COMPARISON_RESULT,
        event_id=uuid5(request.event_namespace, TopicName.COMPARISON_RESULT),
        correlation_id=request.correlation_id,
        timestamp=outcome.completed_at,
        data=result,
        trace=request.trace,
        reply_topic=request.asked.callback_topic,
    )


def _rejection(outcome: Rejected) -> Event | DeadLetter:
    if outcome.correlation_id is None:
        return DeadLetter(
            delivery=outcome.delivery,
            error=outcome.error,
            attempts=0,
            spent_usd=Decimal(0),
            timestamp=outcome.completed_at,
        )
    return Event(
        topic=TopicName.COMPARISON_RESULT,
        event_id=uuid5(outcome.event_namespace, TopicName.COMPARISON_RESULT),
        correlation_id=outcome.correlation_id,
        timestamp=outcome.completed_at,
        data=rejected_result(outcome, outcome.correlation_id),
        trace={},
        reply_topic=outcome.reply_topic,
    )


def _failure_event(
    request: ComparisonRequest, finished: FinishedAttempt, error: ProviderError
) -> Event:
    attempt = finished.attempt
    data = LLMProviderFailureV1(
        provider=attempt.target.provider,
        failure_type=error.failure,
        correlation_id=request.correlation_id,
        error_details=error.message,
        circuit_breaker_opened=finished.breaker_move is BreakerMove.OPENED,
        metadata={
            "model": attempt.target.model,
            "http_status": error.facts.http_status,
            "attempt": attempt.number,
            "retry_after": error.retry_after_s,
            "sent": error.is_sent,
            "provider_request_id": error.facts.provider_request_id,
            "request_id": str(request.request_id),
        },
    )
    return _of_attempt(request, attempt, TopicName.PROVIDER_FAILURE, finished.ended_at, data)


def _cost_event(request: ComparisonRequest, finished: FinishedAttempt, billing: Billing) -> Event:
    attempt, cost_usd = finished.attempt, billing.cost_usd
    data = LLMCostTrackingV1(
        correlation_id=request.correlation_id,
        provider=attempt.target.provider,
        model=attempt.target.model,
        request_type="comparison",
        cost_estimate_usd=cost_usd or Decimal(0),
        cost_known=cost_usd is not None,
        token_usage=billing.usage.counts(),
        cached=False,
        cache_cost_savings_usd=Decimal(0),
        user_id=request.asked.user_id,
        organization_id=request.asked.organization_id,
        service_name=SERVICE,
        request_timestamp=request.requested_at,
        response_time_ms=finished.response_time_ms,
        attempt=attempt.number,
        outcome="failure" if isinstance(finished.ending, ProviderError) else "success",
        metadata={
            "lane": request.delivery.lane,
            "request_id": str(request.request_id),
            "sent": True,
            "provider_request_id": finished.ending.facts.provider_request_id,
            **({"repair": True} if attempt.repair else {}),
        },
    )
    return _of_attempt(request, attempt, TopicName.COST_TRACKING, finished.ended_at, data)


def _of_attempt(
    request: ComparisonRequest,
    attempt: Attempt,
    topic: TopicName,
    timestamp: datetime,
    data: WireModel,
) -> Event:
    return Event(
        topic=topic,
        event_id=uuid5(attempt.attempt_id, topic),
        correlation_id=request.correlation_id,
        timestamp=timestamp,
        data=data,
        trace=request.trace,
    )


def _completed_event(outcome: Completed | Failed) -> Event:
    request, billings = outcome.request, outcome.billings
    data = LLMRequestCompletedV1(
        provider=outcome.target.provider,
        request_type="comparison",
        correlation_id=request.correlation_id,
        success=isinstance(outcome, Completed),
        response_time_ms=outcome.response_time_ms,
        error_message=outcome.error.message if isinstance(outcome, Failed) else None,
        token_usage=total_usage(billings),
        cost_estimate=total_cost(billings) or Decimal(0),
        metadata={
            "cached": isinstance(outcome, Completed) and not outcome.attempts,
            "model": outcome.target.model,
            "attempts": len(outcome.attempts),
            "cost_known": total_cost(billings) is not None,
            "request_id": str(request.request_id),
            **({"circuit_breaker_closed": True} if _closed_a_breaker(outcome) else {}),
        },
    )
    return Event(
        topic=TopicName.REQUEST_COMPLETED,
        event_id=uuid5(request.event_namespace, TopicName.REQUEST_COMPLETED),
        correlation_id=request.correlation_id,
        timestamp=outcome.completed_at,
        data=data,
        trace=request.trace,
    )


def _closed_a_breaker(outcome: Completed | Failed) -> bool:
    return any(each.breaker_move is BreakerMove.CLOSED for each in outcome.attempts)


def _dead_letter(outcome: Failed) -> DeadLetter:
    return DeadLetter(
        delivery=outcome.request.delivery,
        error=outcome.error,
        attempts=len(outcome.attempts),
        spent_usd=total_cost(outcome.billings),
        timestamp=outcome.completed_at,
    )
