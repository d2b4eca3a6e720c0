from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from llm_worker.application.slots import Grant, RunningSlots
from llm_worker.contracts.vocabulary import Lane

if TYPE_CHECKING:
    from collections.abc import Sequence

_LANES = (Lane.NORMAL, Lane.BULK)


def _later_s() -> float:
    return asyncio.get_running_loop().time() + 3_600


async def _take(slots: RunningSlots, lane: Lane, count: int) -> None:
    for _ in range(count):
        assert await slots.acquire(lane, _later_s()) is Grant.GRANTED


async def _queue(
    slots: RunningSlots, lanes: Sequence[Lane], order: list[Lane]
) -> list[asyncio.Task[Grant]]:
    """Let requests queue up, and note in which order they are served."""

    async def wait(lane: Lane) -> Grant:
        grant = await slots.acquire(lane, _later_s())
        order.append(lane)
        return grant

    tasks = [asyncio.ensure_future(wait(lane)) for lane in lanes]
    await _settled()
    return tasks


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def _cancel(*tasks: asyncio.Task[Grant]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_lane_may_use_all_but_the_quarter_of_the_other() -> None:
    slots = RunningSlots(8, _LANES)
    await _take(slots, Lane.BULK, 6)
    assert not slots.is_free(Lane.BULK)
    assert slots.is_free(Lane.NORMAL)


def test_total_is_what_it_was_made_with_and_what_it_is_resized_to() -> None:
    slots = RunningSlots(9, _LANES)
    assert slots.total == 9
    for total in (1, 2, 100):
        slots.resize(total)
        assert slots.total == total


async def test_own_quarter_is_never_lent_however_many_wait() -> None:
    slots = RunningSlots(8, _LANES)
    await _take(slots, Lane.BULK, 6)
    order: list[Lane] = []
    waiting = await _queue(slots, [Lane.BULK] * 20, order)
    await _take(slots, Lane.NORMAL, 2)
    assert order == []
    assert (slots.running(Lane.NORMAL), slots.running(Lane.BULK)) == (2, 6)
    await _cancel(*waiting)


async def test_slot_given_back_from_the_own_quarter_goes_to_the_same_lane() -> None:
    slots = RunningSlots(8, _LANES)
    await _take(slots, Lane.BULK, 6)
    await _take(slots, Lane.NORMAL, 2)
    order: list[Lane] = []
    waiting = await _queue(slots, [Lane.BULK] * 3, order)
    slots.release(Lane.NORMAL)
    await _settled()
    assert order == []
    await _cancel(*waiting)


async def test_waiting_lanes_are_served_in_turn_whichever_queue_is_longer() -> None:
    slots = RunningSlots(8, _LANES)
    await _take(slots, Lane.BULK, 6)
    await _take(slots, Lane.NORMAL, 2)
    order: list[Lane] = []
    waiting = await _queue(slots, [*[Lane.BULK] * 8, Lane.NORMAL, Lane.NORMAL], order)
    for _ in range(4):  # the slots that both may have
        slots.release(Lane.BULK)
        await _settled()
    assert sorted(order[:2]) == ["bulk", "normal"]
    assert sorted(order[2:4]) == ["bulk", "normal"]
    await _cancel(*waiting)


async def test_requests_of_one_lane_are_served_in_their_order() -> None:
    slots = RunningSlots(4, (Lane.NORMAL,))
    await _take(slots, Lane.NORMAL, 4)
    served: list[int] = []

    async def wait(number: int) -> None:
        await slots.acquire(Lane.NORMAL, _later_s())
        served.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(wait(number))
        await _settled()
        for _ in range(4):
            slots.release(Lane.NORMAL)
    assert served == [0, 1, 2, 3]


async def test_newcomer_does_not_overtake_those_who_wait() -> None:
    slots = RunningSlots(4, (Lane.NORMAL,))
    await _take(slots, Lane.NORMAL, 4)
    order: list[Lane] = []
    [waiting] = await _queue(slots, [Lane.NORMAL], order)
    slots.release(Lane.NORMAL)  # granted to the waiter, which has not run yet
    newcomer = asyncio.ensure_future(slots.acquire(Lane.NORMAL, _later_s()))
    await _settled()
    assert waiting.done()
    assert not newcomer.done()
    await _cancel(newcomer)


async def test_waiting_ends_at_the_deadline_and_takes_no_slot() -> None:
    slots = RunningSlots(4, (Lane.NORMAL,))
    await _take(slots, Lane.NORMAL, 4)
    past_s = asyncio.get_running_loop().time() - 1
    assert await slots.acquire(Lane.NORMAL, past_s) is Grant.EXPIRED
    slots.release(Lane.NORMAL)
    assert slots.running(Lane.NORMAL) == 3
    await _take(slots, Lane.NORMAL, 1)


async def test_let_go_sends_waiters_and_newcomers_away_until_reopened() -> None:
    slots = RunningSlots(4, (Lane.NORMAL,))
    await _take(slots, Lane.NORMAL, 4)
    order: list[Lane] = []
    [waiting] = await _queue(slots, [Lane.NORMAL], order)
    slots.let_go()
    assert await waiting is Grant.LET_GO
    slots.release(Lane.NORMAL)
    assert await slots.acquire(Lane.NORMAL, _later_s()) is Grant.LET_GO
    assert slots.running(Lane.NORMAL) == 3
    slots.reopen()
    await _take(slots, Lane.NORMAL, 1)


async def test_slot_granted_to_a_cancelled_waiter_is_handed_on() -> None:
    slots = RunningSlots(4, (Lane.NORMAL,))
    await _take(slots, Lane.NORMAL, 4)
    order: list[Lane] = []
    first, second = await _queue(slots, [Lane.NORMAL] * 2, order)
    slots.release(Lane.NORMAL)  # granted to the first, which has not run yet
    first.cancel()
    await _settled()
    assert first.cancelled()
    assert second.done()
    assert slots.running(Lane.NORMAL) == 4


async def test_waiter_cancelled_before_its_turn_takes_no_slot() -> None:
    slots = RunningSlots(4, (Lane.NORMAL,))
    await _take(slots, Lane.NORMAL, 4)
    order: list[Lane] = []
    first, second = await _queue(slots, [Lane.NORMAL] * 2, order)
    await _cancel(first)
    slots.release(Lane.NORMAL)
    await _settled()
    assert second.done()
    assert slots.running(Lane.NORMAL) == 4


@pytest.mark.parametrize("lead_s", [1e-6, -1e-6], ids=["just before", "just after"])
async def test_slot_granted_at_the_moment_of_the_deadline_is_not_lost(lead_s: float) -> None:
    slots = RunningSlots(4, (Lane.NORMAL,))
    await _take(slots, Lane.NORMAL, 4)
    loop = asyncio.get_running_loop()
    until_s = loop.time() + 0.02
    loop.call_at(until_s - lead_s, slots.release, Lane.NORMAL)  # both are due at one wake-up
    grant = await slots.acquire(Lane.NORMAL, until_s)
    await asyncio.sleep(0.001)
    assert slots.running(Lane.NORMAL) == (4 if grant is Grant.GRANTED else 3)


@pytest.mark.parametrize("total", [1, 2, 3, 4, 5, 500])
async def test_never_more_run_than_there_are_slots(total: int) -> None:
    slots = RunningSlots(total, _LANES)
    order: list[Lane] = []
    waiting = await _queue(slots, _LANES * total, order)
    assert len(order) == total
    await _cancel(*waiting)


async def test_lanes_take_turns_where_there_is_one_slot_for_both() -> None:
    slots = RunningSlots(1, _LANES)
    await _take(slots, Lane.BULK, 1)
    order: list[Lane] = []
    waiting = await _queue(slots, [*[Lane.BULK] * 4, Lane.NORMAL], order)
    for _ in range(2):
        slots.release(order[-1] if order else Lane.BULK)
        await _settled()
    assert sorted(order) == ["bulk", "normal"]
    await _cancel(*waiting)


async def test_fewer_slots_leave_running_calls_alone_and_take_effect_as_they_end() -> None:
    slots = RunningSlots(8, (Lane.NORMAL,))
    await _take(slots, Lane.NORMAL, 8)
    order: list[Lane] = []
    waiting = await _queue(slots, [Lane.NORMAL] * 3, order)
    slots.resize(2)
    assert slots.running(Lane.NORMAL) == 8
    for _ in range(6):
        slots.release(Lane.NORMAL)
        await _settled()
    assert (slots.running(Lane.NORMAL), order) == (2, [])
    slots.release(Lane.NORMAL)
    await _settled()
    assert order == [Lane.NORMAL]
    await _cancel(*waiting)


async def test_more_slots_are_handed_to_those_who_wait() -> None:
    slots = RunningSlots(1, (Lane.NORMAL,))
    await _take(slots, Lane.NORMAL, 1)
    order: list[Lane] = []
    waiting = await _queue(slots, [Lane.NORMAL] * 3, order)
    slots.resize(3)
    await _settled()
    assert len(order) == 2
    await _cancel(*waiting)


async def test_those_who_wait_are_counted_and_those_who_gave_up_are_not() -> None:
    slots = RunningSlots(4, _LANES)
    await _take(slots, Lane.NORMAL, 3)
    order: list[Lane] = []
    waiting = await _queue(slots, [Lane.NORMAL] * 3, order)
    soon_s = asyncio.get_running_loop().time() + 1
    assert await slots.acquire(Lane.NORMAL, soon_s) is Grant.EXPIRED
    assert (slots.waiting(Lane.NORMAL), slots.waiting(Lane.BULK)) == (3, 0)
    await _cancel(waiting[0])
    assert slots.waiting(Lane.NORMAL) == 2
    await _cancel(*waiting[1:])


async def test_those_who_wait_are_turned_away_in_their_order_and_may_come_again() -> None:
    slots = RunningSlots(4, (Lane.NORMAL,))
    await _take(slots, Lane.NORMAL, 4)
    turned_away: list[int] = []

    async def wait(number: int) -> None:
        assert await slots.acquire(Lane.NORMAL, _later_s()) is Grant.TURNED_AWAY
        turned_away.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(wait(number))
        await _settled()
        slots.turn_away()
    assert turned_away == [0, 1, 2]
    slots.release(Lane.NORMAL)
    await _take(slots, Lane.NORMAL, 1)
