"""Reading what topics hold: up to their present ends, from an offset on, or a while back."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from aiokafka import TopicPartition

from llm_worker.client.errors import UnreachableError, translated
from llm_worker.client.reading import next_records, offsets_since, placed, reader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping

    from aiokafka import AIOKafkaConsumer

    from llm_worker.domain.delivery import PlacedRecord

    Place = tuple[str, int]
    """A topic and a partition."""

_PATIENCE_S: Final = 30.0
"""Seconds in which some partition gives something, or it is an outage."""


async def read_to_end(
    kafka: Mapping[str, Any],
    topics: Collection[str],
    *,
    since_ms: int | None = None,
    offsets: Mapping[Place, int] = MappingProxyType({}),
) -> AsyncGenerator[PlacedRecord]:
    """Give the records of topics up to the ends that they have now, and stop there.

    Partitions begin at their offset, those without one at the time `since_ms` (milliseconds since
    1970), or with their first record.

    Raises:
        UnreachableError, MissingTopicError, KafkaRefusalError: It cannot be done.
    """
    async with reader(kafka, topics, from_start=True, in_bulk=True) as consumer:
        with translated(kafka):
            ends = await consumer.end_offsets(consumer.assignment())
            if since_ms is not None:
                await _seek_to_time(consumer, since_ms, ends)
            await _seek_to_offsets(consumer, offsets, ends)
        async for record in _until(consumer, ends, kafka):
            yield record


async def read_last(
    kafka: Mapping[str, Any], topic: str, *, at_most: int
) -> AsyncGenerator[PlacedRecord]:
    """Give the last records of each partition, at most so many.

    Raises:
        UnreachableError, MissingTopicError, KafkaRefusalError: It cannot be done.
    """
    async with reader(kafka, [topic], from_start=True, in_bulk=True) as consumer:
        with translated(kafka):
            starts = await consumer.beginning_offsets(consumer.assignment())
            ends = await consumer.end_offsets(consumer.assignment())
            for at, end in ends.items():
                consumer.seek(at, max(starts[at], end - at_most))
        async for record in _until(consumer, ends, kafka):
            yield record


async def read_before(
    kafka: Mapping[str, Any], place: Place, offset: int, *, back_ms: int
) -> AsyncGenerator[PlacedRecord]:
    """Give the records before an offset that are at most `back_ms` older than the one at it.

    With nothing at the offset, than the last one.

    Raises:
        UnreachableError, MissingTopicError, KafkaRefusalError: It cannot be done.
    """
    partition = TopicPartition(*place)
    async with reader(kafka, [place[0]], from_start=True, in_bulk=True) as consumer:
        with translated(kafka):
            consumer.assign([partition])
            at_ms = await _time_near(consumer, partition, offset, kafka)
            if at_ms is None:
                return
            await _seek_to_time(consumer, at_ms - back_ms, {partition: offset})
        async for record in _until(consumer, {partition: offset}, kafka):
            yield record


async def read_at(
    kafka: Mapping[str, Any], topic: str, places: Collection[tuple[int, int]]
) -> AsyncGenerator[PlacedRecord]:
    """Give the records of a topic at these partitions and offsets, as far as they are there.

    Raises:
        UnreachableError, MissingTopicError, KafkaRefusalError: It cannot be done.
    """
    async with reader(kafka, [topic], from_start=True, in_bulk=True) as consumer:
        with translated(kafka):
            partitions = {at.partition for at in consumer.assignment()}
            offsets: dict[TopicPartition, set[int]] = {}
            for partition, offset in places:
                if partition in partitions:
                    offsets.setdefault(TopicPartition(topic, partition), set()).add(offset)
            if not offsets:
                return
            consumer.assign(list(offsets))
            await _seek_to_offsets(
                consumer,
                {(at.topic, at.partition): min(wanted) for at, wanted in offsets.items()},
                ends := await consumer.end_offsets(list(offsets)),
            )
        last = {at: min(ends[at], max(wanted) + 1) for at, wanted in offsets.items()}
        async for record in _until(consumer, last, kafka):
            if record.offset in offsets[TopicPartition(topic, record.partition)]:
                yield record


async def _until(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], kafka: Mapping[str, Any]
) -> AsyncGenerator[PlacedRecord]:
    loop = asyncio.get_running_loop()
    before, moved_s = dict[TopicPartition, int](), loop.time()
    while True:
        # Positions, not records: a partition may end in offsets that hold none.
        with translated(kafka):
            positions = {at: await consumer.position(at) for at in ends}
        left = [at for at, end in ends.items() if positions[at] < end]
        if not left:
            return
        if positions != before:
            before, moved_s = positions, loop.time()
        elif loop.time() - moved_s >= _PATIENCE_S:
            raise UnreachableError(
                f"{left[0].topic}, partition {left[0].partition}: nothing can be read within "
                f"{_PATIENCE_S:.0f} s: check that its leader is up"
            )
        for record in await next_records(consumer, kafka):
            if record.offset < ends[TopicPartition(record.topic, record.partition)]:
                yield placed(record)


async def _time_near(
    consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int, kafka: Mapping[str, Any]
) -> int | None:
    """Give the time of the record at an offset, or before it; None where there is none."""
    start = (await consumer.beginning_offsets([partition]))[partition]
    end = (await consumer.end_offsets([partition]))[partition]
    for first in (offset, offset - 1):
        if start <= first < end:
            consumer.seek(partition, first)
            async with aclosing(_until(consumer, {partition: end}, kafka)) as records:
                async for record in records:
                    return record.at_ms
    return None


async def _seek_to_time(
    consumer: AIOKafkaConsumer, since_ms: int, ends: Mapping[TopicPartition, int]
) -> None:
    for at, offset in (await offsets_since(consumer, since_ms, ends)).items():
        consumer.seek(at, offset)


async def _seek_to_offsets(
    consumer: AIOKafkaConsumer, offsets: Mapping[Place, int], ends: Mapping[TopicPartition, int]
) -> None:
    starts = await consumer.beginning_offsets(ends)
    for place, offset in offsets.items():
        at = TopicPartition(*place)
        if at in ends:
            consumer.seek(at, min(max(offset, starts[at]), ends[at]))
