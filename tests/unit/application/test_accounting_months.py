"""The accountant over months: what is over is forgotten, and no total of it is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.contracts.vocabulary import AlertType, TopicName
from llm_worker.domain.budgets import Allowance, Budgets
from llm_worker.domain.spend import EVERYTHING, AccountKey, month_of
from tests.support.accountant import Accountant, FakeTopics
from tests.support.fakes import ManualClock
from tests.support.spend import COSTS, MORE_COSTS, REQUESTS, completion_value, cost_of, uid

if TYPE_CHECKING:
    from uuid import UUID

    from llm_worker.domain.spend import Source

_DAY_S = 86_400
_CENT = Decimal("0.01")


@dataclass(slots=True)
class _Group:
    """One accountant after another; each begins at what those before it have committed."""

    topics: FakeTopics = field(default_factory=FakeTopics)
    clock: ManualClock = field(default_factory=ManualClock)
    budgets: Budgets = field(default_factory=Budgets)
    owns: tuple[Source, ...] = (COSTS, REQUESTS)
    read: Counter[Source] = field(default_factory=Counter)
    generation: int = 0
    accountant: Accountant = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.generation += 1
        self.accountant = Accountant(
            self.topics,
            budgets=self.budgets,
            clock=self.clock,
            committed={source: self.read[source] for source in self.owns},
        )

    async def spend(
        self, day: str, usd: float | None = 0.01, event_id: UUID | None = None, **data: object
    ) -> None:
        """Have a cost event of a day, now, and add it up."""
        value = cost_of(event_id, at=f"{day}T10:00:00Z", usd=usd, **data)
        await self.book(value, COSTS)

    async def book(self, value: bytes, source: Source) -> None:
        self.topics.append(value, source, int(self.clock.now().timestamp() * 1000))
        batch = self.topics.pulled(self.read[source], source=source, generation=self.generation)
        assert await self.accountant.accounting.book(batch)
        self.read[source] += len(batch)

    async def wait(self, days: int) -> None:
        """Let the accountant look after its books once, so many days later."""
        self.clock.advance(days * _DAY_S)
        await self.accountant.accounting.review(self.generation)

    @property
    def today(self) -> str:
        return self.clock.now().date().isoformat()

    async def cost_usd(self, period: str, source: Source = COSTS) -> Decimal:
        return (await self.topics.accounts())[AccountKey(EVERYTHING, period, source)].cost_usd

    def months_held(self) -> set[str]:
        books = self.accountant.accounting.books
        assert books is not None
        return {month_of(key.period) for key, _ in books.ledger}


@pytest.fixture
def group() -> _Group:
    return _Group()


async def test_accounts_of_two_months_are_held_however_old_the_installation_is(
    group: _Group,
) -> None:
    for _ in range(100):
        await group.spend(group.today)
        await group.wait(days=7)
        assert len(group.months_held()) <= 2
    assert group.topics.whole_reads == 0


async def test_start_reads_what_was_published_in_two_months_alone(group: _Group) -> None:
    for _ in range(100):
        await group.spend(group.today)
        await group.wait(days=7)
    recent = await group.topics.recent_accounts(group.clock.now())
    assert len({month_of(key.period) for key in recent.accounts}) <= 2
    group.start()
    await group.wait(days=0)
    assert len(group.months_held()) <= 2
    assert group.topics.whole_reads == 0


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_late_event_is_added_to_a_total_that_was_forgotten(
    group: _Group, *, is_restarted: bool
) -> None:
    await group.spend("2026-11-23")
    await group.wait(days=100)
    assert group.months_held() == set()
    if is_restarted:
        group.start()
    await group.spend("2026-11-23")
    await group.spend("2026-11-23")
    assert group.topics.whole_reads == 1
    assert await group.cost_usd("2026-11-23") == await group.cost_usd("2026-11") == 3 * _CENT


async def test_late_event_of_the_last_month_needs_no_second_look(group: _Group) -> None:
    await group.spend("2026-11-23")
    await group.wait(days=30)
    await group.spend(group.today)
    group.start()
    await group.spend("2026-11-23")
    assert group.topics.whole_reads == 0
    assert await group.cost_usd("2026-11") == 2 * _CENT


async def test_total_that_was_forgotten_and_asked_for_is_forgotten_again(group: _Group) -> None:
    await group.spend("2026-11-23")
    await group.wait(days=100)
    await group.spend("2026-11-23")
    await group.wait(days=40)
    assert group.months_held() == set()
    await group.spend("2026-11-23")
    assert await group.cost_usd("2026-11") == 3 * _CENT


async def test_late_event_that_comes_again_is_not_added_to_a_total_that_was_forgotten(
    group: _Group,
) -> None:
    await group.spend("2026-11-23")
    await group.wait(days=100)
    group.read.clear()  # the group's commits are gone, and all is read from the start
    group.start()
    batch = group.topics.pulled(generation=group.generation)
    assert await group.accountant.accounting.book(batch)
    assert await group.cost_usd("2026-11") == _CENT


async def test_cost_that_is_known_late_replaces_the_unknown_one_of_a_month_that_was_forgotten(
    group: _Group,
) -> None:
    group.topics.horizon_ms = 200 * _DAY_S * 1000
    group.start()
    await group.spend("2026-11-23", None, uid(1), outcome="unknown")
    await group.wait(days=100)
    await group.spend(group.today, 0.25, uid(1))
    accounts = await group.topics.accounts()
    account = accounts[AccountKey(EVERYTHING, "2026-11", COSTS)]
    assert (account.unknown_costs, account.requests) == (0, 0)
    assert await group.cost_usd("2027-03") == Decimal("0.25")


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_day_that_a_wrong_clock_was_ahead_of_is_still_known_when_it_comes(
    group: _Group, *, is_restarted: bool
) -> None:
    await group.spend("2027-06-15")
    while group.today < "2027-06-15":
        await group.wait(days=25)
        await group.spend(group.today)
        if is_restarted:
            group.start()
    group.start()
    await group.spend("2027-06-15")
    assert await group.cost_usd("2027-06-15") == 2 * _CENT


async def test_total_that_was_forgotten_is_known_after_the_clock_was_put_back(
    group: _Group,
) -> None:
    await group.spend("2026-11-23")
    await group.wait(days=100)
    await group.wait(days=-100)
    await group.spend("2026-11-23")
    assert await group.cost_usd("2026-11") == 2 * _CENT


async def test_day_ahead_is_published_again_by_whom_its_partition_belongs_to(
    group: _Group,
) -> None:
    other = _Group(group.topics, owns=(MORE_COSTS,))
    await other.book(cost_of(at="2027-06-15T10:00:00Z"), MORE_COSTS)
    await group.spend("2026-11-23")
    before = len(group.topics.of(TopicName.SPEND_STATE))
    await group.wait(days=30)
    assert len(group.topics.of(TopicName.SPEND_STATE)) == before
    other.clock.advance(30 * _DAY_S)
    await other.accountant.accounting.review(other.generation)
    assert len(group.topics.of(TopicName.SPEND_STATE)) == before + 8


async def test_totals_are_taken_up_where_they_ended_after_months_without_an_accountant(
    group: _Group,
) -> None:
    await group.spend("2026-11-23")
    group.clock.advance(200 * _DAY_S)
    group.start()
    await group.spend("2026-11-23")
    await group.spend(group.today)
    assert await group.cost_usd("2026-11") == 2 * _CENT
    assert await group.cost_usd("2027-06") == _CENT


async def test_partition_that_was_silent_for_months_is_not_taken_for_one_without_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("its events are added up again")

    group = _Group()
    await group.spend("2026-11-23")
    for _ in range(5):
        await group.wait(days=30)
        await group.book(completion_value(at=f"{group.today}T10:00:00Z"), REQUESTS)
    monkeypatch.setattr(FakeTopics, "all_before", refuse)
    group.start()
    await group.spend("2026-11-23")
    assert await group.cost_usd("2026-11") == 2 * _CENT


async def test_alert_of_a_month_that_was_forgotten_is_not_raised_again() -> None:
    allowance = Allowance(monthly_usd=Decimal(1), alert_shares=(Decimal(1),))
    group = _Group(budgets=Budgets(overall=allowance))
    await group.spend("2026-11-23", 2)
    await group.wait(days=100)
    group.topics.held = group.topics.of(TopicName.SPEND_STATE)  # retention has taken the alert
    group.start()
    await group.spend("2026-11-23")
    assert group.topics.of(TopicName.COST_ALERT) == []


async def test_late_day_is_compared_with_those_of_the_week_before_in_another_month() -> None:
    group = _Group(budgets=Budgets(spike_factor=Decimal(2)))
    for day in ("2026-11-26", "2026-11-27", "2026-11-28"):
        await group.spend(day, 1)
    await group.wait(days=41)
    assert group.today == "2027-01-03"
    group.start()
    await group.spend("2026-12-02", 3)
    alerts = [(each.alert_type, each.period) for each in group.accountant.telemetry.alerts]
    assert (AlertType.RATE_SPIKE, "2026-12-02") in alerts


_days_off = st.integers(-100, 200)
_steps = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 20, 35, 70, -40]), st.booleans(), _days_off),
    min_size=2,
    max_size=8,
)


@settings(deadline=None, max_examples=40)
@given(_steps)
def test_every_total_is_the_sum_of_its_events_whatever_day_they_are_of_and_whenever_they_come(
    steps: list[tuple[int, bool, int]],
) -> None:
    group, expected = _Group(), Counter[str]()

    async def play() -> dict[str, Decimal]:
        for waited, is_restarted, days_off in steps:
            group.clock.advance(waited * _DAY_S)
            if is_restarted:
                group.start()
            await group.wait(days=0)
            # Near the day of others before it, so that they meet.
            day = (group.clock.now() + timedelta(days=days_off // 50 * 50)).date().isoformat()
            await group.spend(day)
            expected.update([day, month_of(day)])
        return {
            key.period: account.cost_usd
            for key, account in (await group.topics.accounts()).items()
            if key.scope == EVERYTHING
        }

    assert asyncio.run(play()) == {period: count * _CENT for period, count in expected.items()}
