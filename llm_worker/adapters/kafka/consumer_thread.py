"""The thread in which aiokafka's consumer lives: it fetches, commits, and keeps us in the group."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import OffsetResetStrategy
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from typing_extensions import override

from llm_worker.adapters.kafka.coordination import (
    check_answers,
    free_from_joins,
    note_heartbeats,
)
from llm_worker.adapters.kafka.header_names import read_any_header_name
from llm_worker.adapters.kafka.no_new_topics import create_no_topics
from llm_worker.application.ending_well import let_end_well

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faust.types import TP

_RETRY_START_S = 1.0
_log = structlog.get_logger(__name__)
read_any_header_name()
create_no_topics()


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
                self._mend_coordinator()
                self._mend_fetcher()
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
            # Not seek_to_beginning: it waits, and one partition without a leader holds up the rest.
            consumer._fetcher.request_offset_reset(without, OffsetResetStrategy.EARLIEST)  # noqa: SLF001 - no public face
        return committed

    async def unread(self, firsts: Mapping[TP, int]) -> None:
        """Go back to these offsets, where nobody has gone back as far since."""
        await self.call_thread(self._unread, firsts)

    async def _unread(self, firsts: Mapping[TP, int]) -> None:
        consumer = self._ensure_consumer()
        for tp, first in firsts.items():
            position, _ = self._reach(tp)
            if position is not None and position > first:
                consumer.seek(TopicPartition(tp.topic, tp.partition), first)

    def has_fetched_all(self, tp: TP) -> bool:
        """Say whether all up to the partition's end is fetched; markers of transactions count."""
        position, end = self._reach(tp)
        return position is not None and position >= end

    @override
    def highwater(self, tp: TP) -> int | None:  # type: ignore[override] # None is what it gives
        """Give the end of a partition, None where it is unknown.

        aiokafka's own asserts that it is still assigned.
        """
        state = self._state_of(tp)
        return state.highwater if state else None

    def _reach(self, tp: TP) -> tuple[int | None, int]:
        """Give how far a partition is fetched, None where that is unknown, and its end."""
        state = self._state_of(tp)
        if not state or not state.has_valid_position:
            return None, 0
        return state.position, state.highwater or 0

    def _state_of(self, tp: TP) -> Any:  # noqa: ANN401 - aiokafka has no types
        subscription = self._ensure_consumer()._subscription.subscription  # noqa: SLF001 - no public face
        # Perhaps another thread's: at a rebalance any of it may be gone by now.
        assignment = subscription and subscription.assignment
        return assignment and assignment.state_value(TopicPartition(tp.topic, tp.partition))

    @property
    def member_id(self) -> str:
        """What the coordinator calls us; empty while we are no member."""
        coordinator = self._consumer and self._consumer._coordinator  # noqa: SLF001 - no public face
        return str(coordinator.member_id) if coordinator else ""

    @property
    def refusal(self) -> Exception | None:
        """Why the coordinator refuses us: aiokafka waits until somebody asks, and nobody does."""
        coordinator = self._consumer and self._consumer._coordinator  # noqa: SLF001 - no public face
        return coordinator._pending_exception if coordinator else None  # noqa: SLF001 - the same

    def _mend_fetcher(self) -> None:
        """Let no cancelled fetch end the shutdown: aiokafka awaits them, and some let it out."""
        fetcher = self._ensure_consumer()._fetcher  # noqa: SLF001 - no public face
        let_end_well(fetcher, "_proc_fetch_request", "_update_fetch_positions")

    def _mend_coordinator(self) -> None:
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001 - no public face
        note_heartbeats(coordinator, self._note_heartbeat)
        check_answers(coordinator)
        free_from_joins(coordinator)

    def _note_heartbeat(self, sent_s: float) -> None:
        self.last_heartbeat_s = sent_s
