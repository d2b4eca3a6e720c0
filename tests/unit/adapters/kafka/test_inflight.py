from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from llm_worker.adapters.kafka.inflight import WINDOW_BYTES, Drain, InFlight
from llm_worker.application.slots import Grant, RunningSlots
from llm_worker.contracts.vocabulary import Lane
from llm_worker.domain.outcome import LetGo, Replayed
from tests.support.builders import request_of
from tests.support.events import event_of, message_of
from tests.support.fakes import ManualClock, RecordingTelemetry
from tests.support.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from faust.types import Message

    from llm_worker.domain.delivery import Delivery
    from llm_worker.domain.outcome import Ending


@dataclass(slots=True)
class _Bench:
    """An InFlight whose deliveries end when the test says so."""

    window: int = 20
    acked: list[int] = field(default_factory=list)
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)
    slots: RunningSlots = field(default_factory=lambda: RunningSlots(8, tuple(Lane)))
    clock: ManualClock = field(default_factory=ManualClock)
    running: dict[int, asyncio.Future[Ending]] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    may_hand_over: bool = False

    def in_flight(self) -> InFlight:
        return InFlight(
            work=self,
            acks=self,
            window=self.window,
            clock=self.clock,
            telemetry=self.telemetry,
        )

    def let_go(self) -> None:
        self.slots.let_go()

    def reopen(self) -> None:
        self.slots.reopen()

    def ack(self, message: Message) -> None:
        self.acked.append(message.offset)

    async def end(self, offset: int, ending: Ending | None = None) -> None:
        await _settled()
        self.running[offset].set_result(ending or Replayed(request=request_of()))
        await _settled()

    async def handle(self, delivery: Delivery) -> Ending:
        self.deliveries.append(delivery)
        self.running[delivery.offset] = asyncio.get_running_loop().create_future()
        return await self.running[delivery.offset]


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def _take(in_flight: InFlight, *messages: Message, lane: Lane = Lane.NORMAL) -> None:
    for message in messages:
        in_flight.take(event_of(message), lane)


@pytest.fixture
def bench() -> _Bench:
    return _Bench()


async def test_record_is_handed_on_as_it_came(bench: _Bench) -> None:
    bench.clock.advance(5)
    message = message_of(
        7, partition=3, key=b"k", value=None, headers=[("a", b"1"), ("a", b"2"), ("n", None)]
    )
    in_flight = bench.in_flight()
    assert in_flight.last_pull_s == 5, "or a new process would look as if it had never pulled"
    _take(in_flight, message, lane=Lane.BULK)
    ending = Replayed(request=request_of())
    await bench.end(7, ending)
    [delivery] = bench.deliveries
    assert bench.telemetry.endings == [(delivery, ending)]
    assert (delivery.lane, delivery.topic, delivery.partition) == ("bulk", "requests", 3)
    assert (delivery.key, delivery.value, delivery.received_s) == (b"k", None, 5)
    assert delivery.headers == (("a", b"1"), ("a", b"2"), ("n", None))


async def test_acks_go_out_in_offset_order_however_the_deliveries_end(bench: _Bench) -> None:
    in_flight = bench.in_flight()
    _take(in_flight, *map(message_of, (5, 6, 7)))
    await bench.end(7)
    await bench.end(5)
    assert bench.acked == [5]
    await bench.end(6)
    assert bench.acked == [5, 6, 7]


async def test_delivery_that_is_let_go_is_not_acked_nor_is_what_comes_behind_it(
    bench: _Bench,
) -> None:
    in_flight = bench.in_flight()
    _take(in_flight, *map(message_of, (5, 6)))
    await bench.end(5, LetGo())
    await bench.end(6)
    assert bench.acked == []
    assert in_flight.held(Lane.NORMAL) == 2


async def test_defect_in_one_delivery_reaches_no_agent_and_is_not_acked(bench: _Bench) -> None:
    in_flight = bench.in_flight()
    _take(in_flight, message_of(5))
    await _settled()
    bench.running[5].set_exception(ZeroDivisionError())
    await _settled()
    assert bench.acked == []
    [(delivery, error)] = bench.telemetry.faults
    assert delivery is not None
    assert (delivery.offset, type(error)) == (5, ZeroDivisionError)


