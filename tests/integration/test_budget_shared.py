"""Several workers and one Redis: what they spend together stays within a hard limit."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from llm_worker.application.ports import BudgetBusyError
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.budgets import Allowance, Budgets
from llm_worker.domain.errors import OverBudgetError
from llm_worker.domain.spend import EVERYTHING, Scope, month_of
from tests.support.budgets import DAY, REQUEST, Worker, attempt, budget_on, cost, daily

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llm_worker.adapters.cache.connect import RedisAddress

_NANO = 10**9


@pytest.fixture
def prefix() -> str:
    return f"budget-{uuid4().hex}:"


@pytest.fixture
async def pair(redis_address: RedisAddress, prefix: str) -> AsyncIterator[tuple[Worker, Worker]]:
    """Two workers whose Redis knows what was spent: nothing."""
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(budget_on(redis_address, prefix=prefix))
            for _ in range(2)
        ]
        await one.sums.seed({}, DAY)
        yield one, other


async def _sums(worker: Worker, prefix: str, period: str = DAY, field: str = "all") -> list[float]:
    """What was spent and is held, in USD."""
    key = f"{prefix}{{budget}}:{period}"
    found = [await worker.ask("HGET", key, f"{kind}:{field}") for kind in ("spent", "held")]
    return [int(each or 0) / _NANO for each in found]


async def _outcome(worker: Worker) -> object:
    try:
        return await worker.reserved()
    except (OverBudgetError, BudgetBusyError) as refusal:
        return refusal


async def test_of_hundreds_at_once_exactly_as_many_are_granted_as_fit(
    pair: tuple[Worker, Worker], prefix: str
) -> None:
    for worker in pair:
        worker.budgets = daily(100)
    outcomes = await asyncio.gather(*(_outcome(worker) for _ in range(200) for worker in pair))
    assert sum(not isinstance(each, Exception) for each in outcomes) == 100
    assert all(
        isinstance(each, BudgetBusyError) for each in outcomes if isinstance(each, Exception)
    )
    assert await _sums(pair[0], prefix) == [0, 100]
    assert sum(worker.budget.reserved_usd for worker in pair) == 100


async def test_what_waits_goes_when_another_settles_and_is_refused_when_all_is_spent(
    pair: tuple[Worker, Worker], prefix: str
) -> None:
    one, other = pair
    one.budgets = other.budgets = daily(1.5)
    first = await one.reserved()
    with pytest.raises(BudgetBusyError):
        await other.reserved()
    one.budget.settle(first, cost(0.25))
    await one.sent()
    other.clock.advance(0.2)
    second = await other.reserved()
    other.budget.settle(second, cost(0.75))
    await other.sent()
    with pytest.raises(OverBudgetError, match=r"1\.5 USD for all spend in 2026-11-23"):
        await one.reserved()
    assert await _sums(one, prefix) == [1, 0]


async def test_release_leaves_nothing_and_unknown_cost_counts_as_the_estimate(
    pair: tuple[Worker, Worker], prefix: str
) -> None:
    one, _ = pair
    made = [await one.reserved() for _ in range(3)]
    for each, billing in zip(made, (None, cost(None), cost("0.0000000001")), strict=True):
        one.budget.settle(each, billing)
        one.budget.settle(each, cost(7))  # only the first counts
    await one.sent()
    assert await _sums(one, prefix) == [1.000000001, 0]
    assert one.budget.reserved_usd == 0


async def test_every_limit_has_to_fit(pair: tuple[Worker, Worker], prefix: str) -> None:
    one, _ = pair
    one.budgets = Budgets(
        overall=Allowance(monthly_usd=Decimal(100), is_hard=True),
        providers={"openai": Allowance(daily_usd=Decimal(1), is_hard=True)},
    )
    one.budget.settle(await one.reserved(ProviderName.OPENAI), cost(0.5))
    await one.sent()
    with pytest.raises(OverBudgetError, match=r"for provider openai .*BUDGET__PROVIDERS"):
        await one.reserved(ProviderName.OPENAI)
    await one.reserved(ProviderName.GOOGLE)
    assert await _sums(one, prefix, month_of(DAY)) == [0.5, 1]
    assert await _sums(one, prefix, field="provider:openai") == [0.5, 0]


async def test_reservation_of_a_worker_that_is_gone_expires_and_counts_as_spent(
    redis_address: RedisAddress, prefix: str
) -> None:
    async with (
        budget_on(redis_address, prefix=prefix, lifetime_s=1, budgets=daily(2)) as gone,
        budget_on(redis_address, prefix=prefix, budgets=daily(2)) as alive,
    ):
        await gone.sums.seed({}, DAY)
        late = [await gone.reserved() for _ in range(2)]
        while isinstance(refusal := await _outcome(alive), BudgetBusyError):
            await asyncio.sleep(0.05)
            alive.clock.advance(0.2)
        assert isinstance(refusal, OverBudgetError)
        assert await _sums(alive, prefix) == [2, 0]
        gone.budget.settle(late[0], cost(0.1))  # it was only slow; it has been counted
        await gone.sent()
        assert await _sums(alive, prefix) == [2, 0]


async def test_more_expired_ones_than_one_call_takes_are_all_taken_in_time(
    redis_address: RedisAddress, prefix: str
) -> None:
    async with (
        budget_on(redis_address, prefix=prefix, lifetime_s=0.05, budgets=daily(200)) as gone,
        budget_on(redis_address, prefix=prefix, budgets=daily(200)) as alive,
    ):
        await gone.sums.seed({}, DAY)
        await asyncio.gather(*(gone.reserved() for _ in range(50)))
        await asyncio.sleep(0.1)
        for _ in range(3):
            await alive.reserved()
        assert await _sums(alive, prefix) == [50, 3]


async def test_flushed_redis_is_told_what_was_spent_and_of_the_calls_under_way(
    pair: tuple[Worker, Worker], prefix: str
) -> None:
    one, other = pair
    await one.reserved()
    under_way = await other.reserved()
    await one.ask("FLUSHDB", "SYNC")
    one.known = {(EVERYTHING, DAY): Decimal(5), (Scope(lane="normal"), DAY): Decimal(9)}
    alone = await one.reserved()
    assert one.counted.unshared == 1
    await one.seeded()
    assert await _sums(one, prefix) == [5, 0]
    await one.reserved()
    await other.reserved()
    await other.sent()
    assert await _sums(one, prefix) == [5, 5]
    other.budget.settle(under_way, cost(0.5))
    one.budget.settle(alone, cost(0.25))
    for worker in pair:
        await worker.sent()
    assert await _sums(one, prefix) == [5.75, 3]
    assert (one.seedings, other.seedings) == (1, 0)


async def test_seeding_again_only_lifts_and_keeps_the_epoch(
    pair: tuple[Worker, Worker], prefix: str
) -> None:
    one, other = pair
    epochs = [
        await worker.sums.seed({(EVERYTHING, DAY): Decimal(usd)}, DAY)
        for worker, usd in ((one, 3), (other, 2), (one, 4))
    ]
    assert len(set(epochs)) == 1
    assert await _sums(one, prefix) == [4, 0]


async def test_what_the_accountant_has_published_lifts_the_sums(
    pair: tuple[Worker, Worker], prefix: str
) -> None:
    one, other = pair
    one.publish(9.5)
    with pytest.raises(OverBudgetError):
        await one.reserved()
    with pytest.raises(OverBudgetError):
        await other.reserved()  # whose own view is behind
    assert await _sums(one, prefix) == [0, 0]


async def test_what_was_spent_alone_and_published_since_is_not_counted_twice(
    pair: tuple[Worker, Worker], prefix: str
) -> None:
    one, other = pair
    await other.reserved()
    await one.reserved()
    one.cut_link.is_cut = True
    one.budget.settle(await one.reserved(), cost(1))
    other.publish(1)
    other.clock.advance(1)
    await other.reserved()  # by now the sums know it from the accountant
    one.cut_link.is_cut = False
    await one.kept.drain()
    await one.sent()
    assert await _sums(other, prefix) == [1, 3]


async def test_scripts_that_run_twice_count_once(pair: tuple[Worker, Worker], prefix: str) -> None:
    one, _ = pair
    made = attempt()
    await one.budget.reserve(REQUEST, made)
    (reservation,) = one.budget._open.values()
    word, *_ = await one.sums.reserve(reservation, [0])
    assert word == b"granted"
    assert await _sums(one, prefix) == [0, 1]
    for _ in range(2):
        one.sums.settle(reservation, _NANO // 2)
        await one.sent()
    assert await _sums(one, prefix) == [0.5, 0]
    await one.sums.reserve(reservation, [0])  # it was overtaken
    one.sums.hold(reservation, [0])
    await one.sent()
    assert await _sums(one, prefix) == [0.5, 0]


async def test_what_ends_while_redis_is_away_arrives_once(
    pair: tuple[Worker, Worker], prefix: str
) -> None:
    one, other = pair
    made = await one.reserved()
    one.cut_link.is_cut = True
    alone = await one.reserved()
    one.budget.settle(made, cost(0.5))
    one.budget.settle(alone, cost(0.25))
    still = await one.reserved()
    assert one.counted.unshared == 2
    assert await _sums(other, prefix) == [0, 1]
    one.cut_link.is_cut = False
    await one.kept.drain()
    await one.reserved()
    await one.sent()
    assert await _sums(other, prefix) == [0.75, 2]  # the one that was judged alone is held now
    one.budget.settle(still, cost(1))
    await one.sent()
    assert await _sums(other, prefix) == [1.75, 1]


async def test_without_redis_each_spends_its_share_of_what_is_left(
    pair: tuple[Worker, Worker],
) -> None:
    for worker in pair:
        worker.budgets, worker.share = daily(20), 0.5
        await worker.reserved()
    granted = 0
    for worker in pair:
        worker.cut_link.is_cut = True
        outcomes = await asyncio.gather(*(_outcome(worker) for _ in range(30)))
        granted += sum(not isinstance(each, Exception) for each in outcomes)
    # One had heard of its own call only, the other of both.
    assert 16 <= granted <= 18


async def test_next_day_begins_with_nothing_spent(pair: tuple[Worker, Worker]) -> None:
    one, _ = pair
    one.budgets = daily(1)
    one.budget.settle(await one.reserved(), cost(1))
    await one.sent()
    with pytest.raises(OverBudgetError):
        await one.reserved()
    one.clock.advance(timedelta(days=1).total_seconds())
    await one.reserved()


async def test_sums_are_forgotten_after_their_period(
    pair: tuple[Worker, Worker], prefix: str
) -> None:
    one, _ = pair
    one.budget.settle(await one.reserved(), cost(1))
    await one.reserved()
    for name in ("epoch", "reservations", "expiries", DAY):
        left_ms = await one.ask("PTTL", f"{prefix}{{budget}}:{name}")
        assert left_ms > timedelta(days=31).total_seconds() * 1000, name
    assert 0 < await one.ask("PTTL", f"{prefix}{{budget}}:ended") <= 2 * 3_600_000


async def test_limit_that_is_lifted_while_it_runs_holds_at_once(
    pair: tuple[Worker, Worker],
) -> None:
    one, _ = pair
    one.budgets = daily(0.5)
    with pytest.raises(OverBudgetError):
        await one.reserved()
    one.budgets = replace(one.budgets, overall=Allowance(daily_usd=Decimal(2), is_hard=True))
    await one.reserved()
