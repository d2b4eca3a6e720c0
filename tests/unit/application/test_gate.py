from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from llm_worker.application.gate import Gate, Limits
from llm_worker.application.slots import Grant
from llm_worker.contracts.vocabulary import Lane
from llm_worker.domain.errors import ProviderDownError, RateLimitedError
from llm_worker.domain.verdict import Billing, CallFacts, LimitKind, ReportedLimit, Usage
from tests.support.builders import attempt_of, completion_of
from tests.support.fakes import LoopClock

if TYPE_CHECKING:
    from llm_worker.domain.outcome import FinishedAttempt


def _gate(
    max_in_flight: int = 100,
    *,
    requests_per_minute: float | None = None,
    tokens_per_minute: float | None = None,
) -> Gate:
    limits = Limits(
        max_in_flight=max_in_flight,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
    )
    return Gate(limits=limits, clock=LoopClock())


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _finished(*limits: ReportedLimit, tokens: int = 15) -> FinishedAttempt:
    usage = Usage(prompt_tokens=tokens, completion_tokens=0)
    completion = replace(
        completion_of(), billing=Billing(usage=usage), facts=CallFacts(limits=limits)
    )
    return attempt_of(completion)


async def _enter(gate: Gate, lane: Lane = Lane.NORMAL, tokens: int = 100) -> float:
    """Enter, and say how long it took."""
    began_s = _now_s()
    assert await gate.enter(lane, tokens, began_s + 3_600) is Grant.GRANTED
    return _now_s() - began_s


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_nobody_waits_where_there_is_room() -> None:
    gate = _gate(8)
    assert [await _enter(gate) for _ in range(6)] == [0.0] * 6
    assert not gate.is_free(Lane.NORMAL)
    assert gate.is_free(Lane.BULK)


async def test_call_that_leaves_makes_room_for_the_next() -> None:
    gate = _gate(1)
    await _enter(gate)
    waiting = asyncio.ensure_future(_enter(gate))
    await _settled()
    assert (gate.waiting(Lane.NORMAL), gate.waiting(Lane.BULK)) == (1, 0)
    gate.leave(Lane.NORMAL, 100, _finished())
    assert await waiting == 0.0
    assert gate.waiting(Lane.NORMAL) == 0


@pytest.mark.parametrize("max_in_flight", [1, 2, 3, 8])
async def test_never_more_are_in_flight_than_allowed_over_both_lanes(max_in_flight: int) -> None:
    gate = _gate(max_in_flight)
    tasks = [
        asyncio.ensure_future(_enter(gate, lane)) for lane in (*Lane, *Lane) for _ in range(10)
    ]
    await _settled()
    assert sum(map(gate.slots.running, Lane)) == max_in_flight
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_requests_over_the_minutes_limit_wait_for_their_turn() -> None:
    gate = _gate(requests_per_minute=60)
    waits_s = [await _enter(gate) for _ in range(6)]
    assert waits_s[:3] == [0.0] * 3
    assert waits_s[3:] == pytest.approx([60 / 58] * 3)


async def test_tokens_over_the_minutes_limit_wait_for_their_turn() -> None:
    gate = _gate(tokens_per_minute=12_000)
    assert await _enter(gate, tokens=600) == 0.0
    assert await _enter(gate, tokens=600) == pytest.approx(600 / 11_401 * 60)


async def test_tokens_that_were_not_used_are_given_back() -> None:
    gate = _gate(tokens_per_minute=12_000)
    await _enter(gate, tokens=600)
    gate.leave(Lane.NORMAL, 600, _finished(tokens=0))
    assert await _enter(gate, tokens=600) == 0.0


async def test_tokens_of_a_call_whose_use_is_unknown_stay_taken() -> None:
    gate = _gate(tokens_per_minute=12_000)
    await _enter(gate, tokens=600)
    gate.leave(Lane.NORMAL, 600, attempt_of(ProviderDownError("503", billing=Billing())))
    assert await _enter(gate, tokens=600) > 0


async def test_place_of_a_call_that_was_not_made_is_given_back() -> None:
    gate = _gate(requests_per_minute=20, tokens_per_minute=12_000)
    for _ in range(5):
        assert await _enter(gate, tokens=600) == 0.0
        gate.leave(Lane.NORMAL, 600, None)


async def test_request_that_cannot_go_before_its_deadline_is_told_at_once() -> None:
    gate = _gate(requests_per_minute=60)
    for _ in range(3):
        await _enter(gate)
    began_s = _now_s()
    assert await gate.enter(Lane.NORMAL, 100, began_s + 0.5) is Grant.EXPIRED
    assert _now_s() == began_s
    assert gate.slots.running(Lane.NORMAL) == 3


