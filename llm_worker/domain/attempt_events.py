"""What is told of attempts: that they begin, how they failed, what they cost."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid5

from llm_worker.contracts.events import (
    LLMCostTrackingV1,
    LLMProviderFailureV1,
    LLMRequestStartedV1,
)
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.errors import ProviderError
from llm_worker.domain.event import Event
from llm_worker.domain.outcome import BreakerMove
from llm_worker.domain.results import SERVICE
from llm_worker.domain.verdict import Billing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from llm_worker.contracts.envelope import WireModel
    from llm_worker.domain.outcome import Attempt, FinishedAttempt
    from llm_worker.domain.request import ComparisonRequest


def started_event(request: ComparisonRequest, attempt: Attempt) -> Event:
    """Say that an attempt begins."""
    target = attempt.target
    data = LLMRequestStartedV1(
        provider=target.provider,
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


def attempt_events(
    request: ComparisonRequest, attempts: Sequence[FinishedAttempt], *, is_superseded: bool = False
) -> Iterator[Event]:
    """Tell how each attempt failed, and what each cost or may have cost.

    `is_superseded`: another process's verdict was first, and the one that was bought here is
    thrown away.
    """
    for finished in attempts:
        outcome = "superseded" if is_superseded else "success"
        if isinstance(finished.ending, ProviderError):
            outcome = "failure"
            yield _failure_event(request, finished, finished.ending)
        if finished.billing is not None:
            yield _cost_event(request, finished, finished.billing, outcome)


def lost_attempt_event(request: ComparisonRequest, attempt: Attempt) -> Event:
    """Say that nobody knows how an attempt ended, nor what it cost.

    Whoever finds it says the same: the event is made of what was noted before the call.
    """
    data = _cost_data(
        request,
        attempt,
        Billing(),
        response_time_ms=0,
        outcome="unknown",
        metadata={"provider_request_id": None},
    )
    return _of_attempt(request, attempt, TopicName.COST_TRACKING, attempt.started_at, data)


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


def _cost_event(
    request: ComparisonRequest, finished: FinishedAttempt, billing: Billing, outcome: str
) -> Event:
    data = _cost_data(
        request,
        finished.attempt,
        billing,
        response_time_ms=finished.response_time_ms,
        outcome=outcome,
        metadata={"provider_request_id": finished.ending.facts.provider_request_id},
    )
    return _of_attempt(request, finished.attempt, TopicName.COST_TRACKING, finished.ended_at, data)


def _cost_data(
    request: ComparisonRequest,
    attempt: Attempt,
    billing: Billing,
    *,
    response_time_ms: int,
    outcome: str,
    metadata: dict[str, Any],
) -> LLMCostTrackingV1:
    return LLMCostTrackingV1(
        correlation_id=request.correlation_id,
        provider=attempt.target.provider,
        model=attempt.target.model,
        cost_estimate_usd=billing.cost_usd or Decimal(0),
        cost_known=billing.cost_usd is not None,
        token_usage=billing.usage.counts(),
        cached=False,
        user_id=request.asked.user_id,
        organization_id=request.asked.organization_id,
        service_name=SERVICE,
        request_timestamp=request.requested_at,
        response_time_ms=response_time_ms,
        attempt=attempt.number,
        outcome=outcome,
        metadata={
            "lane": request.delivery.lane,
            "request_id": str(request.request_id),
            "sent": True,
            **metadata,
            **({"repair": True} if attempt.repair else {}),
        },
    )


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
