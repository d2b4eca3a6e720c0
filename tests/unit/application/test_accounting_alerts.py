from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from llm_worker.contracts.vocabulary import ProviderName, TopicName
from llm_worker.domain.budgets import EVERY_OTHER, Allowance, Budgets
from llm_worker.domain.spend import EVERYTHING, AccountKey
from tests.support.accountant import Accountant, CrashError, FakeTopics
from tests.support.fakes import ManualClock
from tests.support.spend import (
    COSTS,
    DAY,
    MORE_COSTS,
    REQUESTS,
    completion_value,
    cost_of,
)
from tests.support.wire import data_of

Told = tuple[str | None, str, float]


@pytest.fixture
def topics() -> FakeTopics:
    return FakeTopics()


def _allowance(daily: str | None = None, monthly: str | None = None, *shares: str) -> Allowance:
    return Allowance(
        daily_usd=None if daily is None else Decimal(daily),
        monthly_usd=None if monthly is None else Decimal(monthly),
        alert_shares=tuple(map(Decimal, shares or ("1",))),
    )


def _overall(daily: str | None = None, monthly: str | None = None, *shares: str) -> Budgets:
    return Budgets(overall=_allowance(daily, monthly, *shares))


def _alerts(topics: FakeTopics) -> list[Told]:
    """Whose, of which period, and at how many USD."""
    told = [data_of(record.value) for record in topics.of(TopicName.COST_ALERT)]
    return sorted(
        (str(data["metadata"]["organization_id"] or data["provider"]), data["period"], usd)
        for data in told
        for usd in [data["threshold"]]
    )


async def test_thresholds_are_told_as_they_are_reached_and_once(topics: FakeTopics) -> None:
    accountant = Accountant(topics, budgets=_overall("1", "1.5", "0.5", "1"))
    told = []
    for number in range(5):
        topics.append(cost_of(usd=0.4))
        await accountant.accounting.book(topics.pulled(number))
        told.append(len(_alerts(topics)))
    assert told == [0, 2, 3, 4, 4]
    assert _alerts(topics) == [
        ("None", "2026-11", 0.75),
        ("None", "2026-11", 1.5),
        ("None", DAY, 0.5),
        ("None", DAY, 1.0),
    ]


async def test_sum_that_meets_the_limit_to_the_last_digit_reaches_it(topics: FakeTopics) -> None:
    """0.1 and 0.2 are 0.3: floating point would be a hair off, one way or the other."""
    for _ in range(3):
        topics.append(cost_of(usd=0.1))
    accountant = Accountant(topics, budgets=_overall("0.3"))
    await accountant.accounting.book(topics.pulled())
    assert _alerts(topics) == [("None", DAY, 0.3)]


async def test_organisation_provider_and_everything_are_judged_each(topics: FakeTopics) -> None:
    topics.append(cost_of(usd=2, organization_id="school"))
    topics.append(cost_of(usd=3, organization_id="college", provider="google"))
    topics.append(cost_of(usd=9, organization_id=None, provider="mock"))
    budgets = Budgets(
        overall=_allowance("14"),
        organizations={"college": _allowance("4"), EVERY_OTHER: _allowance("1")},
        providers={"google": _allowance("3"), EVERY_OTHER: _allowance("5")},
    )
    await Accountant(topics, budgets=budgets).accounting.book(topics.pulled())
    assert _alerts(topics) == [
        ("None", DAY, 14),
        ("google", DAY, 3),
        ("mock", DAY, 5),
        ("school", DAY, 1),
    ]


async def test_alert_is_held_before_the_state_that_includes_its_spend(topics: FakeTopics) -> None:
    topics.append(cost_of(usd=5))
    await Accountant(topics, budgets=_overall("1")).accounting.book(topics.pulled())
    assert topics.held[0] == topics.of(TopicName.COST_ALERT)[0]
    account = (await topics.accounts())[AccountKey(EVERYTHING, DAY, COSTS)]
    assert account.alerts_raised == ("1",)


