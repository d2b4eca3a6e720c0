from __future__ import annotations

from decimal import Decimal

import pytest

from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.events import (
    LLMCostTrackingV1,
    LLMProviderFailureV1,
    LLMRequestCompletedV1,
)
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.spend import (
    EVERYTHING,
    NOBODY,
    Entry,
    Scope,
    begins_after,
    entry_of,
    is_cell,
    month_before,
    month_of,
    rollups,
)
from tests.support.spend import CELL, completion_value, cost_of, failure_value, uid

_Cost = EventEnvelope[LLMCostTrackingV1]
_Completion = EventEnvelope[LLMRequestCompletedV1]
_Failure = EventEnvelope[LLMProviderFailureV1]


def _read_cost(value: bytes) -> Entry:
    entry = entry_of(_Cost.model_validate_json(value))
    assert entry is not None
    return entry


def _read_completion(value: bytes) -> Entry:
    entry = entry_of(_Completion.model_validate_json(value))
    assert entry is not None
    return entry


def test_cost_event_adds_its_money_and_tokens_to_its_cell() -> None:
    entry = _read_cost(cost_of(uid(7), usd=0.123, token_usage={"total_tokens": 15}))
    assert entry == Entry(
        event_id=uid(7),
        cell=CELL,
        day="2026-11-23",
        tokens={"total_tokens": 15},
        cost_usd=Decimal("0.123"),
    )


def test_cost_is_the_decimal_that_was_written_down() -> None:
    assert _read_cost(cost_of(usd=0.1)).cost_usd == Decimal("0.1")
    assert _read_cost(cost_of(usd=7.5e-8)).cost_usd == Decimal("0.000000075")


def test_unknown_cost_is_counted_and_adds_no_money() -> None:
    entry = _read_cost(cost_of(cost_estimate_usd=5, cost_known=False, outcome="failure"))
    assert (entry.cost_usd, entry.unknown_costs, entry.is_provisional) == (Decimal(0), 1, False)


def test_cost_of_a_lost_attempt_is_provisional() -> None:
    entry = _read_cost(cost_of(usd=None, outcome="unknown"))
    assert (entry.unknown_costs, entry.is_provisional) == (1, True)


@pytest.mark.parametrize("outcome", ["success", "failure", "superseded", "cached"])
def test_every_other_outcome_is_final(outcome: str) -> None:
    assert not _read_cost(cost_of(outcome=outcome)).is_provisional


def test_cache_hit_is_counted_with_what_it_saved() -> None:
    entry = _read_cost(cost_of(usd=0.0, cached=True, cache_cost_savings_usd=0.25, outcome="cached"))
    assert (entry.cache_hits, entry.savings_usd) == (1, Decimal("0.25"))
    assert (entry.cost_usd, entry.unknown_costs, entry.requests) == (Decimal(0), 0, 0)


def test_spend_of_requests_that_name_no_organisation_is_nobodys() -> None:
    assert _read_cost(cost_of(organization_id=None)).cell.organization == NOBODY
    metadata = {"model": "gpt-5", "organization_id": None, "lane": "normal"}
    assert _read_completion(completion_value(metadata=metadata)).cell.organization == NOBODY


def test_completion_counts_a_request_and_none_of_its_money() -> None:
    entry = _read_completion(completion_value(uid(3)))
    assert entry == Entry(event_id=uid(3), cell=CELL, day="2026-11-23", requests=1)


def test_completion_without_a_verdict_is_a_failure() -> None:
    entry = _read_completion(completion_value(success=False))
    assert (entry.requests, entry.failures) == (1, 1)


def test_failed_attempt_adds_nothing_beside_what_its_cost_event_tells() -> None:
    assert entry_of(_Failure.model_validate_json(failure_value())) is None


def test_event_whose_metadata_tells_nothing_has_a_cell_all_the_same() -> None:
    nowhere = Scope(NOBODY, ProviderName.OPENAI, "", "")
    assert _read_completion(completion_value(metadata={})).cell == nowhere
    assert is_cell(_read_cost(cost_of(metadata={})).cell)


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2026-11-23T00:00:00Z", "2026-11-23"),
        ("2026-11-23T23:59:59.999999Z", "2026-11-23"),
        ("2026-12-31T23:59:59.999999Z", "2026-12-31"),
        ("2027-01-01T00:00:00Z", "2027-01-01"),
        ("2027-01-01T00:59:59+01:00", "2026-12-31"),
        ("2026-12-31T19:00:00-05:00", "2027-01-01"),
        ("2027-01-01T05:29:59.999999+05:30", "2026-12-31"),
        ("2028-02-29T23:30:00-01:00", "2028-03-01"),
        ("2026-11-23T12:00:00", "2026-11-23"),
    ],
)
def test_day_is_that_of_the_events_own_time_in_utc(at: str, day: str) -> None:
    assert _read_cost(cost_of(at=at)).day == day
    assert _read_completion(completion_value(at=at)).day == day


def test_month_of_a_day_is_its_beginning() -> None:
    assert (month_of("2026-12-31"), month_of("2027-01-01")) == ("2026-12", "2027-01")
    assert month_of("2026-12") == "2026-12"


@pytest.mark.parametrize(
    ("period", "begins"),
    [
        ("2026-11-22", False),
        ("2026-11-23", False),
        ("2026-11-24", True),
        ("2026-10", False),
        ("2026-11", False),
        ("2026-12", True),
        ("2027-01", True),
    ],
)
def test_period_begins_after_a_day_or_after_that_days_month(period: str, *, begins: bool) -> None:
    assert begins_after(period, "2026-11-23") is begins


def test_cell_is_a_part_of_everything_its_provider_and_its_organisation() -> None:
    assert rollups(CELL) == (
        EVERYTHING,
        Scope(provider=ProviderName.OPENAI),
        Scope(organization="school"),
    )


def test_nobody_has_no_limits_of_its_own() -> None:
    assert Scope(organization=NOBODY) not in rollups(CELL._replace(organization=NOBODY))


def test_only_a_scope_in_which_everything_is_named_is_a_cell() -> None:
    assert is_cell(CELL)
    assert is_cell(Scope("", ProviderName.MOCK, "", ""))
    assert not any(is_cell(scope) for scope in rollups(CELL))


@pytest.mark.parametrize(
    ("month", "before"), [("2026-11", "2026-10"), ("2027-01", "2026-12"), ("2028-03", "2028-02")]
)
def test_month_before_a_month_may_be_in_another_year(month: str, before: str) -> None:
    assert month_before(month) == before
