from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.budgets import EVERY_OTHER, Allowance, Budgets
from llm_worker.domain.spend import is_cell, month_of
from tests.support.accountant import Accountant, CrashError, FakeTopics
from tests.support.fakes import ManualClock
from tests.support.spend import COSTS, MORE_COSTS, REQUESTS, completion_value, cost_of, uid
from tests.support.spend_stories import Story, expected, stories, totals_of
from tests.support.wire import data_of, read_event

if TYPE_CHECKING:
    from llm_worker.domain.spend import Scope, Source

_DAY_S = 86_400
_SOME_DAYS = 20
"""Less than a month: none passes without a review."""
_ALLOWANCE = Allowance(
    daily_usd=Decimal(4), monthly_usd=Decimal(6), alert_shares=(Decimal("0.5"), Decimal(1))
)
_BUDGETS = Budgets(
    overall=_ALLOWANCE,
    organizations={EVERY_OTHER: _ALLOWANCE},
    providers={EVERY_OTHER: _ALLOWANCE},
)


@dataclass(slots=True)
class _Group:
    """One accountant after another: each begins at what was committed."""

    topics: FakeTopics
    committed: dict[Source, int]
    read: Counter[Source] = field(default_factory=Counter)
    generation: int = 0
    clock: ManualClock = field(default_factory=ManualClock)
    accountant: Accountant = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.topics.crash_after = None
        self.generation += 1
        self.read = Counter(self.committed)
        self.accountant = Accountant(
            self.topics,
            budgets=_BUDGETS,
            clock=self.clock,
            committed=dict(self.committed),
            owner="one",
        )

    async def book(self, source: Source, count: int, crash_after: int | None = None) -> None:
        """Take a batch; it is committed later, if ever."""
        first = self.read[source]
        batch = self.topics.pulled(first, first + count, source=source, generation=self.generation)
        if not batch:
            return
        self.topics.crash_after = crash_after
        try:
            await self.accountant.accounting.book(batch)
            await self.accountant.accounting.review(self.generation)
        except CrashError:
            self.start()
        else:
            self.read[source] += len(batch)
            self.topics.crash_after = None

    async def wait(self, days: int) -> None:
        """Let time pass, or go back, while an accountant runs: it reviews every few seconds."""
        while days:
            step = max(-_SOME_DAYS, min(_SOME_DAYS, days))
            self.clock.advance(step * _DAY_S)
            await self.accountant.accounting.review(self.generation)
            days -= step

    def commit(self, source: Source, count: int) -> None:
        self.committed[source] = min(self.read[source], self.committed[source] + count)


_sources = st.sampled_from([COSTS, MORE_COSTS])
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("book"), _sources, st.integers(1, 9)),
        st.tuples(st.just("crash"), _sources, st.integers(0, 30)),
        st.tuples(st.just("commit"), _sources, st.integers(1, 20)),
        st.tuples(st.just("rebalance"), _sources, st.just(0)),
        st.tuples(st.just("clock"), _sources, st.sampled_from([-70, -40, 20, 40, 70, 200])),
    ),
    max_size=12,
)


async def _play(group: _Group, steps: list[tuple[str, Source, int]]) -> None:
    for what, source, amount in steps:
        match what:
            case "book":
                await group.book(source, amount)
            case "crash":
                await group.book(source, 6, crash_after=amount)
            case "commit":
                group.commit(source, amount)
            case "clock":
                await group.wait(amount)
            case _:
                group.start()
    for source in group.committed:
        await group.book(source, 1_000)


def _told(told: dict[Source, Story]) -> FakeTopics:
    topics = FakeTopics()
    for source, story in told.items():
        for purchase, is_lost in story:
            topics.append(purchase.value(is_lost=is_lost), source)
    return topics


def _alerts_due(told: dict[Source, Story]) -> Counter[tuple[str | None, str | None, str, float]]:
    """Each threshold that the totals reach in the end."""
    sums: dict[tuple[Scope, str], Decimal] = {}
    for story in told.values():
        for place, (usd, _, _) in expected(story).items():
            sums[place] = sums.get(place, Decimal(0)) + usd
    return Counter(
        (scope.organization, scope.provider, period, usd_reached)
        for (scope, period), usd in sums.items()
        for usd_reached in ((3.0, 6.0) if period == month_of(period) else (2.0, 4.0))
        if not is_cell(scope) and usd >= usd_reached
    )