async def test_alert_is_not_raised_again_by_a_process_that_starts_later(
    topics: FakeTopics,
) -> None:
    topics.append(cost_of(usd=5))
    await Accountant(topics, budgets=_overall("1")).accounting.book(topics.pulled())
    topics.append(cost_of(usd=5))
    heir = Accountant(topics, budgets=_overall("1"), committed={COSTS: 1})
    await heir.accounting.review(2)
    await heir.accounting.book(topics.pulled(1, generation=2))
    await heir.accounting.review(2)
    assert _alerts(topics) == [("None", DAY, 1)]


async def test_state_alone_knows_what_was_raised_when_the_alerts_are_removed(
    topics: FakeTopics,
) -> None:
    topics.append(cost_of(usd=5))
    await Accountant(topics, budgets=_overall("1")).accounting.book(topics.pulled())
    topics.held = topics.of(TopicName.SPEND_STATE)
    await Accountant(topics, budgets=_overall("1"), committed={COSTS: 1}).accounting.review(2)
    assert not _alerts(topics)


@pytest.mark.parametrize("records_held", range(12))
async def test_alert_is_raised_once_wherever_a_crash_comes(
    topics: FakeTopics, records_held: int
) -> None:
    topics.append(cost_of(usd=5))
    topics.crash_after = records_held
    first = Accountant(topics, budgets=_overall("1", "3"))
    if records_held < 10:  # two alerts and eight accounts
        with pytest.raises(CrashError):
            await first.accounting.book(topics.pulled())
    else:
        await first.accounting.book(topics.pulled())
    topics.crash_after = None
    heir = Accountant(topics, budgets=_overall("1", "3"))
    await heir.accounting.book(topics.pulled(generation=2))
    await heir.accounting.review(2)
    assert _alerts(topics) == [("None", "2026-11", 3), ("None", DAY, 1)]


async def test_start_with_other_thresholds_raises_new_ones_of_today_and_none_of_the_past(
    topics: FakeTopics,
) -> None:
    for at in ("2026-10-31T12:00:00Z", "2026-11-22T12:00:00Z", "2026-11-23T09:00:00Z"):
        topics.append(cost_of(at=at, usd=5))
    await Accountant(topics, budgets=_overall("4", "9")).accounting.book(topics.pulled())
    before = _alerts(topics)
    assert before == [
        ("None", "2026-10-31", 4),
        ("None", "2026-11", 9),
        ("None", "2026-11-22", 4),
        ("None", DAY, 4),
    ]
    heir = Accountant(topics, budgets=_overall("3", "8"), committed={COSTS: 3})
    await heir.accounting.review(2)
    await heir.accounting.review(2)
    assert _alerts(topics) == sorted([*before, ("None", "2026-11", 8), ("None", DAY, 3)])
    again = Accountant(topics, budgets=_overall("4", "9"), committed={COSTS: 3})
    await again.accounting.review(3)
    assert len(_alerts(topics)) == 6


async def test_limit_that_is_lowered_while_nothing_is_spent_is_judged_at_once(
    topics: FakeTopics,
) -> None:
    topics.append(cost_of(usd=5))
    accountant = Accountant(topics, budgets=_overall("10"))
    await accountant.accounting.book(topics.pulled())
    await accountant.accounting.review(1)
    assert not _alerts(topics)
    accountant.budgets = Budgets(organizations={"school": _allowance("2", "6")})
    await accountant.accounting.review(1)
    assert _alerts(topics) == [("school", DAY, 2)]


async def test_review_leaves_yesterday_alone(topics: FakeTopics) -> None:
    topics.append(cost_of(at="2026-11-23T23:59:59.999999Z", usd=5))
    clock = ManualClock(datetime(2026, 11, 24, tzinfo=UTC))
    accountant = Accountant(topics, clock=clock)
    await accountant.accounting.book(topics.pulled())
    accountant.budgets = _overall("1")
    await accountant.accounting.review(1)
    assert not _alerts(topics)


