"""Reading what a topic holds at this moment, from its start to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_worker.client.errors import translated
from llm_worker.client.reading import next_records, reader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedRecord:
    """A record's value and key, and the place where it lies."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


async def read_to_end(
    kafka: Mapping[str, Any], topics: Collection[str]
) -> AsyncGenerator[PlacedRecord]:
    """Give the records of topics up to the ends that they have now, and stop there.

    Raises:
        UnreachableError, MissingTopicError, KafkaRefusalError: It cannot be done.
    """
    async with reader(kafka, topics, from_start=True) as consumer:
        with translated(kafka):
            ends = await consumer.end_offsets(consumer.assignment())
        while True:
            # Positions, not records: a partition may end in offsets that hold none.
            with translated(kafka):
                left = [at for at, end in ends.items() if await consumer.position(at) < end]
            if not left:
                return
            for record in await next_records(consumer, kafka):
                yield PlacedRecord(
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    key=record.key,
                    value=record.value,
                    headers=tuple(record.headers),
                )