@settings(deadline=None)
@given(st.fixed_dictionaries({COSTS: stories(), MORE_COSTS: stories()}), _steps)
def test_totals_and_alerts_are_the_same_whatever_crashes_and_whenever_it_is(
    told: dict[Source, Story], steps: list[tuple[str, Source, int]]
) -> None:
    topics = _told(told)
    group = _Group(topics, dict.fromkeys(told, 0))
    with asyncio.Runner() as runner:
        runner.run(_play(group, steps))
        accounts = runner.run(topics.accounts())
    for source, story in told.items():
        assert totals_of(accounts, source) == expected(story)
    alerts = [data_of(record.value) for record in topics.of(TopicName.COST_ALERT)]
    assert _alerts_due(told) == Counter(
        (data["metadata"]["organization_id"], data["provider"], data["period"], data["threshold"])
        for data in alerts
    )


@pytest.mark.parametrize("records_held", range(12))
async def test_alert_of_a_month_is_raised_although_only_its_day_was_published(
    records_held: int,
) -> None:
    topics = FakeTopics()
    topics.append(cost_of(uid(1), at="2026-12-30T10:00:00Z", usd=2), COSTS)
    topics.append(cost_of(uid(2), at="2026-12-30T10:00:00Z", usd=1), MORE_COSTS)
    group = _Group(topics, {COSTS: 0, MORE_COSTS: 0})
    await group.book(MORE_COSTS, 1, crash_after=records_held)
    await group.book(COSTS, 1)
    await group.book(MORE_COSTS, 1)
    alerts = [data_of(record.value) for record in topics.of(TopicName.COST_ALERT)]
    of_all = [
        (data["period"], data["threshold"])
        for data in alerts
        if data["metadata"]["organization_id"] is None and data["provider"] is None
    ]
    assert sorted(of_all) == [("2026-12", 3), ("2026-12-30", 2)]


@pytest.mark.parametrize("records_held", range(40))
async def test_crash_after_any_record_of_a_batch_changes_no_total(records_held: int) -> None:
    topics = FakeTopics()
    topics.append(cost_of(uid(1), at="2026-12-31T23:00:00Z", usd=None, outcome="unknown"))
    topics.append(cost_of(uid(2), at="2027-01-01T01:00:00Z", usd=0.25))
    topics.append(cost_of(uid(1), at="2027-01-01T00:00:00Z", usd=0.5))
    topics.append(cost_of(uid(2), at="2027-01-01T01:00:00Z", usd=0.25))
    topics.append(b"unreadable")
    topics.append(completion_value(at="2027-01-01T00:00:00Z"), REQUESTS)
    batch = [*topics.pulled(), *topics.pulled(source=REQUESTS)]
    topics.crash_after = records_held
    committed = {COSTS: 0, REQUESTS: 0}
    with suppress(CrashError):
        await Accountant(topics, committed=committed).accounting.book(batch)
    topics.crash_after = None
    await Accountant(topics, committed=committed).accounting.book(batch)
    found = {
        (key.period, key.source): (account.cost_usd, account.unknown_costs, account.requests)
        for key, account in (await topics.accounts()).items()
        if is_cell(key.scope)
    }
    spent, nothing = (Decimal("0.75"), 0, 0), (Decimal(0), 0, 0)
    assert found == {
        ("2026-12-31", COSTS): nothing,
        ("2026-12", COSTS): nothing,
        ("2027-01-01", COSTS): spent,
        ("2027-01", COSTS): spent,
        ("2027-01-01", REQUESTS): (Decimal(0), 0, 1),
        ("2027-01", REQUESTS): (Decimal(0), 0, 1),
    }


async def test_batch_whose_publish_failed_is_brought_to_its_end_by_the_same_process() -> None:
    topics = FakeTopics()
    for _ in range(3):
        topics.append(cost_of(usd=2))
    accountant = Accountant(topics, budgets=_BUDGETS)
    for records_held in (0, 3, 7):
        topics.crash_after = records_held
        with pytest.raises(CrashError):
            await accountant.accounting.book(topics.pulled())
    topics.crash_after = None
    assert await accountant.accounting.book(topics.pulled())
    accounts = await topics.accounts()
    assert {account.cost_usd for account in accounts.values()} == {Decimal(6)}
    ids = [read_event(record.value)["event_id"] for record in topics.of(TopicName.COST_ALERT)]
    assert len(ids) == len(set(ids)) == 12


async def test_state_that_is_lost_is_rebuilt_from_the_events() -> None:
    topics = FakeTopics()
    for number in (1, 2, 1):
        topics.append(cost_of(uid(number), usd=0.5))
    await Accountant(topics).accounting.book(topics.pulled())
    before = await topics.accounts()
    topics.held.clear()
    await Accountant(topics).accounting.book(topics.pulled(generation=2))
    assert await topics.accounts() == before
