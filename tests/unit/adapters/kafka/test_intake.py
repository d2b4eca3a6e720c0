from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from llm_worker.adapters.kafka.intake import BATCH, Intake, IntakeState
from tests.support.events import event_of, message_of
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from faust.types import Message

    from llm_worker.domain.delivery import PlacedRecord


@dataclass(slots=True)
class _Consumer:
    age_s: float | None = None
    last_heartbeat_s: float = 0.0

    def uncommitted_age_s(self) -> float | None:
        return self.age_s


@dataclass(slots=True)
class _App:
    """What the intake asks of Faust."""

    consumer_generation_id: int = 1
    should_stop: bool = False
    partitions: set[int] = field(default_factory=lambda: {0})
    acked: list[int] = field(default_factory=list)
    consumer: _Consumer = field(default_factory=_Consumer)

    def assigned(self) -> set[int]:
        return self.partitions

    def ack(self, message: Message) -> None:
        self.acked.append(message.offset)

    async def sleep(self, _seconds: float) -> None:
        await asyncio.sleep(0)


@dataclass(slots=True)
class _Booking:
    """Notes the batches; may fail, refuse or hold one up."""

    batches: list[list[int]] = field(default_factory=list)
    reviews: int = 0
    failures: int = 0
    is_ours: bool = True
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    moved_s: float = float("-inf")

    async def book(self, records: list[PlacedRecord]) -> bool:
        self.batches.append([record.offset for record in records])
        await self.may_end.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("the broker is away")
        return self.is_ours

    async def review(self, _generation: int) -> None:
        self.reviews += 1


@dataclass(slots=True)
class _Broker:
    is_available: bool = True
    available_since_s: float = 0.0
    last_success_s: float | None = None


@dataclass(slots=True)
class _Bench:
    app: _App = field(default_factory=_App)
    booking: _Booking = field(default_factory=_Booking)
    broker: _Broker = field(default_factory=_Broker)
    clock: ManualClock = field(default_factory=ManualClock)
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        self.intake = Intake(cast("Any", self.app), self.booking, clock=self.clock)

    def state(self) -> IntakeState:
        return IntakeState(
            app=cast("Any", self.app),
            broker=cast("Any", self.broker),
            clock=self.clock,
            session_timeout_s=45,
            intake=self.intake,
        )

    def pull(self, *offsets: int) -> None:
        for offset in offsets:
            self.intake._take(event_of(message_of(offset)))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self.intake.keep_booking())
        yield
        self.app.should_stop = True
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def until(self, what: Any) -> None:  # noqa: ANN401 - any condition
        async with asyncio.timeout(10):
            while not what():  # noqa: ASYNC110 - the fakes have no events
                await asyncio.sleep(0.01)


@pytest.fixture
def bench() -> _Bench:
    return _Bench()


async def test_batch_is_acked_in_order_once_it_is_booked(bench: _Bench) -> None:
    bench.pull(1, 2, 3)
    async with bench.running():
        await bench.until(lambda: bench.booking.batches)
        assert bench.app.acked == []
        bench.booking.may_end.set()
        await bench.until(lambda: bench.app.acked)
    assert bench.booking.batches == [[1, 2, 3]]
    assert bench.app.acked == [1, 2, 3]


async def test_batch_that_fails_is_booked_again_before_it_is_acked(bench: _Bench) -> None:
    bench.booking.failures = 2
    bench.booking.may_end.set()
    bench.pull(1, 2)
    async with bench.running():
        await bench.until(lambda: bench.app.acked)
    assert bench.booking.batches == [[1, 2]] * 3
    assert bench.app.acked == [1, 2]


async def test_what_is_anothers_by_now_is_never_acked_and_waits_for_the_new_generation(
    bench: _Bench,
) -> None:
    bench.booking.is_ours = False
    bench.booking.may_end.set()
    bench.pull(1)
    async with bench.running():
        await bench.until(lambda: bench.booking.batches)
        bench.pull(2)
        await bench.intake.reopen()
        bench.booking.is_ours = True
        bench.pull(7)
        await bench.until(lambda: bench.app.acked)
    assert bench.app.acked == [7]


async def test_drain_waits_for_the_batch_under_way_and_none_follows(bench: _Bench) -> None:
    bench.pull(1)
    async with bench.running():
        await bench.until(lambda: bench.booking.batches)
        draining = asyncio.ensure_future(bench.intake.drain(10))
        bench.pull(2)
        await asyncio.sleep(0)
        assert not draining.done()
        bench.booking.may_end.set()
        await draining
        await bench.until(lambda: bench.app.acked == [1])
    assert bench.booking.batches == [[1]]


