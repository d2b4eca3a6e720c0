"""What stands in the events of an attempt; which there are, and their ids: test_events.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from llm_worker.contracts.events import (
    LLMCostTrackingV1,
    LLMProviderFailureV1,
    LLMRequestStartedV1,
)
from llm_worker.domain.attempt_events import attempt_events, lost_attempt_event, started_event
from llm_worker.domain.errors import RateLimitedError
from llm_worker.domain.verdict import Billing, CallFacts
from tests.support.builders import NOW, attempt_of, completion_of, request_of

if TYPE_CHECKING:
    from llm_worker.domain.errors import ProviderError
    from llm_worker.domain.event import Event
    from llm_worker.domain.outcome import FinishedAttempt
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Completion

_FACTS = CallFacts(http_status=429, provider_request_id="req_1")
_LIMITED = RateLimitedError("slow down", retry_after_s=2.0, facts=_FACTS, billing=Billing())


def _request() -> ComparisonRequest:
    request = request_of(user_id="u1", organization_id="school")
    return replace(request, trace={"traceparent": "00-a-b-01"})


def _second(ending: Completion | ProviderError) -> FinishedAttempt:
    """A second attempt, of three seconds."""
    return replace(attempt_of(ending, number=2), ended_at=NOW + timedelta(seconds=3))


def test_start_tells_which_attempt_for_which_request() -> None:
    request = _request()
    data = started_event(request, _second(_LIMITED).attempt).data
    assert isinstance(data, LLMRequestStartedV1)
    assert (data.provider, data.request_type, data.user_id) == ("mock", "comparison", "u1")
    assert data.metadata == {
        "model": "mock-judge-1",
        "attempt": 2,
        "request_id": str(request.request_id),
    }


def test_failure_tells_how_which_attempt_failed() -> None:
    request = _request()
    data = next(attempt_events(request, [_second(_LIMITED)])).data
    assert isinstance(data, LLMProviderFailureV1)
    assert (data.provider, data.error_details) == ("mock", "slow down")
    assert data.metadata == {
        "model": "mock-judge-1",
        "http_status": 429,
        "attempt": 2,
        "retry_after": 2.0,
        "sent": True,
        "provider_request_id": "req_1",
        "request_id": str(request.request_id),
    }


def test_cost_tells_what_was_bought_for_whom() -> None:
    request = _request()
    bought = _second(completion_of(cost_usd=Decimal("0.5"), facts=_FACTS))
    [event] = attempt_events(request, [bought])
    data = event.data
    assert isinstance(data, LLMCostTrackingV1)
    assert (data.provider, data.model, data.request_type) == ("mock", "mock-judge-1", "comparison")
    assert (data.user_id, data.organization_id, data.service_name) == ("u1", "school", "llm-worker")
    assert (data.request_timestamp, data.response_time_ms) == (request.requested_at, 12)
    assert (data.cost_estimate_usd, data.cached) == (Decimal("0.5"), False)
    assert data.cache_cost_savings_usd == 0
    assert data.token_usage["total_tokens"] == 15
    assert data.metadata == {
        "lane": "normal",
        "request_id": str(request.request_id),
        "sent": True,
        "provider_request_id": "req_1",
    }


def test_cost_of_a_lost_attempt_has_the_same_fields_with_nothing_known() -> None:
    request = _request()
    data = lost_attempt_event(request, _second(_LIMITED).attempt).data
    assert isinstance(data, LLMCostTrackingV1)
    assert (data.attempt, data.response_time_ms, data.token_usage) == (2, 0, {})
    assert data.metadata == {
        "lane": "normal",
        "request_id": str(request.request_id),
        "sent": True,
        "provider_request_id": None,
    }


def test_each_event_belongs_to_its_request_and_says_when_it_was() -> None:
    request, finished = _request(), _second(_LIMITED)
    begun: list[Event] = [
        started_event(request, finished.attempt),
        lost_attempt_event(request, finished.attempt),
    ]
    ended = list(attempt_events(request, [finished]))
    assert [event.timestamp for event in begun] == [NOW] * 2
    assert [event.timestamp for event in ended] == [NOW + timedelta(seconds=3)] * 2
    for event in (*begun, *ended):
        assert event.correlation_id == request.correlation_id
        assert event.trace == request.trace
