from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.contracts.vocabulary import AlertType, ProviderName
from llm_worker.domain.alerts import Alert, alert_id, alerts_due, judged_months
from llm_worker.domain.budgets import EVERY_OTHER, Allowance, Budgets
from llm_worker.domain.spend import EVERYTHING, Scope
from tests.support.spend import DAY

if TYPE_CHECKING:
    from collections.abc import Container
    from uuid import UUID

_SCHOOL = Scope(organization="school")
_OPENAI = Scope(provider=ProviderName.OPENAI)
_TENTH = Decimal("0.1")


def _due(
    costs: dict[str, str],
    budgets: Budgets,
    *,
    scope: Scope = EVERYTHING,
    day: str = DAY,
    raised: Container[UUID] = frozenset(),
) -> list[Alert]:
    """What is due if the scope has spent so much by period, and no other anything."""

    def cost(asked: Scope, period: str) -> Decimal:
        return Decimal(costs.get(period, 0) if asked == scope else 0)

    return list(alerts_due(scope, day, cost, budgets, raised))


def _daily(usd: str, *shares: str) -> Budgets:
    shared = tuple(map(Decimal, shares)) or (Decimal(1),)
    return Budgets(overall=Allowance(daily_usd=Decimal(usd), alert_shares=shared))


def _told(alerts: list[Alert]) -> list[tuple[str, str]]:
    return [(alert.period, alert.threshold) for alert in alerts]


def test_threshold_that_is_reached_exactly_is_crossed_and_a_hair_less_is_not() -> None:
    assert not _due({DAY: "0.2999999999999"}, _daily("0.3"))
    [alert] = _due({DAY: str(3 * _TENTH)}, _daily("0.3"))
    assert alert == Alert(
        alert_type=AlertType.DAILY_LIMIT,
        scope=EVERYTHING,
        period=DAY,
        current_usd=Decimal("0.3"),
        threshold_usd=Decimal("0.3"),
        threshold="0.3",
        share=Decimal(1),
    )


def test_shares_are_told_as_they_are_reached() -> None:
    budgets = _daily("10", "0.5", "0.8", "1")
    assert _told(_due({DAY: "4.99"}, budgets)) == []
    assert _told(_due({DAY: "8"}, budgets)) == [(DAY, "5"), (DAY, "8")]
    assert [alert.alert_type for alert in _due({DAY: "100"}, budgets)] == [
        AlertType.BUDGET_THRESHOLD,
        AlertType.BUDGET_THRESHOLD,
        AlertType.DAILY_LIMIT,
    ]


def test_day_and_month_are_judged_by_their_own_sums() -> None:
    allowance = Allowance(daily_usd=Decimal(1), monthly_usd=Decimal(20), alert_shares=(Decimal(1),))
    due = _due({DAY: "0.5", "2026-11": "20"}, Budgets(overall=allowance))
    assert _told(due) == [("2026-11", "20")]
    assert due[0].alert_type is AlertType.MONTHLY_LIMIT


def test_month_of_new_years_eve_is_december_and_that_of_new_years_day_january() -> None:
    budgets = Budgets(overall=Allowance(monthly_usd=Decimal(5), alert_shares=(Decimal(1),)))
    spent = {"2026-12": "5"}
    assert _told(_due(spent, budgets, day="2026-12-31")) == [("2026-12", "5")]
    assert _told(_due(spent, budgets, day="2027-01-01")) == []


@pytest.mark.parametrize(
    ("scope", "usd"),
    [
        (EVERYTHING, "1"),
        (_SCHOOL, "2"),
        (Scope(organization="college"), "3"),
        (_OPENAI, "4"),
        (Scope(provider=ProviderName.GOOGLE), "5"),
    ],
)
def test_each_scope_is_judged_by_its_own_limit(scope: Scope, usd: str) -> None:
    def allowance(usd: int) -> Allowance:
        return Allowance(daily_usd=Decimal(usd), alert_shares=(Decimal(1),))

    budgets = Budgets(
        overall=allowance(1),
        organizations={"school": allowance(2), EVERY_OTHER: allowance(3)},
        providers={"openai": allowance(4), EVERY_OTHER: allowance(5)},
    )
    due = _due({DAY: "100"}, budgets, scope=scope)
    assert [(alert.scope, alert.threshold) for alert in due] == [(scope, usd)]


def test_limit_of_zero_is_crossed_by_the_first_cent_and_told_once() -> None:
    budgets = _daily("0", "0.5", "0.8", "1")
    assert not _due({DAY: "0"}, budgets)
    [alert] = _due({DAY: "0.01"}, budgets)
    assert (alert.alert_type, alert.threshold, alert.share) == (
        AlertType.DAILY_LIMIT,
        "0",
        Decimal(1),
    )


