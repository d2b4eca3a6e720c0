"""What is told of verdicts that were bought before, and of purchases that nobody can use."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

import pytest

from llm_worker.contracts.events import (
    LLMCacheHitV1,
    LLMCacheMissV1,
    LLMCostTrackingV1,
    LLMRequestCompletedV1,
)
from llm_worker.contracts.result import LLMComparisonResultV1
from llm_worker.domain.attempt_events import attempt_events, lost_attempt_event
from llm_worker.domain.cached import CacheTier
from llm_worker.domain.errors import ProviderTimeoutError
from llm_worker.domain.event import DeadLetter, Event
from llm_worker.domain.events import events_of
from llm_worker.domain.outcome import Repair
from llm_worker.domain.verdict import Billing, CallFacts
from tests.support.builders import (
    NOW,
    attempt_of,
    body_of,
    codec_of,
    completed_of,
    completion_of,
    delivery_of,
    failed_of,
    hit_of,
    request_of,
)
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from llm_worker.domain.outcome import Completed, Outcome
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Completion

_BOUGHT = completion_of(cost_usd=Decimal("0.25"))


def _hit(request: ComparisonRequest, bought: Completion = _BOUGHT) -> Completed:
    return replace(completed_of(request, completion=bought), hit=hit_of(bought))


def _events(outcome: Outcome) -> dict[str, Event]:
    events = [event for event in events_of(outcome) if isinstance(event, Event)]
    by_topic = {str(event.topic): event for event in events}
    assert len(by_topic) == len(events)
    return by_topic


def _result(outcome: Outcome) -> LLMComparisonResultV1:
    data = _events(outcome)["comparison_result"].data
    assert isinstance(data, LLMComparisonResultV1)
    return data


def _completion_event(outcome: Outcome) -> LLMRequestCompletedV1:
    data = _events(outcome)["request_completed"].data
    assert isinstance(data, LLMRequestCompletedV1)
    return data


def test_hit_costs_nothing_and_tells_what_it_saved() -> None:
    request = request_of(user_id="u", organization_id="o")
    event = _events(_hit(request))["cost_tracking"]
    cost = event.data
    assert isinstance(cost, LLMCostTrackingV1)
    assert event.event_id == uuid5(request.request_id, "cost_tracking")
    assert (cost.cost_estimate_usd, cost.cost_known) == (Decimal(0), True)
    assert (cost.cached, cost.outcome, cost.attempt) == (True, "cached", 0)
    assert cost.cache_cost_savings_usd == Decimal("0.25")
    assert (cost.user_id, cost.organization_id, cost.token_usage) == ("u", "o", {})
    assert cost.request_type == "comparison"
    assert cost.metadata == {
        "lane": "normal",
        "request_id": str(request.request_id),
        "bought_by": str(UUID(int=7)),
        "savings_known": True,
    }


def test_hit_on_a_verdict_of_unknown_price_says_that_its_savings_are_unknown() -> None:
    cost = _events(_hit(request_of(), completion_of(cost_usd=None)))["cost_tracking"].data
    assert isinstance(cost, LLMCostTrackingV1)
    assert (cost.cost_known, cost.cache_cost_savings_usd) == (True, Decimal(0))
    assert cost.metadata["savings_known"] is False


@pytest.mark.parametrize("tier", CacheTier)
def test_hit_event_says_where_it_was_found_and_who_paid(tier: CacheTier) -> None:
    request = request_of()
    outcome = replace(_hit(request), hit=hit_of(_BOUGHT, tier))
    event = _events(outcome)["cache_hit"]
    assert event.event_id == uuid5(request.request_id, "cache_hit")
    hit = event.data
    assert isinstance(hit, LLMCacheHitV1)
    assert (hit.cache_tier, hit.bought_by, hit.saved_usd) == (tier, UUID(int=7), Decimal("0.25"))
    assert hit.metadata == {"request_id": str(request.request_id)}
    assert "cache_miss" not in _events(outcome)


def test_result_of_a_hit_is_free_and_names_who_paid() -> None:
    result = _result(_hit(request_of(metadata={"batch": 3})))
    assert (result.cached, result.attempts, result.winner) == (True, 0, "Essay A")
    assert (result.cost_estimate, result.cost_known) == (0, True)
    assert result.token_usage.total_tokens == 0
    assert result.request_metadata["bought_by"] == str(UUID(int=7))
    assert result.request_metadata["batch"] == 3


def test_result_of_a_hit_says_which_parameters_were_left_out_when_it_was_bought() -> None:
    bought = completion_of(facts=CallFacts(adjustments=("temperature: not supported",)))
    said = _result(_hit(request_of(), bought)).request_metadata
    assert said["adjustments"] == ["temperature: not supported"]


def test_completion_event_of_a_hit_says_cached() -> None:
    event = _completion_event(_hit(request_of()))
    assert (event.success, event.metadata["cached"], event.metadata["attempts"]) == (True, True, 0)
    assert (event.cost_estimate, event.metadata["cost_known"]) == (Decimal(0), True)


def test_verdict_that_was_bought_is_not_called_cached() -> None:
    outcome = completed_of(request_of(), attempt_of(_BOUGHT))
    assert not _result(outcome).cached
    assert "bought_by" not in _result(outcome).request_metadata
    assert not {"cache_hit", "cache_miss"} & _events(outcome).keys()


def test_miss_is_told_of_verdicts_and_of_failures() -> None:
    request, late = request_of(), ProviderTimeoutError("late", billing=Billing())
    for outcome in (
        completed_of(request, attempt_of(_BOUGHT)),
        failed_of(request, late, attempt_of(late)),
    ):
        event = _events(replace(outcome, is_cache_miss=True))["cache_miss"]
        assert isinstance(event.data, LLMCacheMissV1)
        assert event.data.metadata == {"request_id": str(request.request_id)}
        assert event.event_id == uuid5(request.request_id, "cache_miss")
        assert "cache_miss" not in _events(outcome)


def test_events_of_a_hit_end_with_its_result() -> None:
    assert list(_events(_hit(request_of()))) == [
        "cost_tracking",
        "cache_hit",
        "request_completed",
        "comparison_result",
    ]


def test_attempt_whose_end_nobody_knows_has_an_unknown_cost_under_its_own_id() -> None:
    request, attempt = request_of(), attempt_of(_BOUGHT, number=2).attempt
    event = lost_attempt_event(request, attempt)
    cost = event.data
    assert isinstance(cost, LLMCostTrackingV1)
    assert event.event_id == uuid5(attempt.attempt_id, "cost_tracking")
    assert event.timestamp == attempt.started_at
    assert (cost.outcome, cost.cost_known, cost.cost_estimate_usd) == ("unknown", False, Decimal(0))
    assert (cost.attempt, cost.cached, cost.token_usage) == (2, False, {})
    assert cost.metadata["sent"] is True


def test_lost_attempt_is_told_in_the_same_bytes_whoever_finds_it() -> None:
    body, attempt = body_of(), attempt_of(_BOUGHT).attempt
    attempt = replace(attempt, repair=Repair(answer="", fault=""))
    told = set()
    for passed_s, offset in ((0, 7), (3_600, 9)):
        clock = ManualClock(NOW)
        clock.advance(passed_s)
        codec = codec_of(clock)
        request = codec.decode(delivery_of(body, offset=offset, received_s=float(passed_s)))
        told.add(codec.render(lost_attempt_event(request, attempt)))  # type: ignore[arg-type] # valid
    assert len(told) == 1


def test_purchases_that_came_second_are_told_as_superseded_and_failures_as_failures() -> None:
    late = ProviderTimeoutError("late", billing=Billing())
    attempts = [attempt_of(late), attempt_of(_BOUGHT, number=2)]
    events = list(attempt_events(request_of(), attempts, is_superseded=True))
    costs = [event.data for event in events if isinstance(event.data, LLMCostTrackingV1)]
    assert [cost.outcome for cost in costs] == ["failure", "superseded"]
    assert costs[1].cost_estimate_usd == Decimal("0.25")
    assert events[-1].event_id == uuid5(attempts[1].attempt.attempt_id, "cost_tracking")


def test_request_that_may_have_been_paid_for_before_has_no_known_cost() -> None:
    bought = completed_of(request_of(), attempt_of(_BOUGHT))
    outcome = replace(bought, is_paid_before=True)
    assert not _result(outcome).cost_known
    assert _result(outcome).token_usage == _result(bought).token_usage
    assert _completion_event(outcome).metadata["cost_known"] is False
    hit = replace(_hit(request_of()), is_paid_before=True)
    assert not _result(hit).cost_known


def test_dead_letter_of_what_may_have_been_paid_for_before_says_unknown() -> None:
    late = ProviderTimeoutError("late", billing=Billing(cost_usd=Decimal(1)))
    outcome = replace(failed_of(request_of(), late, attempt_of(late)), is_paid_before=True)
    [letter] = [event for event in events_of(outcome) if isinstance(event, DeadLetter)]
    assert letter.spent_usd is None
    assert letter.attempts == 1


def test_every_cache_event_is_what_its_schema_says() -> None:
    request = request_of()
    timely = replace(completed_of(request), completed_at=NOW + timedelta(seconds=1))
    for outcome in (_hit(request), replace(timely, is_cache_miss=True)):
        for event in _events(outcome).values():
            back = type(event.data).model_validate_json(event.data.model_dump_json())
            assert back == event.data
