from __future__ import annotations

import asyncio

from llm_worker.application.bell import Bell


def _now_s() -> float:
    return asyncio.get_running_loop().time()


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_ring_wakes_all_who_wait_and_nobody_who_comes_later() -> None:
    bell = Bell()
    began_s = _now_s()
    waiting = [asyncio.ensure_future(bell.wait(began_s + 3_600)) for _ in range(3)]
    await _settled()
    bell.ring()
    assert await asyncio.gather(*waiting) == [True] * 3
    assert _now_s() == began_s
    assert await bell.wait(began_s + 10)
    assert _now_s() >= began_s + 10


async def test_wait_ends_at_its_time_without_a_ring() -> None:
    until_s = _now_s() + 20
    assert await Bell().wait(until_s)
    assert until_s <= _now_s() < until_s + 0.001


async def test_time_that_has_passed_is_not_waited_for() -> None:
    before_s = _now_s()
    assert await Bell().wait(before_s - 5)
    assert _now_s() == before_s


async def test_drain_sends_everybody_away_until_it_is_reopened() -> None:
    bell = Bell()
    began_s = _now_s()
    waiting = asyncio.ensure_future(bell.wait(began_s + 3_600))
    await _settled()
    bell.let_go()
    assert not await waiting
    assert not await bell.wait(began_s + 3_600)
    assert _now_s() == began_s
    bell.reopen()
    assert await bell.wait(began_s + 10)
    assert _now_s() >= began_s + 10