def test_alert_that_was_raised_is_not_due() -> None:
    budgets = _daily("10", "0.5", "1")
    raised = {alert_id(EVERYTHING, DAY, "5")}
    assert _told(_due({DAY: "10"}, budgets, raised=raised)) == [(DAY, "10")]


def test_threshold_is_the_same_however_its_number_is_written() -> None:
    ways = [_daily("10.00", "0.50"), _daily("10", "0.5"), _daily("1E+1", "0.5"), _daily("5", "1")]
    assert len({_due({DAY: "6"}, way)[0].alert_id for way in ways}) == 1


def test_alert_has_a_name_of_its_own_by_scope_period_and_threshold() -> None:
    scopes = (EVERYTHING, _SCHOOL, _OPENAI, Scope(organization="openai"), Scope("school", None, ""))
    ids = {
        alert_id(scope, period, threshold)
        for scope in scopes
        for period in (DAY, "2026-11")
        for threshold in ("5", "50")
    }
    assert len(ids) == 20


def test_name_of_an_alert_is_the_same_for_ever() -> None:
    """Another name would raise all alerts of the past once more."""
    assert str(alert_id(_OPENAI, DAY, "5")) == "fff0d9fb-dab2-5439-8556-a8cf73479c7e"


def _week(*usd: str) -> dict[str, str]:
    """What was spent on the days before, the last one first."""
    return {f"2026-11-{22 - n}": each for n, each in enumerate(usd)}


def test_day_that_costs_a_multiple_of_those_before_is_a_spike() -> None:
    budgets, before = Budgets(spike_factor=Decimal(3)), _week("1", "2", "3")
    assert not _due({**before, DAY: "5.99"}, budgets)
    [alert] = _due({**before, DAY: "6.5"}, budgets)
    assert _due({**before, DAY: "6"}, budgets)
    assert (alert.alert_type, alert.threshold) == (AlertType.RATE_SPIKE, "rate_spike")
    assert (alert.current_usd, alert.threshold_usd) == (Decimal("6.5"), Decimal(6))
    assert (alert.share, alert.period) == (None, DAY)


def test_days_on_which_nothing_was_spent_do_not_count_and_three_others_are_needed() -> None:
    budgets = Budgets(spike_factor=Decimal(3))
    assert not _due({**_week("1", "0", "1"), DAY: "100"}, budgets)
    assert _due({**_week("1", "0", "1", "0", "0", "0", "1"), DAY: "3"}, budgets)
    eighth_day = {"2026-11-15": "1", **_week("1", "1")}
    assert not _due({**eighth_day, DAY: "100"}, budgets)


def test_spike_is_told_once_a_day_and_never_without_a_factor() -> None:
    costs = {**_week("1", "1", "1"), DAY: "100"}
    raised = {alert_id(EVERYTHING, DAY, "rate_spike")}
    assert not _due(costs, Budgets(spike_factor=Decimal(3)), raised=raised)
    assert not _due(costs, Budgets())


def test_week_before_reaches_into_the_last_year() -> None:
    costs = {"2026-12-29": "1", "2026-12-30": "1", "2026-12-31": "1", "2027-01-01": "3"}
    [alert] = _due(costs, Budgets(spike_factor=Decimal(3)), day="2027-01-01")
    assert alert.period == "2027-01-01"


@pytest.mark.parametrize(
    ("day", "months"),
    [
        ("2026-11-08", {"2026-11"}),
        ("2027-01-07", {"2027-01", "2026-12"}),
        ("0001-01-01", {"0001-01"}),
    ],
)
def test_day_is_judged_by_its_own_month_and_that_of_the_week_before(
    day: str, months: set[str]
) -> None:
    assert judged_months(day) == months


@pytest.mark.parametrize("day", ["0001-01-01", "0001-01-05", "9999-12-31"])
def test_first_and_last_days_of_the_calendar_are_judged_too(day: str) -> None:
    """An event may name them, and must not stop the accounting."""
    assert not _due({day: "100"}, Budgets(spike_factor=Decimal(3)), day=day)


_cents = st.integers(0, 2_000).map(lambda cents: Decimal(cents) / 100)


@given(st.lists(_cents, min_size=1, max_size=30), _cents, st.permutations(["0.25", "0.5", "1"]))
def test_each_threshold_is_told_once_and_as_soon_as_it_is_reached(
    payments: list[Decimal], limit: Decimal, shares: list[str]
) -> None:
    budgets, total = _daily(str(limit), *shares), Decimal(0)
    raised: set[UUID] = set()
    for payment in payments:
        total += payment
        due = _due({DAY: str(total)}, budgets, raised=raised)
        raised |= {alert.alert_id for alert in due}
        reached = {limit * Decimal(share) for share in shares if total >= limit * Decimal(share)}
        assert len(raised) == (len(reached) if limit else int(total > 0))