async def test_record_that_faust_hands_out_twice_is_handled_once(bench: _Bench) -> None:
    in_flight = bench.in_flight()
    _take(in_flight, message_of(5), message_of(5))
    await bench.end(5)
    assert [delivery.offset for delivery in bench.deliveries] == [5]
    assert bench.acked == [5]
    assert in_flight.held(Lane.NORMAL) == 0


async def test_full_window_stops_the_pull_of_its_lane_alone(bench: _Bench) -> None:
    in_flight = bench.in_flight()
    _take(in_flight, *map(message_of, range(10)))
    blocked = asyncio.ensure_future(in_flight.room(Lane.NORMAL))
    await in_flight.room(Lane.BULK)
    await _settled()
    assert not blocked.done()
    assert not in_flight.has_room(Lane.NORMAL)
    await bench.end(0)
    await blocked


async def test_finished_deliveries_behind_a_slow_head_go_on_filling_the_window(
    bench: _Bench,
) -> None:
    in_flight = bench.in_flight()
    _take(in_flight, *map(message_of, range(10)))
    for offset in range(1, 10):
        await bench.end(offset)
    assert not in_flight.has_room(Lane.NORMAL)
    await bench.end(0)
    assert in_flight.held(Lane.NORMAL) == 0


async def test_record_that_an_older_generation_left_behind_gives_its_place_up(
    bench: _Bench,
) -> None:
    """It stood at its queue through the rebalance, and was let go."""
    in_flight = bench.in_flight()
    _take(in_flight, message_of(5, generation=1))
    await bench.end(5, LetGo())
    _take(in_flight, message_of(4, generation=2))
    assert in_flight.held(Lane.NORMAL) == 1
    await bench.end(4)
    assert in_flight.held(Lane.NORMAL) == 0


