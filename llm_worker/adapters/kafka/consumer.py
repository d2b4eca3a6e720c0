"""Faust's consumer, made safe: it commits only what is finished, and survives a refused commit.

Faust's own arithmetic commits past records in flight (faust-streaming #606). Here the ordered
gate acks in order, and this consumer independently never commits at or past the lowest offset that
it has fetched and that has no ack. Everything private that is touched here is listed in
tests/architecture/test_pins.py.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from faust.transport.drivers import aiokafka as driver
from mode.services import WaitResults
from typing_extensions import override

from llm_worker.adapters.kafka.consumer_thread import SafeConsumerThread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faust.types import TP, Message


class LogWentBackError(Exception):
    """A partition's log ends before what we have committed; the next process reads it anew."""


class ForgottenOffsets(dict["TP", "int | None"]):
    """What Faust last read of each partition, as if it had read nothing.

    It throws away what lies before that. A record that stands at its queue while a rebalance holds
    the flow is noted only afterwards, when the consumer has gone back behind it: all between the
    commit and that record would be thrown away, and committed past. The gate knows what came twice.
    """

    @override
    def __getitem__(self, tp: TP) -> int | None:
        return None


@dataclass(slots=True)
class _Book:
    """What one generation knows of one partition: offsets, and times as of the monotonic clock.

    `fetched` are those that wait for their ack: from the fetch on, and not from when an agent pulls
    it as Faust does. What is lost between the two must hold up the commits, so that the watchdog
    ends us, and it comes again. `passed` is behind the last ack, `committed` what the group holds.
    """

    fetched: set[int] = field(default_factory=set)
    passed: int = 0
    committed: int = 0
    waiting_since_s: float | None = None

    def take_ack(self, offset: int) -> None:
        self.fetched.discard(offset)
        self.passed = max(offset + 1, self.passed)
        if self.waiting_since_s is None:
            self.waiting_since_s = monotonic()

    def take_commit(self, mark: int) -> None:
        self.committed = mark
        self.waiting_since_s = monotonic() if mark < self.passed else None

    def committable(self) -> int:
        return min(self.passed, min(self.fetched, default=self.passed))


class SafeConsumer(driver.Consumer):
    """Commits up to the last ack in gate order, and never at or past a record in flight."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Faust's own signature, passed on
        super().__init__(*args, **kwargs)
        self._read_offset = ForgottenOffsets()
        self._books: defaultdict[TP, _Book] = defaultdict(_Book)

    @property
    def last_heartbeat_s(self) -> float:
        """When the coordinator last said that we are a member, monotonic."""
        return cast("SafeConsumerThread", self._thread).last_heartbeat_s

    @property
    def member_id(self) -> str:
        """What the group calls us; empty while we are no member."""
        return cast("SafeConsumerThread", self._thread).member_id

    @override
    def ack(self, message: Message) -> bool:
        """Take a record's ack; the ordered gate calls this in offset order."""
        message.acked = True
        if message.generation_id == self.app.consumer_generation_id:
            self._books[message.tp].take_ack(message.offset)
        return True

    @property
    def refusal(self) -> Exception | None:
        """Why the coordinator has given us up, None while it has not."""
        return cast("SafeConsumerThread", self._thread).refusal

    def committable(self) -> dict[TP, int]:
        """Give the offsets that may be committed now, as far as they are news."""
        marks = {tp: book.committable() for tp, book in self._books.items()}
        return {tp: mark for tp, mark in marks.items() if mark > self._books[tp].committed}

    def uncommitted_age_s(self) -> float | None:
        """Seconds that something finished has waited to be committed; None with nothing."""
        times_s = (book.waiting_since_s for book in self._books.values())
        since_s = min((each_s for each_s in times_s if each_s is not None), default=None)
        return None if since_s is None else monotonic() - since_s

    def has_fetched_all(self, tp: TP) -> bool:
        """Say whether nothing of the partition is left on the broker."""
        return cast("SafeConsumerThread", self._thread).has_fetched_all(tp)

    def spans(self) -> dict[TP, tuple[int | None, int]]:
        """Give, per assigned partition, the committed offset (None: never) and the end."""
        return {
            tp: (self._books[tp].committed or self._committed_offset[tp], self.highwater(tp) or 0)
            for tp in self.assignment()
        }

    @override
    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what is finished; what is refused is tried again at the next interval."""
        marks, books = self.committable(), self._books
        if not marks or not await self._commit(marks):
            return False
        # Those of the generation that it was asked in: another's may be open by now.
        for tp, mark in marks.items():
            books[tp].take_commit(mark)
        return True

    @override
    async def wait_first(self, *coros: Any, timeout: Any = None) -> WaitResults:
        """Hand a record to its queue at once.

        Faust makes four tasks a record, to stop waiting for a full queue when the flow is
        suspended; ours are never full (UnblockedQueue), and the tasks cost as much as the rest.
        """
        handing, *others = coros
        if not asyncio.iscoroutine(handing):
            return await super().wait_first(*coros, timeout=timeout)
        for other in others:
            other.close()
        return WaitResults([handing], [await handing], self.should_stop)

    @override
    async def wait_empty(self) -> None:
        """Commit; the app has drained before (App._consumer_wait_empty)."""
        await self.force_commit()

    @override
    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Begin a generation with empty books.

        Not sooner: the drain before it still commits. Not later: a mark left over from an older
        generation would take the group back behind what others have finished since.
        """
        self._books = defaultdict(_Book)
        await super().on_partitions_assigned(assigned, generation_id)

    @override
    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP] | None]:
        """Give no record that would be thrown away: it is read again.

        What arrives while a rebalance holds the flow Faust throws away. Where that is after it has
        gone back to what is committed, it would read on behind it, and commit past it.
        """
        records, active = await super()._wait_next_records(timeout)
        if records and not self.flow_active and not self.should_stop:
            firsts = {tp: batch[0].offset for tp, batch in records.items() if batch}
            await cast("SafeConsumerThread", self._thread).unread(firsts)
            return None, active
        for tp, batch in (records or {}).items():
            book = self._books[tp]
            self._require_onward(tp, batch, book.committed)
            book.fetched.update(each.offset for each in batch if each.offset >= book.passed)
        return records, active

    @staticmethod
    def _require_onward(tp: TP, batch: Sequence[Any], committed: int) -> None:
        """Raise where a partition begins anew: its new records would be taken for old ones."""
        if batch and batch[0].offset < committed:
            raise LogWentBackError(
                f"{tp.topic}, partition {tp.partition}, gives offset {batch[0].offset} after "
                f"{committed} was committed: its log was cut off, or the topic was made anew"
            )

    @override
    async def verify_all_partitions_active(self) -> None:
        """Look for no stuck stream: the watchdog and the metrics do.

        Faust's own look only logs, and asserts that each partition has a position: an outage right
        after an assignment would end the process.
        """

    @override
    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps in the log need no book: the gate knows order, not arithmetic."""

    @override
    def _new_consumer_thread(self) -> SafeConsumerThread:
        return SafeConsumerThread(self, loop=self.loop, beacon=self.beacon)


class SafeTransport(driver.Transport):
    """Faust's transport with the safe consumer."""

    Consumer = SafeConsumer

    def __init__(self, *args: Any, consumer_options: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.consumer_options = consumer_options