async def test_last_moment_of_the_year_and_the_first_of_the_next_are_two_days_and_months(
    topics: FakeTopics,
) -> None:
    topics.append(cost_of(at="2026-12-31T23:59:59.999999Z", usd=0.6))
    topics.append(cost_of(at="2027-01-01T00:00:00Z", usd=0.6))
    topics.append(cost_of(at="2027-01-01T00:30:00+01:00", usd=0.4))
    await Accountant(topics, budgets=_overall("1", "1")).accounting.book(topics.pulled())
    assert _alerts(topics) == [("None", "2026-12", 1), ("None", "2026-12-31", 1)]


async def test_day_that_costs_far_more_than_the_week_before_is_told_once(
    topics: FakeTopics,
) -> None:
    for day in (19, 21, 22):
        topics.append(cost_of(at=f"2026-11-{day}T12:00:00Z", usd=1))
    accountant = Accountant(topics, budgets=Budgets(spike_factor=Decimal(3)))
    await accountant.accounting.book(topics.pulled())
    for usd in (2.99, 0.01, 5):
        topics.append(cost_of(usd=usd))
        await accountant.accounting.book(topics.pulled(len(topics.sources[COSTS]) - 1))
        await accountant.accounting.review(1)
    told = [data_of(record.value) for record in topics.of(TopicName.COST_ALERT)]
    by_scope = {(each["metadata"]["organization_id"], each["provider"]) for each in told}
    assert (by_scope, len(told)) == ({(None, None), (None, "openai"), ("school", None)}, 3)
    assert {each["current_cost"] for each in told} == {3.0}


async def test_owner_of_the_first_partition_judges_over_all_of_them(topics: FakeTopics) -> None:
    first = Accountant(topics, budgets=_overall("1"))
    second = Accountant(topics, budgets=_overall("1"), committed={MORE_COSTS: 0, REQUESTS: 0})
    topics.append(cost_of(usd=0.6))
    topics.append(cost_of(usd=0.3), MORE_COSTS)
    topics.append(completion_value(), REQUESTS)
    await first.accounting.book(topics.pulled())
    others = [*topics.pulled(source=MORE_COSTS), *topics.pulled(source=REQUESTS)]
    await second.accounting.book(others)
    first.hear()
    await first.accounting.review(1)
    assert not _alerts(topics)

    topics.append(cost_of(usd=0.1), MORE_COSTS)
    second.hear()
    await second.accounting.book(topics.pulled(1, source=MORE_COSTS))
    await second.accounting.review(1)
    assert not _alerts(topics)
    first.hear()
    await first.accounting.review(1)
    await first.accounting.review(1)
    assert _alerts(topics) == [("None", DAY, 1)]


async def test_judge_counts_its_own_partition_as_it_knows_it_and_not_twice(
    topics: FakeTopics,
) -> None:
    first = Accountant(topics, budgets=_overall("1"))
    second = Accountant(topics, committed={MORE_COSTS: 0})
    topics.append(cost_of(usd=0.4))
    topics.append(cost_of(usd=0.3), MORE_COSTS)
    await second.accounting.book(topics.pulled(source=MORE_COSTS))
    await first.accounting.book(topics.pulled())
    first.hear()
    await first.accounting.review(1)
    assert not _alerts(topics)
    topics.append(cost_of(usd=0.3))
    await first.accounting.book(topics.pulled(1))
    assert _alerts(topics) == [("None", DAY, 1)]


async def test_scope_that_spends_in_another_partition_only_is_judged_too(
    topics: FakeTopics,
) -> None:
    budgets = Budgets(organizations={EVERY_OTHER: _allowance("1")})
    first = Accountant(topics, budgets=budgets)
    second = Accountant(topics, committed={MORE_COSTS: 0})
    topics.append(cost_of(usd=5, organization_id="college"), MORE_COSTS)
    await second.accounting.book(topics.pulled(source=MORE_COSTS))
    first.hear()
    await first.accounting.review(1)
    await first.accounting.review(1)
    assert _alerts(topics) == [("college", DAY, 1)]
    assert ProviderName.OPENAI in {scope.provider for scope, _ in first.view.totals(DAY)}
