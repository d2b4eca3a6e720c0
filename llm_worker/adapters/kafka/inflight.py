"""Deliveries in flight: taken from Faust, run as tasks, acked in order, drained in bounded time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from llm_worker.adapters.kafka.offsets import OrderedGate
from llm_worker.contracts.vocabulary import Lane
from llm_worker.domain.delivery import Delivery
from llm_worker.domain.outcome import LetGo

if TYPE_CHECKING:
    from faust.types import EventT, Message

    from llm_worker.application.ports import Clock, Telemetry
    from llm_worker.domain.delivery import Header
    from llm_worker.domain.outcome import Ending

WINDOW_BYTES = 64 * 1024 * 1024
"""Bytes of requests that one lane holds at most, whatever their number."""

_HAND_OVER_S = 0.5
"""Seconds for what is about to end, so that it need not be answered twice."""


class Acks(Protocol):
    """Who commits."""

    def ack(self, message: Message) -> None:
        """Let the consumer commit up to behind the message; called in gate order."""


class Work(Protocol):
    """What is done with deliveries."""

    @property
    def may_hand_over(self) -> bool:
        """Whether who gets our deliveries next can see which calls still run here."""

    async def handle(self, delivery: Delivery) -> Ending:
        """Bring one delivery to its end."""

    def let_go(self) -> None:
        """Send all that wait, for a slot, a limit or another process, away, until `reopen`."""

    def reopen(self) -> None:
        """Take waiters again."""


@dataclass(slots=True)
class _Room:
    """What a lane holds, and whether it may pull more."""

    free: asyncio.Event
    count: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """A drain that is over: how long it took, and how many deliveries still ran then."""

    seconds: float
    left: int


class InFlight:
    """Every delivery that was pulled and has not ended.

    A delivery's window place is freed when it passes the gate, not when it is done: finished ones
    behind a slow head count too, which bounds what a crash repeats.
    """

    def __init__(
        self,
        *,
        work: Work,
        acks: Acks,
        window: int,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._work = work
        self._acks = acks
        self._window = _of_a_lane(window)
        self._clock = clock
        self._telemetry = telemetry
        self._gate: OrderedGate[tuple[Delivery, Message]] = OrderedGate()
        self._rooms = {lane: _Room(asyncio.Event()) for lane in Lane}
        for room in self._rooms.values():
            room.free.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.last_pull_s = clock.monotonic()
        self.last_drain: Drain | None = None

    @property
    def window(self) -> int:
        """How many deliveries both lanes may hold."""
        return self._window * len(Lane)

    @property
    def gate(self) -> OrderedGate[tuple[Delivery, Message]]:
        """The gate, for those who watch it."""
        return self._gate

    def resize(self, window: int) -> None:
        """Hold so many from now on; what is held already stays."""
        self._window = _of_a_lane(window)
        for room in self._rooms.values():
            self._open_or_close(room)

    def take(self, event: EventT[bytes], lane: Lane) -> None:
        """Enter a record at the gate and start to handle it. Does not wait."""
        message = event.message
        self.last_pull_s = self._clock.monotonic()
        delivery = Delivery(
            lane=lane,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            generation=message.generation_id or 0,
            key=message.key,
            value=message.value,
            headers=tuple(cast("list[Header]", message.headers or ())),
            received_s=self.last_pull_s,
        )
        place = (delivery.topic, delivery.partition)
        left = self._gate.add(place, delivery.generation, delivery.offset, (delivery, message))
        if left is None:
            return
        for forgotten, _message in left:
            self._leave(forgotten)
        self._enter(delivery)
        task = asyncio.create_task(self._run(delivery))  # noqa: TID251 - owned by self._tasks
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def room(self, lane: Lane) -> None:
        """Wait until the lane may pull the next record: this is the backpressure."""
        await self._rooms[lane].free.wait()

    async def drain(self, deadline_s: float, *, is_last: bool) -> None:
        """Let waiting requests go, and wait for the running ones, at most `deadline_s` seconds.

        Only the last drain of a shutdown cancels what is still running then: a rebalance never
        cancels a call that is paid for. Where others can see our claims, it does not even wait for
        the calls: whoever gets their requests waits for the outcomes that we store.
        """
        began_s = self._clock.monotonic()
        self._work.let_go()
        if not is_last and self._work.may_hand_over:
            deadline_s = min(deadline_s, _HAND_OVER_S)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=deadline_s)
        self.last_drain = Drain(seconds=self._clock.monotonic() - began_s, left=len(self._tasks))
        if is_last and self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=1)

    async def reopen(self, *_signal: object, **_options: object) -> None:
        """Forget what the last generation left, and work again; takes Faust's signal."""
        for place in self._gate.places():
            for delivery, _message in self._gate.forget(place):
                self._leave(delivery)
        self._work.reopen()

    def has_room(self, lane: Lane) -> bool:
        """Say whether the lane may pull."""
        return self._rooms[lane].free.is_set()

    def held(self, lane: Lane) -> int:
        """Count what the lane holds."""
        return self._rooms[lane].count

    def oldest(self) -> Delivery | None:
        """Give the delivery that was pulled first, of those that have not ended."""
        heads = [delivery for delivery, _ in self._gate.heads()]
        return min(heads, key=lambda delivery: delivery.received_s, default=None)

    async def _run(self, delivery: Delivery) -> None:
        try:
            ending = await self._work.handle(delivery)
        except Exception as error:  # noqa: BLE001 - never acked, so it comes again; the watchdog ends us
            self._telemetry.faulted(delivery, error)
            return
        if not isinstance(ending, LetGo):
            self._finish(delivery)
        self._telemetry.handled(delivery, ending)

    def _finish(self, delivery: Delivery) -> None:
        place = (delivery.topic, delivery.partition)
        for passed, message in self._gate.finish(place, delivery.generation, delivery.offset):
            self._acks.ack(message)
            self._leave(passed)

    def _enter(self, delivery: Delivery) -> None:
        room = self._rooms[delivery.lane]
        room.count += 1
        room.size_bytes += delivery.size_bytes
        self._open_or_close(room)

    def _leave(self, delivery: Delivery) -> None:
        room = self._rooms[delivery.lane]
        room.count -= 1
        room.size_bytes -= delivery.size_bytes
        self._open_or_close(room)

    def _open_or_close(self, room: _Room) -> None:
        if room.count < self._window and room.size_bytes < WINDOW_BYTES:
            room.free.set()
        else:
            room.free.clear()


def _of_a_lane(window: int) -> int:
    return max(1, window // len(Lane))