async def test_request_that_cannot_go_because_of_those_before_it_is_told_at_once() -> None:
    gate = _gate(4, requests_per_minute=60)
    tasks = [asyncio.ensure_future(_enter(gate)) for _ in range(43)]
    await _settled()
    began_s = _now_s()
    assert await gate.enter(Lane.NORMAL, 100, began_s + 35) is Grant.EXPIRED
    assert _now_s() == began_s
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_neither_lane_reserves_the_minutes_of_the_other() -> None:
    gate = _gate(requests_per_minute=60)
    crowd = [asyncio.ensure_future(_enter(gate, Lane.BULK)) for _ in range(70)]
    await _settled()
    assert await _enter(gate, Lane.NORMAL) < 3
    assert [await task for task in crowd][-1] > 60


async def test_request_that_gives_up_its_turn_leaves_no_trace() -> None:
    gate = _gate(requests_per_minute=60)
    for _ in range(3):
        await _enter(gate)
    for _ in range(20):
        waiting = asyncio.ensure_future(_enter(gate))
        await _settled()
        waiting.cancel()
        await asyncio.wait([waiting])
    assert gate.slots.running(Lane.NORMAL) == 3
    assert await _enter(gate) < 2


@pytest.mark.parametrize("has_come", [True, False], ids=["come", "ahead"])
async def test_turn_that_is_given_up_before_later_ones_lets_no_two_go_together(
    *, has_come: bool
) -> None:
    gate = _gate(requests_per_minute=1)
    await _enter(gate)
    began_s, went_s = _now_s(), []

    async def go(lane: Lane) -> None:
        await _enter(gate, lane)
        went_s.append(_now_s() - began_s)

    first = asyncio.ensure_future(_enter(gate))
    await _settled()
    second = asyncio.ensure_future(go(Lane.BULK))
    await _settled()
    if has_come:
        await first
        gate.leave(Lane.NORMAL, 100, None)
    else:
        first.cancel()
    third = asyncio.ensure_future(go(Lane.NORMAL))
    await asyncio.gather(second, third)
    assert went_s == pytest.approx([120, 180])


async def test_deadline_in_the_queue_takes_no_place() -> None:
    gate = _gate(1)
    await _enter(gate)
    assert await gate.enter(Lane.NORMAL, 100, _now_s() + 5) is Grant.EXPIRED
    gate.leave(Lane.NORMAL, 100, _finished())
    assert await _enter(gate) == 0.0


async def test_what_the_providers_headers_say_is_believed_after_the_call() -> None:
    gate = _gate()
    await _enter(gate)
    told = (
        ReportedLimit(kind=LimitKind.REQUESTS, per_minute=60, remaining=1, reset_s=1.0),
        ReportedLimit(kind=LimitKind.TOKENS, per_minute=12_000, remaining=250, reset_s=1.0),
    )
    gate.leave(Lane.NORMAL, 100, _finished(*told))
    assert (gate.minute.requests.per_minute, gate.minute.tokens.per_minute) == (60, 12_000)
    assert gate.minute.requests.level(_now_s()) == 1
    assert gate.minute.tokens.level(_now_s()) == pytest.approx(1)  # it grows from nothing known
    assert await _enter(gate, tokens=0) == 0.0
    assert await _enter(gate, tokens=0) == pytest.approx(60 / 58)


async def test_what_is_left_by_the_providers_word_has_the_call_in_it_already() -> None:
    gate = _gate(tokens_per_minute=12_000)
    await _enter(gate, tokens=600)
    left = ReportedLimit(kind=LimitKind.TOKENS, per_minute=12_000, remaining=5, reset_s=None)
    gate.leave(Lane.NORMAL, 600, _finished(left, tokens=10))
    assert gate.minute.tokens.level(_now_s()) == 5


async def test_headers_of_a_failure_are_believed_too() -> None:
    gate = _gate(requests_per_minute=600)
    await _enter(gate)
    told = ReportedLimit(kind=LimitKind.REQUESTS, per_minute=60, remaining=0, reset_s=None)
    limited = RateLimitedError("429", facts=CallFacts(http_status=429, limits=(told,)))
    gate.leave(Lane.NORMAL, 100, attempt_of(limited))
    assert (gate.minute.requests.per_minute, gate.minute.requests.level(_now_s())) == (60, 0)
    assert not gate.is_free(Lane.NORMAL)


@pytest.mark.parametrize(
    ("told_s", "paused_s"), [(None, 0.0), (20.0, 20.0), (0.0, 0.0), (86_400.0, 300.0)]
)
async def test_pause_is_as_long_as_the_provider_asks_within_reason(
    told_s: float | None, paused_s: float
) -> None:
    gate = _gate()
    gate.pause(told_s)
    assert max(0.0, gate.paused_until_s - _now_s()) == pytest.approx(paused_s)