async def test_drain_ends_although_a_batch_does_not(bench: _Bench) -> None:
    bench.pull(1)
    async with bench.running():
        await bench.until(lambda: bench.booking.batches)
        await bench.intake.drain(0.01)
    assert bench.app.acked == []


async def test_drain_ends_also_when_more_than_a_batch_waits(bench: _Bench) -> None:
    bench.pull(*range(2 * BATCH))
    async with bench.running():
        await bench.until(lambda: bench.booking.batches)
        draining = asyncio.ensure_future(bench.intake.drain(10))
        await asyncio.sleep(0)
        bench.booking.may_end.set()
        await draining
    assert len(bench.booking.batches) == 1


async def test_full_intake_makes_the_agents_wait(bench: _Bench) -> None:
    bench.pull(*range(2 * BATCH))
    assert not bench.intake._has_room.is_set()
    bench.booking.may_end.set()
    async with bench.running():
        await bench.until(bench.intake._has_room.is_set)
        await bench.until(lambda: len(bench.app.acked) == 2 * BATCH)
    assert [len(batch) for batch in bench.booking.batches] == [BATCH, BATCH]


async def test_what_is_ours_is_reviewed_also_when_nothing_comes(bench: _Bench) -> None:
    async with bench.running():
        await bench.until(lambda: bench.booking.reviews)


async def test_who_stands_by_reviews_nothing(bench: _Bench) -> None:
    bench.app.partitions = set()
    bench.booking.may_end.set()
    async with bench.running():
        bench.pull(1)
        await bench.until(lambda: bench.app.acked)
    assert bench.booking.reviews == 0


async def test_records_that_wait_without_end_are_noticed(bench: _Bench) -> None:
    state = bench.state()
    assert state.stuck_because() is None
    bench.pull(1)
    bench.clock.advance(600)
    assert state.stuck_because() is None
    bench.clock.advance(100)
    assert state.stuck_because() == "no batch has ended for 700 s"


async def test_records_that_wait_while_a_day_is_read_back_are_not_stuck(bench: _Bench) -> None:
    state = bench.state()
    bench.pull(1)
    for _ in range(100):
        bench.clock.advance(300)
        bench.booking.moved_s = bench.clock.monotonic()
        assert state.stuck_because() is None
    bench.clock.advance(601)
    assert state.stuck_because() is not None


async def test_records_that_wait_for_the_broker_are_not_stuck_nor_at_once_when_it_is_back(
    bench: _Bench,
) -> None:
    state = bench.state()
    bench.pull(1)
    bench.broker.is_available = False
    bench.clock.advance(3_600)
    assert state.stuck_because() is None
    bench.broker.is_available, bench.broker.available_since_s = True, bench.clock.monotonic()
    bench.clock.advance(600)
    assert state.stuck_because() is None
    bench.clock.advance(1)
    assert state.stuck_because() is not None


async def test_record_that_stood_at_its_queue_through_a_rebalance_is_left_to_whose_it_is_now(
    bench: _Bench,
) -> None:
    """Or its batch would be refused as another's, and none taken until the next rebalance."""
    bench.booking.may_end.set()
    bench.intake._take(event_of(message_of(7, generation=0)))
    async with bench.running():
        bench.pull(1)
        await bench.until(lambda: bench.app.acked)
    assert bench.booking.batches == [[1]]


async def test_batches_that_are_never_committed_are_noticed(bench: _Bench) -> None:
    """A record before them was lost on its way to us."""
    state, bench.app.consumer.age_s = bench.state(), 61
    bench.clock.advance(60)
    bench.app.consumer.last_heartbeat_s = bench.clock.monotonic()
    assert state.stuck_because() is None
    bench.clock.advance(1)
    assert state.stuck_because() == "finished deliveries stay uncommitted for 61 s"
    bench.broker.is_available = False
    assert state.stuck_because() is None


async def test_batch_that_nobody_commits_while_no_broker_answers_is_no_reason_to_end(
    bench: _Bench,
) -> None:
    """Between batches nothing is sent, so that no breaker has seen that it is away."""
    state, bench.app.consumer.age_s = bench.state(), 3_600
    bench.clock.advance(3_600)
    assert state.stuck_because() is None
    bench.app.consumer.last_heartbeat_s = bench.clock.monotonic()
    bench.clock.advance(30)
    assert state.stuck_because() is None  # its coordinator may load for a while
    bench.app.consumer.last_heartbeat_s = bench.clock.monotonic()
    bench.clock.advance(31)
    assert state.stuck_because() == "finished deliveries stay uncommitted for 61 s"


async def test_record_that_comes_after_idle_hours_has_not_waited_for_them(bench: _Bench) -> None:
    bench.clock.advance(7_200)
    bench.pull(1)
    bench.clock.advance(1)
    bench.pull(2)
    assert bench.intake.waiting_since_s == bench.clock.monotonic() - 1
