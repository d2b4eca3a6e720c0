"""Faust's consumer, made safe: it commits only what is finished, and survives a refused commit.

Faust's own arithmetic commits past records in flight (faust-streaming #606). Here the ordered
gate acks in order, and this consumer independently never commits at or past the lowest offset in
flight. Everything private that is touched here is listed in tests/architecture/test_pins.py.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from mode.services import WaitResults
from typing_extensions import override

from llm_worker.adapters.kafka.header_names import read_any_header_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faust.types import TP, Message

_RETRY_START_S = 1.0
_log = structlog.get_logger(__name__)
read_any_header_name()


class SafeConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that talks to the group coordinator."""

    last_heartbeat_s: float = float("-inf")

    @override
    async def on_start(self) -> None:
        """Join the broker, for as long as it takes; why it takes is said once."""
        said = ""
        while not self.should_stop:
            try:
                await super().on_start()
            except (KafkaError, OSError) as error:
                why = type(error).__name__
                if why != said:
                    _log.warning(
                        "broker_unreachable",
                        error=why,
                        again_every_s=_RETRY_START_S,
                        remedy="`llm-worker doctor` with the same settings says what to set",
                    )
                said = why
                if self._consumer is not None:
                    await self._consumer.stop()
                await asyncio.sleep(_RETRY_START_S)
            else:
                self._watch_heartbeats()
                return

    @override
    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """A join is a sign of life as good as a heartbeat."""
        self.last_heartbeat_s = monotonic()
        await super().on_partitions_assigned(assigned, generation_id)

    @override
    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        # Faust's own would translate its settings; ours are aiokafka's, the same for every client.
        return AIOKafkaConsumer(**transport.consumer_options)

    @override
    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit; a refusal costs a repetition, and never the process."""
        consumer = self._ensure_consumer()
        assigned = self.assignment()
        marks = {
            TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in assigned
        }
        if not marks:
            return False
        try:
            await consumer.commit(marks)
        except KafkaError as error:
            _log.warning("commit_refused", error=type(error).__name__, partitions=len(marks))
            return False
        return True

    @override
    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go back to what is committed, and where nothing is, to the start.

        aiokafka leaves a partition without a commit where it is, and while Faust rebalances it
        reads on there and throws away what it reads.
        """
        committed: Mapping[TP, int] = await self.call_thread(self._seek_to_committed)
        return committed

    async def _seek_to_committed(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        committed: Mapping[TP, int] = await consumer.seek_to_committed()
        assigned = consumer.assignment()
        without = [tp for tp, offset in committed.items() if not offset and tp in assigned]
        if without:
            await consumer.seek_to_beginning(*without)
        return committed

    async def unread(self, firsts: Mapping[TP, int]) -> None:
        """Go back to these offsets, where nobody has gone back as far since."""
        await self.call_thread(self._unread, firsts)

    async def _unread(self, firsts: Mapping[TP, int]) -> None:
        consumer = self._ensure_consumer()
        subscription = consumer._subscription.subscription  # noqa: SLF001 - no public face
        assignment = subscription and subscription.assignment
        for tp, first in firsts.items():
            place = TopicPartition(tp.topic, tp.partition)
            state = assignment and assignment.state_value(place)
            if state and state.has_valid_position and state.position > first:
                consumer.seek(place, first)

    def has_fetched_all(self, tp: TP) -> bool:
        """Say whether all up to the partition's end is fetched; markers of transactions count."""
        subscription = self._ensure_consumer()._subscription.subscription  # noqa: SLF001 - no public face
        # Another thread's: at a rebalance any of it may be gone by now.
        assignment = subscription and subscription.assignment
        state = assignment and assignment.state_value(TopicPartition(tp.topic, tp.partition))
        if not state or not state.has_valid_position:
            return False
        return bool(state.position >= (state.highwater or 0))

    @property
    def member_id(self) -> str:
        """What the coordinator calls us; empty while we are no member."""
        coordinator = self._consumer and self._consumer._coordinator  # noqa: SLF001 - no public face
        return str(coordinator.member_id) if coordinator else ""

    def _watch_heartbeats(self) -> None:
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001 - no public face
        beat = coordinator._do_heartbeat  # noqa: SLF001 - no public face

        async def watched() -> bool:
            sent_s = monotonic()
            is_accepted: bool = await beat()
            if is_accepted:
                self.last_heartbeat_s = sent_s
            return is_accepted

        coordinator._do_heartbeat = watched  # noqa: SLF001 - no public face


class SafeConsumer(driver.Consumer):
    """Commits up to the last ack in gate order, and never at or past a record in flight."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Faust's own signature, passed on
        super().__init__(*args, **kwargs)
        # Faust's is weak: a record that nobody holds would be forgotten and committed past.
        self._unacked_messages: set[Message] = set()
        self._passed: dict[TP, int] = {}
        self._committed: dict[TP, int] = {}
        self._waiting_since_s: float | None = None

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
        self._unacked_messages.discard(message)
        if message.generation_id == self.app.consumer_generation_id:
            self._passed[message.tp] = max(message.offset + 1, self._passed.get(message.tp, 0))
            if self._waiting_since_s is None:
                self._waiting_since_s = monotonic()
        return True

    def drop(self, message: Message) -> None:
        """Forget a record that came twice in one generation; its first coming counts."""
        self._unacked_messages.discard(message)

    def committable(self) -> dict[TP, int]:
        """Give the offsets that may be committed now, as far as they are news."""
        lowest: dict[TP, int] = {}
        for message in self._unacked_messages:
            lowest[message.tp] = min(message.offset, lowest.get(message.tp, message.offset))
        capped = {tp: min(passed, lowest.get(tp, passed)) for tp, passed in self._passed.items()}
        return {tp: mark for tp, mark in capped.items() if mark > self._committed.get(tp, 0)}

    def uncommitted_age_s(self) -> float | None:
        """Seconds that something finished has waited to be committed; None with nothing."""
        return None if self._waiting_since_s is None else monotonic() - self._waiting_since_s

    def has_fetched_all(self, tp: TP) -> bool:
        """Say whether nothing of the partition is left on the broker."""
        return cast("SafeConsumerThread", self._thread).has_fetched_all(tp)

    def spans(self) -> dict[TP, tuple[int | None, int]]:
        """Give, per assigned partition, the committed offset (None: never) and the end."""
        return {
            tp: (self._committed.get(tp) or self._committed_offset[tp], self.highwater(tp) or 0)
            for tp in self.assignment()
        }

    @override
    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what is finished; what is refused is tried again at the next interval."""
        marks = self.committable()
        if not marks or not await self._commit(marks):
            return False
        self._committed.update(marks)
        self._waiting_since_s = monotonic() if self.committable() else None
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
        """Begin a generation with an empty book.

        Not sooner: the drain before it still commits. Not later: a mark left over from an older
        generation would take the group back behind what others have finished since.
        """
        self._passed.clear()
        self._committed.clear()
        self._unacked_messages.clear()
        self._waiting_since_s = None
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
        return records, active

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
