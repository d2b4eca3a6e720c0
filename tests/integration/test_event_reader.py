"""EventReader on a real broker: groups, crashes, rebalances."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from llm_worker.adapters.kafka.topics import create_topics
from llm_worker.client.errors import MissingTopicError, UnreachableError
from llm_worker.client.events import EventReader
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.events import LLMCacheMissV1, LLMCostTrackingV1
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import ProviderName, TopicName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.dev.kafka import EmbeddedKafka

Misses = EventReader[LLMCacheMissV1]
_QUICK = {"session_timeout_ms": 6000, "heartbeat_interval_ms": 200, "metadata_max_age_ms": 1000}


@pytest.fixture(scope="module")
def topics(kafka: EmbeddedKafka) -> TopicCatalog:
    catalog = load_topics(f"t{uuid4().hex[:8]}.")
    options = {"bootstrap_servers": kafka.bootstrap_servers}
    asyncio.run(create_topics(options, catalog, replication_factor=1))
    return catalog


@pytest.fixture
def misses(
    kafka: EmbeddedKafka, topics: TopicCatalog
) -> Callable[..., EventReader[LLMCacheMissV1]]:
    """Makes readers of cache misses, each for a group of this test."""
    group = f"g{uuid4().hex[:8]}"

    def make(**options: Any) -> EventReader[LLMCacheMissV1]:  # noqa: ANN401 - of a reader
        connection = {"bootstrap_servers": kafka.bootstrap_servers, **_QUICK}
        return EventReader(connection, [LLMCacheMissV1], group=group, topics=topics, **options)

    make.group = group  # type: ignore[attr-defined] # for who asks the broker about it
    return make


async def _write(
    kafka: EmbeddedKafka, topics: TopicCatalog, ids: Iterable[UUID], partition: int | None = None
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    try:
        for event_id in ids:
            envelope = EventEnvelope[LLMCacheMissV1](
                event_id=event_id,
                event_type=topics[TopicName.CACHE_MISS].name,
                event_timestamp="2026-11-23T12:00:00Z",
                source_service="test",
                correlation_id=event_id,
                data=LLMCacheMissV1(provider=ProviderName.MOCK, model="m", correlation_id=event_id),
            )
            await producer.send(
                topics.on_broker(TopicName.CACHE_MISS),
                envelope.model_dump_json().encode(),
                key=event_id.bytes,
                partition=partition,
            )
        await producer.flush()
    finally:
        await producer.stop()


def _ids(count: int) -> list[UUID]:
    return [uuid4() for _ in range(count)]


async def _read(reader: Misses, among: list[UUID], *, last: UUID) -> list[UUID]:
    """Read until an event has come; give those of ours, in the order in which they came."""
    found: list[UUID] = []
    async with asyncio.timeout(60):
        while last not in found:
            event = await anext(reader)
            if event.event_id in among:
                found.append(event.event_id)
    return found


async def test_reader_that_dies_between_two_events_meets_the_one_in_hand_again(
    kafka: EmbeddedKafka, topics: TopicCatalog, misses: Callable[..., Misses]
) -> None:
    ids = _ids(5)
    await _write(kafka, topics, ids, partition=0)

    async def die_with_the_third_in_hand() -> None:
        async with misses() as events:
            assert await _read(events, ids, last=ids[2]) == ids[:3]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await die_with_the_third_in_hand()
    async with misses() as events:
        assert await _read(events, ids, last=ids[4]) == ids[2:]


async def test_reader_that_leaves_goes_on_behind_the_last_event_and_duplicates_are_dropped(
    kafka: EmbeddedKafka, topics: TopicCatalog, misses: Callable[..., Misses]
) -> None:
    first, last, after = _ids(3), *_ids(2)
    await _write(kafka, topics, [*first, *first, last], partition=1)
    async with misses() as events:
        assert await _read(events, [*first, last], last=last) == [*first, last]
    await _write(kafka, topics, [after, after], partition=1)
    async with misses() as events:
        assert await _read(events, [*first, last, after], last=after) == [after]


async def test_two_readers_share_the_partitions_and_whoever_stays_gets_the_rest(
    kafka: EmbeddedKafka, topics: TopicCatalog, misses: Callable[..., Misses]
) -> None:
    done: dict[str, set[UUID]] = {"one": set(), "other": set()}

    async def follow(name: str, reader: Misses) -> None:
        async with reader as events:
            async for event in events:
                done[name].add(event.event_id)

    async def until(condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 - it is of two tasks
            await asyncio.sleep(0.05)

    async with asyncio.timeout(120), _tasks() as tasks:
        tasks["one"] = asyncio.ensure_future(follow("one", misses()))
        early, late, last = _ids(40), _ids(40), _ids(40)
        await _write(kafka, topics, early)
        await until(lambda: set(early) <= done["one"])
        tasks["other"] = asyncio.ensure_future(follow("other", misses()))
        await until_members(kafka, misses.group, 2)  # type: ignore[attr-defined] # see above
        await _write(kafka, topics, late)
        await until(lambda: set(late) <= done["one"] | done["other"])
        assert done["one"] & set(late)
        assert done["other"] & set(late)
        tasks["one"].cancel()
        await _write(kafka, topics, last)
        await until(lambda: set(last) <= done["one"] | done["other"])


@asynccontextmanager
async def _tasks() -> AsyncIterator[dict[str, asyncio.Future[None]]]:
    """Hold tasks that are cancelled in the end."""
    tasks: dict[str, asyncio.Future[None]] = {}
    try:
        yield tasks
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.wait(tasks.values())


async def until_members(kafka: EmbeddedKafka, group: str, count: int) -> None:
    """Wait until a group has so many members, and shares its partitions among them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        while True:
            [answer] = await admin.describe_consumer_groups([group])
            _, _, state, _, _, members, *_ = answer.groups[0]
            if state == "Stable" and len(members) == count:
                return
            await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def test_group_that_begins_now_gets_what_comes_after_it_was_first_entered(
    kafka: EmbeddedKafka, topics: TopicCatalog, misses: Callable[..., Misses]
) -> None:
    before, after = _ids(2), _ids(2)
    await _write(kafka, topics, before)
    async with misses(from_start=False):
        pass
    await _write(kafka, topics, after)
    async with misses(from_start=False) as events:
        async with asyncio.timeout(60):
            assert {(await anext(events)).event_id for _ in after} == set(after)


async def test_no_broker_and_no_topics_are_said_on_entering(kafka: EmbeddedKafka) -> None:
    with pytest.raises(UnreachableError):
        async with EventReader("127.0.0.1:1", [LLMCostTrackingV1], group="g"):
            pass
    nowhere = load_topics("nowhere.")
    with pytest.raises(MissingTopicError, match=r"nowhere\.huleedu"):
        async with EventReader(
            kafka.bootstrap_servers, [LLMCostTrackingV1], group="g", topics=nowhere
        ):
            pass