async def test_few_large_requests_fill_the_window_too(bench: _Bench) -> None:
    in_flight = bench.in_flight()
    half = b"x" * (WINDOW_BYTES // 2)
    _take(in_flight, message_of(0, value=half))
    assert in_flight.has_room(Lane.NORMAL)
    _take(in_flight, message_of(1, value=half))
    assert not in_flight.has_room(Lane.NORMAL)
    await bench.end(0)
    assert in_flight.has_room(Lane.NORMAL)


async def test_drain_waits_for_running_calls_and_lets_waiting_requests_go(bench: _Bench) -> None:
    in_flight = bench.in_flight()
    _take(in_flight, message_of(5))
    draining = asyncio.ensure_future(in_flight.drain(3_600, is_last=True))
    await _settled()
    assert await bench.slots.acquire(Lane.NORMAL, 1e12) is Grant.LET_GO
    assert not draining.done()
    await bench.end(5)
    await draining
    assert bench.acked == [5]


async def test_drain_has_a_deadline_even_if_a_call_hangs_for_ever(bench: _Bench) -> None:
    in_flight = bench.in_flight()
    _take(in_flight, message_of(5))
    await _settled()
    async with asyncio.timeout(30):
        await in_flight.drain(0.01, is_last=True)
    assert bench.running[5].cancelled()
    assert bench.acked == []


class _Stubborn(_Bench):
    @override
    async def handle(self, delivery: Delivery) -> Ending:
        running: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.running[delivery.offset] = running
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(running)
        return running.result()


def test_call_that_does_not_heed_its_cancellation_does_not_hold_up_the_shutdown() -> None:
    async def drain() -> None:
        bench = _Stubborn()
        in_flight = bench.in_flight()
        _take(in_flight, message_of(5))
        await _settled()
        await in_flight.drain(60, is_last=True)
        assert not bench.running[5].done()
        await bench.end(5)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(drain())


async def test_drain_tells_how_long_it_took_and_what_still_ran(bench: _Bench) -> None:
    assert bench.in_flight().last_drain is None
    in_flight = bench.in_flight()
    for offset in (5, 6):
        _take(in_flight, message_of(offset))
    draining = asyncio.ensure_future(in_flight.drain(3_600, is_last=False))
    await _settled()
    bench.clock.advance(7)
    await bench.end(5)
    await bench.end(6)
    await draining
    assert in_flight.last_drain == Drain(seconds=7, left=0)
    _take(in_flight, message_of(7))
    await _settled()
    await in_flight.drain(0, is_last=False)
    assert in_flight.last_drain == Drain(seconds=0, left=1)
    await bench.end(7)


async def test_rebalance_does_not_cancel_a_call_that_is_paid_for(bench: _Bench) -> None:
    in_flight = bench.in_flight()
    _take(in_flight, message_of(5))
    await _settled()
    await in_flight.drain(0.01, is_last=False)
    assert not bench.running[5].done()
    await bench.end(5)


async def test_calls_that_the_next_owner_can_see_are_handed_over_and_run_on(
    bench: _Bench,
) -> None:
    bench.may_hand_over, in_flight = True, bench.in_flight()
    _take(in_flight, message_of(5))
    await _settled()
    async with asyncio.timeout(30):
        await in_flight.drain(3_600, is_last=False)
    assert not bench.running[5].done()
    assert await bench.slots.acquire(Lane.NORMAL, 1e12) is Grant.LET_GO
    await bench.end(5)
    assert bench.acked == [5]


async def test_hand_over_leaves_a_moment_to_what_is_about_to_end(bench: _Bench) -> None:
    bench.may_hand_over, in_flight = True, bench.in_flight()
    _take(in_flight, message_of(5))
    draining = asyncio.ensure_future(in_flight.drain(3_600, is_last=False))
    await _settled()
    assert not draining.done()
    await bench.end(5)
    await draining
    assert bench.acked == [5]


async def test_hand_over_takes_no_longer_than_the_drain_may(bench: _Bench) -> None:
    bench.may_hand_over, in_flight = True, bench.in_flight()
    _take(in_flight, message_of(5))
    await _settled()
    await in_flight.drain(0, is_last=False)
    assert not bench.running[5].done()
    await bench.end(5)


@pytest.mark.parametrize(("may_hand_over", "is_last"), [(False, False), (True, True)])
def test_calls_that_nobody_else_will_end_are_waited_for(
    *, may_hand_over: bool, is_last: bool
) -> None:
    async def drain() -> None:
        bench = _Bench(may_hand_over=may_hand_over)
        in_flight = bench.in_flight()
        _take(in_flight, message_of(5))
        draining = asyncio.ensure_future(in_flight.drain(3_600, is_last=is_last))
        await asyncio.sleep(3_500)
        assert not draining.done()
        assert not bench.running[5].done()
        await bench.end(5)
        await draining
        assert bench.acked == [5]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(drain())


async def test_new_generation_forgets_what_the_last_one_left(bench: _Bench) -> None:
    in_flight = bench.in_flight()
    _take(in_flight, message_of(5))
    await _settled()
    overtaken = bench.running[5]
    await in_flight.drain(0.01, is_last=False)
    await in_flight.reopen()
    assert (in_flight.held(Lane.NORMAL), in_flight.oldest()) == (0, None)
    assert await bench.slots.acquire(Lane.NORMAL, 1e12) is Grant.GRANTED

    _take(in_flight, message_of(5, generation=2))
    await _settled()
    overtaken.set_result(Replayed(request=request_of()))
    await _settled()
    assert bench.acked == []
    await bench.end(5)
    assert bench.acked == [5]


async def test_deliveries_are_held_strongly_until_they_end(bench: _Bench) -> None:
    in_flight = bench.in_flight()
    _take(in_flight, message_of(5))
    await _settled()
    assert len(in_flight._tasks) == 1
    await bench.end(5)
    assert in_flight._tasks == set()


async def test_oldest_delivery_is_the_one_pulled_first_over_all_partitions(bench: _Bench) -> None:
    in_flight = bench.in_flight()
    _take(in_flight, message_of(9, partition=1))
    bench.clock.advance(1)
    _take(in_flight, message_of(5, partition=0))
    oldest = in_flight.oldest()
    assert oldest is not None
    assert oldest.offset == 9
    assert in_flight.last_pull_s == 1


async def test_window_that_grows_lets_the_lanes_pull_again_and_one_that_shrinks_stops_them(
    bench: _Bench,
) -> None:
    bench.window = 4
    in_flight = bench.in_flight()
    _take(in_flight, *map(message_of, (1, 2)))
    assert not in_flight.has_room(Lane.NORMAL)

    in_flight.resize(6)
    assert in_flight.window == 6
    assert in_flight.has_room(Lane.NORMAL)

    in_flight.resize(2)
    assert not in_flight.has_room(Lane.NORMAL)
    assert in_flight.has_room(Lane.BULK)
    await bench.end(1)
    assert not in_flight.has_room(Lane.NORMAL), "one is left, and one may be held"
    await bench.end(2)
    assert in_flight.has_room(Lane.NORMAL)
    assert bench.acked == [1, 2]
