"""A compacted topic, as every process reads it: what it holds, and then for ever as it grows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from llm_worker.client.errors import translated
from llm_worker.client.reading import next_records, offsets_since, placed, reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiokafka import AIOKafkaConsumer, TopicPartition

    from llm_worker.domain.delivery import PlacedRecord

FIRST_READ_S: Final = 10.0
"""Seconds that a start waits for what the topic holds, before it goes on without."""


class CompactedTopic:
    """Gives each record to `take`, in order, without a consumer group.

    Args:
        kafka: How to reach Kafka, as every aiokafka client takes it.
        topic: Its name on the broker.
        take: Called with each record; its value is None when the key is taken away.
        since_ms: Where to begin, in milliseconds since 1970: what was written last before that is
            of no interest. None: at the start.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        topic: str,
        take: Callable[[PlacedRecord], None],
        *,
        since_ms: int | None = None,
    ) -> None:
        self._kafka = kafka
        self._topic = topic
        self._take = take
        self._since_ms = since_ms
        self._is_read = asyncio.Event()
        self._next: dict[tuple[str, int], int] = {}

    @property
    def is_read(self) -> bool:
        """Whether all that the topic held at the start has been taken."""
        return self._is_read.is_set()

    async def read(self, within_s: float = FIRST_READ_S) -> bool:
        """Wait for the first full read; False: it takes longer."""
        try:
            async with asyncio.timeout(within_s):
                await self._is_read.wait()
        except TimeoutError:
            pass
        return self.is_read

    async def follow(self) -> None:
        """Read for ever; called again after an error, it reads on where it was.

        Raises:
            UnreachableError, MissingTopicError, KafkaRefusalError: It cannot be done, now.
        """
        async with reader(self._kafka, [self._topic], from_start=True) as consumer:
            # While the broker holds an answer back, it answers nothing else that we ask.
            consumer.pause(*consumer.assignment())
            with translated(self._kafka):
                starts = await consumer.beginning_offsets(consumer.assignment())
                ends = await consumer.end_offsets(consumer.assignment())
                if self._since_ms is not None:
                    starts = await offsets_since(consumer, self._since_ms, ends)
            for at, start in starts.items():
                consumer.seek(at, max(start, self._next.get((at.topic, at.partition), start)))
            consumer.resume(*consumer.assignment())
            while True:
                with translated(self._kafka):
                    if not self.is_read and await _has_reached(consumer, ends):
                        self._is_read.set()
                for record in await next_records(consumer, self._kafka):
                    self._take(placed(record))
                    self._next[record.topic, record.partition] = record.offset + 1


async def _has_reached(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> bool:
    for partition, end in ends.items():
        if await consumer.position(partition) < end:
            return False
    return True
