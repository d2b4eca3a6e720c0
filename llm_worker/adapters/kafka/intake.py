"""Records taken from Faust in batches, and acked once a batch is done: for the accountant."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import structlog
from typing_extensions import override

from llm_worker.adapters.kafka.group_state import GroupState
from llm_worker.domain.delivery import PlacedRecord
from llm_worker.domain.watchdog import uncommitted_reason

if TYPE_CHECKING:
    from collections.abc import Collection

    from faust.types import EventT, Message

    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.application.ports import Clock
    from llm_worker.domain.delivery import Header

BATCH: Final = 5_000
"""Records of one batch at most."""
_HELD: Final = 2 * BATCH
_GATHER_S: Final = 0.2
"""Seconds in which a batch is gathered: state is written once a batch, not once an event."""
_IDLE_S: Final = 1.0
_RETRY_S: Final = 1.0
_REVIEW_S: Final = 5.0
"""At the latest, also while batch follows batch."""
_STUCK_S: Final = 600.0
_log = structlog.get_logger(__name__)


class Booking(Protocol):
    """What is done with batches."""

    @property
    def moved_s(self) -> float:
        """When, monotonic, it last got on: reading a day's events back takes long."""

    async def book(self, records: list[PlacedRecord]) -> bool:
        """Bring a batch of one generation to its end; False: it is no longer ours."""

    async def review(self, generation: int) -> None:
        """Look after what is ours, whether anything comes or not."""


class Intake:
    """Gathers what the agents pull, and hands it on in the order of each partition.

    Args:
        app: Whose agents pull.
        booking: What is done with a batch.
        clock: Tells how long records wait.
    """

    def __init__(self, app: DeliveryApp, booking: Booking, *, clock: Clock) -> None:
        self._app = app
        self._booking = booking
        self._clock = clock
        self._held: list[tuple[PlacedRecord, Message]] = []
        self._has_some = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._reviewed_s = self._waiting_since_s = clock.monotonic()

    async def consume(self, stream: Any) -> None:  # noqa: ANN401 - Faust's
        """Pull a stream; the body of an agent."""
        async for event in stream.noack().events():
            self._take(event)
            await self._has_room.wait()

    async def keep_booking(self) -> None:
        """Book what is held, batch by batch, until the app ends."""
        while not self._app.should_stop:
            try:
                await self._book_or_review()
            except Exception as error:  # noqa: BLE001 - nothing was acked: it is tried again
                _log.error("booking_failed", exc_info=error)
                await self._app.sleep(_RETRY_S)

    async def drain(self, within_s: float) -> None:
        """Let the batch under way end, and take no other until `reopen`."""
        self._is_open.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._is_idle.wait()
        except TimeoutError:
            _log.warning("batch_left_behind", records=len(self._held))

    async def reopen(self, *_signal: object, **_options: object) -> None:
        """Forget what the last generation left, and work again; takes Faust's signal."""
        self._clear()
        self._is_open.set()

    @property
    def waiting_since_s(self) -> float | None:
        """Since when, monotonic, records wait and nothing gets on; None while none wait."""
        return max(self._waiting_since_s, self._booking.moved_s) if self._held else None

    def _take(self, event: EventT[bytes]) -> None:
        message = event.message
        if message.generation_id != self._app.consumer_generation_id:
            return  # it stood at its queue through a rebalance, and comes again to whose it is now
        record = PlacedRecord(
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            generation=message.generation_id,
            at_ms=round(message.timestamp * 1000),
            key=message.key,
            value=message.value,
            headers=tuple(cast("list[Header]", message.headers or ())),
        )
        if not self._held:
            self._waiting_since_s = self._clock.monotonic()
        self._held.append((record, message))
        self._has_some.set()
        if len(self._held) >= _HELD:
            self._has_room.clear()

    async def _book_or_review(self) -> None:
        generation = self._app.consumer_generation_id
        if self._is_open.is_set() and self._held:
            await self._book_batch()
        now_s = self._clock.monotonic()
        is_due = not self._held or now_s >= self._reviewed_s + _REVIEW_S
        if self._is_open.is_set() and is_due and self._app.assigned():
            await self._booking.review(generation)
            self._reviewed_s = now_s
        await self._gather()

    async def _gather(self) -> None:
        if self._is_open.is_set() and len(self._held) >= BATCH:
            return
        try:
            async with asyncio.timeout(_IDLE_S):
                await (self._has_some if self._is_open.is_set() else self._is_open).wait()
        except TimeoutError:
            return
        if len(self._held) < BATCH:
            await asyncio.sleep(_GATHER_S)

    async def _book_batch(self) -> None:
        batch = self._held[:BATCH]
        self._is_idle.clear()
        try:
            is_done = await self._booking.book([record for record, _ in batch])
        finally:
            self._is_idle.set()
        if self._held[: len(batch)] == batch:  # else a rebalance has cleared it meanwhile
            del self._held[: len(batch)]
            if not is_done:
                self._is_open.clear()
        if is_done:
            for _, message in batch:
                self._app.ack(message)
        self._waiting_since_s = self._clock.monotonic()
        if not self._held:
            self._has_some.clear()
        if len(self._held) < _HELD:
            self._has_room.set()

    def _clear(self) -> None:
        self._held = []
        self._has_some.clear()
        self._has_room.set()


@dataclass(slots=True, kw_only=True)
class IntakeState(GroupState):
    """How the accountant stands."""

    intake: Intake

    @override
    def stuck_because(self) -> str | None:
        """Say why the accountant is stuck: nothing is booked, or committed, though Kafka works."""
        overdue_s = self._overdue_by_fault_s()
        if overdue_s is None or overdue_s <= 0:
            return uncommitted_reason(self._uncommitted_by_fault_s())
        return f"no batch has ended for {overdue_s + _STUCK_S:.0f} s"

    @override
    def _due_after_s(self) -> float:
        return _STUCK_S

    @override
    def _in_hand_since_s(self) -> float | None:
        return self.intake.waiting_since_s


def consume_sources(app: DeliveryApp, topics: Collection[str], intake: Intake) -> None:
    """Register one agent per topic."""
    for topic in topics:
        app.agent(app.topic(topic), name=f"intake-{topic}")(intake.consume)
