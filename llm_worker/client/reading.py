"""Reading topics without a consumer group: nobody else gets fewer records for it."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from llm_worker.application.ending_well import let_end_well
from llm_worker.client.errors import MissingTopicError, translated
from llm_worker.domain.delivery import PlacedRecord

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping

    from aiokafka import ConsumerRecord

_PATIENCE_MS = 1000
_METADATA_AGE_MS = 60_000
# Else the broker answers for each single record, and asking is most of what we do.
_IN_BULK: Final = MappingProxyType({"fetch_min_bytes": 65_536, "fetch_max_wait_ms": 20})


def connection_to(kafka: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """Give connection arguments, also for servers that are named alone."""
    return {"bootstrap_servers": kafka} if isinstance(kafka, str) else kafka


async def follow(
    kafka: Mapping[str, Any], topics: Collection[str], *, from_start: bool
) -> AsyncGenerator[PlacedRecord]:
    """Give the records of topics as they come, for ever: in order within each partition.

    Raises:
        UnreachableError, MissingTopicError, KafkaRefusalError: It cannot be done.
    """
    async with (
        reader(kafka, topics, from_start=from_start) as consumer,
        aclosing(records_of(consumer, kafka)) as records,
    ):
        async for record in records:
            yield placed(record)


@asynccontextmanager
async def reader(
    kafka: Mapping[str, Any],
    topics: Collection[str],
    *,
    from_start: bool = False,
    in_bulk: bool = False,
) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer of all partitions that gets what is written from now on, or everything.

    "Now" is fixed on entry. Partitions that are added to a topic later are read by `records_of`
    alone. `in_bulk` is for who reads very many records: it asks 50 times a second where there are
    none.

    Raises:
        UnreachableError, MissingTopicError, KafkaRefusalError: It cannot be done.
    """
    consumer = AIOKafkaConsumer(
        **{"metadata_max_age_ms": _METADATA_AGE_MS, **kafka},
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **(_IN_BULK if in_bulk else {}),
    )
    try:
        with translated(kafka):
            await consumer.start()
            keep_cancellations_in(consumer)
            await _position(consumer, topics, from_start=from_start)
        yield consumer
    finally:
        await consumer.stop()


def keep_cancellations_in(consumer: AIOKafkaConsumer) -> None:
    """Keep the cancellation of a consumer's fetches from whoever stops it.

    aiokafka cancels and awaits them, and one that pauses after a failure lets it out: while a
    broker is away, who stops a consumer would seem to be cancelled, and connections stayed open.
    """
    fetcher = consumer._fetcher  # noqa: SLF001 - no public way
    let_end_well(fetcher, "_proc_fetch_request", "_update_fetch_positions")


async def next_records(
    consumer: AIOKafkaConsumer, kafka: Mapping[str, Any]
) -> list[ConsumerRecord]:
    """Wait a little for records; an empty list means that none came."""
    with translated(kafka):
        batches = await consumer.getmany(timeout_ms=_PATIENCE_MS)
    return [record for records in batches.values() for record in records]


async def records_of(
    consumer: AIOKafkaConsumer, kafka: Mapping[str, Any]
) -> AsyncGenerator[ConsumerRecord]:
    """Give what comes, for ever, also of partitions that a topic gets meanwhile."""
    while True:
        for record in await next_records(consumer, kafka):
            yield record
        await _take_in_added(consumer)


async def _take_in_added(consumer: AIOKafkaConsumer) -> None:
    taken = consumer.assignment()
    added = {
        TopicPartition(topic, number)
        for topic in {each.topic for each in taken}
        for number in consumer.partitions_for_topic(topic) or ()
    } - taken
    if not added:
        return
    offsets = {partition: await consumer.position(partition) for partition in taken}
    consumer.assign([*taken, *added])
    for partition, offset in (offsets | dict.fromkeys(added, 0)).items():
        consumer.seek(partition, offset)


def placed(record: ConsumerRecord) -> PlacedRecord:
    """Give a record of aiokafka as one of ours."""
    return PlacedRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )


async def offsets_since(
    consumer: AIOKafkaConsumer, since_ms: int, ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Say from which offset on no record of a partition is left out that is as young as a time.

    `since_ms` is in milliseconds since 1970. Without such a record, and at most, it is the end.
    """
    found = await consumer.offsets_for_times(dict.fromkeys(ends, since_ms))
    first = {at: end if found.get(at) is None else found[at].offset for at, end in ends.items()}
    return {at: min(offset, ends[at]) for at, offset in first.items()}


async def require_topics(consumer: AIOKafkaConsumer, topics: Collection[str]) -> None:
    """Check that topics exist; asking for one that does not would take aiokafka 40 seconds.

    Raises:
        MissingTopicError: Not all do.
    """
    missing = sorted(set(topics) - await consumer.topics())
    if missing:
        raise MissingTopicError(
            f"not on the broker, or not for this user to see: {', '.join(missing)}; create them "
            "with `llm-worker topics create`, or have the right to describe them granted"
        )


async def _position(
    consumer: AIOKafkaConsumer, topics: Collection[str], *, from_start: bool
) -> None:
    await require_topics(consumer, topics)
    partitions = [
        TopicPartition(topic, number)
        for topic in topics
        for number in await _partitions_of(consumer, topic)
    ]
    consumer.assign(partitions)
    # The offsets themselves, not "the end": that would be looked up later, after our first send.
    find = consumer.beginning_offsets if from_start else consumer.end_offsets
    for partition, offset in (await find(partitions)).items():
        consumer.seek(partition, offset)


async def _partitions_of(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    # Not public, but the public way to the partitions of a topic is to subscribe to it first.
    found: set[int] = await consumer._client._wait_on_metadata(topic)  # noqa: SLF001
    return found
