"""Which events an outcome gives rise to, and under which ids.

An event of the request is uuid5(request, kind), one of an attempt uuid5(attempt, kind): published
again it has its old id, and a second purchase has a new one.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, assert_never
from uuid import uuid5

from llm_worker.contracts.events import (
    LLMCacheHitV1,
    LLMCacheMissV1,
    LLMCostTrackingV1,
    LLMRequestCompletedV1,
)
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.attempt_events import attempt_events
from llm_worker.domain.event import DeadLetter, Event
from llm_worker.domain.outcome import BreakerMove, Completed, Failed, Rejected
from llm_worker.domain.results import SERVICE, completed_result, failed_result, rejected_result
from llm_worker.domain.verdict import total_cost, total_usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_worker.contracts.envelope import WireModel
    from llm_worker.contracts.result import LLMComparisonResultV1
    from llm_worker.domain.cached import CacheHit
    from llm_worker.domain.outcome import Outcome


def events_of(outcome: Outcome) -> Iterator[Event | DeadLetter]:
    """Every event of an outcome but the starts of its attempts; the result comes last."""
    match outcome:
        case Completed():
            yield from _before_the_result(outcome)
            yield result_event(outcome, completed_result(outcome))
        case Failed():
            yield from _before_the_result(outcome)
            yield _dead_letter(outcome)
            yield result_event(outcome, failed_result(outcome))
        case Rejected():
            yield _rejection(outcome)
        case _:
            assert_never(outcome)


def result_event(outcome: Completed | Failed, result: LLMComparisonResultV1) -> Event:
    """Address a result to where the caller wants it."""
    event = _of_request(outcome, TopicName.COMPARISON_RESULT, result)
    return replace(event, reply_topic=outcome.request.asked.callback_topic)


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
        trace=outcome.trace,
        reply_topic=outcome.reply_topic,
    )


def _before_the_result(outcome: Completed | Failed) -> Iterator[Event]:
    yield from attempt_events(outcome.request, outcome.attempts)
    yield from _cache_events(outcome)
    yield _completed_event(outcome)


def _cache_events(outcome: Completed | Failed) -> Iterator[Event]:
    request = outcome.request
    if outcome.is_cache_miss:
        missed = LLMCacheMissV1(
            provider=outcome.target.provider,
            model=outcome.target.model,
            correlation_id=request.correlation_id,
            metadata={"request_id": str(request.request_id)},
        )
        yield _of_request(outcome, TopicName.CACHE_MISS, missed)
    if isinstance(outcome, Completed) and outcome.hit is not None:
        yield _of_request(outcome, TopicName.COST_TRACKING, _savings(outcome, outcome.hit))
        yield _of_request(outcome, TopicName.CACHE_HIT, _hit(outcome, outcome.hit))


def _savings(outcome: Completed, hit: CacheHit) -> LLMCostTrackingV1:
    request, verdict = outcome.request, hit.verdict
    return LLMCostTrackingV1(
        correlation_id=request.correlation_id,
        provider=outcome.target.provider,
        model=outcome.target.model,
        cost_estimate_usd=Decimal(0),
        cost_known=True,
        token_usage={},
        cached=True,
        cache_cost_savings_usd=verdict.saved_usd,
        user_id=request.asked.user_id,
        organization_id=request.asked.organization_id,
        service_name=SERVICE,
        request_timestamp=request.requested_at,
        response_time_ms=outcome.response_time_ms,
        attempt=0,
        outcome="cached",
        metadata={
            "lane": request.delivery.lane,
            "request_id": str(request.request_id),
            "bought_by": str(verdict.bought_by),
            "savings_known": verdict.completion.billing.cost_usd is not None,
        },
    )


def _hit(outcome: Completed, hit: CacheHit) -> LLMCacheHitV1:
    return LLMCacheHitV1(
        provider=outcome.target.provider,
        model=outcome.target.model,
        correlation_id=outcome.request.correlation_id,
        cache_tier=hit.tier,
        bought_by=hit.verdict.bought_by,
        saved_usd=hit.verdict.saved_usd,
        metadata={"request_id": str(outcome.request.request_id)},
    )


def _completed_event(outcome: Completed | Failed) -> Event:
    request, billings = outcome.request, outcome.billings
    data = LLMRequestCompletedV1(
        provider=outcome.target.provider,
        correlation_id=request.correlation_id,
        success=isinstance(outcome, Completed),
        response_time_ms=outcome.response_time_ms,
        error_message=outcome.error.message if isinstance(outcome, Failed) else None,
        token_usage=total_usage(billings),
        cost_estimate=total_cost(billings) or Decimal(0),
        metadata={
            "cached": outcome.is_cached,
            "model": outcome.target.model,
            "attempts": len(outcome.attempts),
            "cost_known": total_cost(billings) is not None,
            "request_id": str(request.request_id),
            "organization_id": request.asked.organization_id,
            "user_id": request.asked.user_id,
            "lane": request.delivery.lane,
            **({"circuit_breaker_closed": True} if _closed_a_breaker(outcome) else {}),
        },
    )
    return _of_request(outcome, TopicName.REQUEST_COMPLETED, data)


def _of_request(outcome: Completed | Failed, topic: TopicName, data: WireModel) -> Event:
    request = outcome.request
    return Event(
        topic=topic,
        event_id=uuid5(request.request_id, topic),
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
