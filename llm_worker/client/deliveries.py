"""The records that a consumer group gives us, each of them done once the next is asked for."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError
from typing_extensions import override

from llm_worker.client.errors import ClientError, translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiokafka import ConsumerRecord

_PATIENCE_MS: Final = 1000
_COMMIT_EVERY_S: Final = 1.0
_COMMIT_WITHIN_S: Final = 5.0
# What is not committed is tried again, or comes again to whoever has the partition then.
_COME_AGAIN: Final = (CommitFailedError, IllegalStateError, KafkaConnectionError, OSError)


class GroupConsumer(Protocol):
    """What is asked of an AIOKafkaConsumer in a group, without auto-commit."""

    async def getmany(
        self, *, timeout_ms: int, max_records: int | None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Wait a little for records."""

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Have the group go on at these offsets."""


class Deliveries(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """Gives records in order within each partition, and commits what is done.

    Never commits the record in hand, nor any behind it in its partition. When partitions are
    taken from us, what is done is committed and the rest forgotten: it comes to whoever has them
    next, also if that is us.
    """

    def __init__(
        self,
        consumer: GroupConsumer,
        kafka: Mapping[str, Any],
        *,
        commit_every_s: float = _COMMIT_EVERY_S,
    ) -> None:
        self._consumer = consumer
        self._kafka = kafka
        self._commit_every_s = commit_every_s
        self._commit_at_s = 0.0
        self._waiting: deque[ConsumerRecord] = deque()
        self._in_hand: ConsumerRecord | None = None
        self._done: dict[TopicPartition, int] = {}

    async def next(self) -> ConsumerRecord:
        """Give the next record; the one before is done.

        Raises:
            ClientError: Kafka refuses.
        """
        self.finish()
        while True:
            if _now_s() >= self._commit_at_s:
                await self.commit()
                if self._waiting:  # or the group would count from when the first of them came
                    await self._fetch(timeout_ms=0, max_records=1)
            if self._waiting:
                self._in_hand = self._waiting.popleft()
                return self._in_hand
            await self._fetch(timeout_ms=_PATIENCE_MS, max_records=None)

    async def _fetch(self, *, timeout_ms: int, max_records: int | None) -> None:
        with translated(self._kafka):
            batches = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=max_records)
        for records in batches.values():
            self._waiting.extend(records)

    def finish(self) -> None:
        """Call the record in hand done."""
        record, self._in_hand = self._in_hand, None
        if record is not None:
            self._done[TopicPartition(record.topic, record.partition)] = record.offset + 1

    async def commit(self) -> None:
        """Commit what is done, as far as it can be now.

        Raises:
            ClientError: Kafka refuses for good.
        """
        self._commit_at_s = _now_s() + self._commit_every_s
        offsets = dict(self._done)
        if not offsets:
            return
        with translated(self._kafka), suppress(*_COME_AGAIN):
            async with asyncio.timeout(_COMMIT_WITHIN_S):  # aiokafka would try for ever
                await self._consumer.commit(offsets)
            self._done = {at: to for at, to in self._done.items() if offsets.get(at) != to}

    @override
    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        with suppress(ClientError):
            await self.commit()
        # aiokafka takes all partitions away, and then gives some back.
        self._waiting.clear()
        self._done.clear()
        self._in_hand = None

    @override
    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        pass


def _now_s() -> float:
    return asyncio.get_running_loop().time()