async def test_refusals_of_calls_that_went_together_halve_their_number_once() -> None:
    gate = _gate(100)
    for _ in range(30):
        gate.pause(None)
    assert gate.allowed == 50
    await asyncio.sleep(1)
    gate.pause(None)
    assert gate.allowed == 25


async def test_shorter_pause_does_not_end_a_longer_one() -> None:
    gate = _gate()
    gate.pause(20)
    gate.pause(1)
    assert gate.paused_until_s - _now_s() == pytest.approx(20)


async def test_few_go_after_a_pause_and_one_more_with_each_success() -> None:
    gate = _gate(5)
    gate.pause(20)
    assert gate.allowed == 2
    allowed = []
    for _ in range(5):
        gate.speed_up()
        allowed.append(gate.allowed)
    assert allowed == [3, 4, 5, 5, 5]


async def test_those_who_wait_look_again_when_the_provider_asks_for_a_pause() -> None:
    gate = _gate(1)
    await _enter(gate)
    until_s = _now_s() + 3_600
    waiting = [asyncio.ensure_future(gate.enter(Lane.NORMAL, 1, until_s)) for _ in range(3)]
    await _settled()
    gate.pause(20)
    assert await asyncio.gather(*waiting) == [Grant.TURNED_AWAY] * 3
    assert sum(map(gate.slots.running, Lane)) == 1


async def test_those_who_wait_for_their_minute_look_again_and_keep_nothing() -> None:
    gate = _gate(requests_per_minute=60)
    for _ in range(3):
        await _enter(gate)
    until_s = _now_s() + 3_600
    waiting = [asyncio.ensure_future(gate.enter(Lane.NORMAL, 1, until_s)) for _ in range(30)]
    await _settled()
    gate.turn_away()
    assert set(await asyncio.gather(*waiting)) == {Grant.TURNED_AWAY}
    assert gate.slots.running(Lane.NORMAL) == 3
    assert gate.minute.requests.level(_now_s()) == pytest.approx(0)
    assert await _enter(gate) == pytest.approx(60 / 58)


async def test_drain_sends_all_away_until_it_is_reopened() -> None:
    gate = _gate(8, requests_per_minute=60)
    for _ in range(3):
        await _enter(gate)
    until_s = _now_s() + 3_600
    waiting = [asyncio.ensure_future(gate.enter(Lane.NORMAL, 1, until_s)) for _ in range(10)]
    await _settled()
    gate.let_go()
    assert set(await asyncio.gather(*waiting)) == {Grant.LET_GO}
    assert await gate.enter(Lane.NORMAL, 1, until_s) is Grant.LET_GO
    gate.reopen()
    assert await _enter(gate) < 2


async def test_busy_means_out_of_requests_or_out_of_tokens_or_out_of_places() -> None:
    by_requests, by_tokens = _gate(requests_per_minute=1), _gate(tokens_per_minute=100)
    for gate in (by_requests, by_tokens):
        assert gate.is_free(Lane.NORMAL)
        await _enter(gate, tokens=5)
        assert not gate.is_free(Lane.NORMAL)


async def test_more_calls_go_at_once_when_the_limit_is_raised() -> None:
    gate = _gate(1)
    await _enter(gate)
    waiting = [asyncio.ensure_future(_enter(gate)) for _ in range(3)]
    await _settled()
    gate.resize(4)
    await _settled()
    assert [each.done() for each in waiting] == [True, True, False], "one slot is the other lane's"
    assert (gate.allowed, gate.limits.max_in_flight) == (4, 4)
    waiting[2].cancel()


async def test_fewer_calls_go_when_the_limit_is_lowered_and_running_ones_are_left_alone() -> None:
    gate = _gate(4)
    for _ in range(3):
        await _enter(gate)
    gate.resize(1)
    assert gate.slots.running(Lane.NORMAL) == 3
    for _ in range(2):
        gate.leave(Lane.NORMAL, 0, None)
        assert not gate.is_free(Lane.NORMAL)
    gate.leave(Lane.NORMAL, 0, None)
    assert gate.is_free(Lane.NORMAL)


async def test_gate_that_was_slowed_down_stays_so_whatever_the_limit_is() -> None:
    gate = _gate(8)
    gate.slow_down()
    for limit in (100, 3, 100):
        gate.resize(limit)
        assert gate.allowed == 2
    gate.speed_up()
    assert gate.allowed == 3


async def test_those_who_wait_at_a_gate_that_closes_look_again() -> None:
    gate = _gate(1)
    await _enter(gate)
    waiting = asyncio.ensure_future(gate.enter(Lane.NORMAL, 1, _now_s() + 3_600))
    await _settled()
    gate.switch(is_open=True)
    await _settled()
    assert not waiting.done()
    gate.switch(is_open=False)
    assert await waiting is Grant.TURNED_AWAY
