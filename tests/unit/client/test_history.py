from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from llm_worker.client.errors import UnreachableError
from llm_worker.client.history import _time_near, _until
from tests.support.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from aiokafka import AIOKafkaConsumer

FIRST, SECOND = TopicPartition("t", 0), TopicPartition("t", 1)
KAFKA = {"bootstrap_servers": "kafka:9092"}


def a_record(at: TopicPartition, offset: int) -> ConsumerRecord[bytes, bytes]:
    return ConsumerRecord(
        topic=at.topic, partition=at.partition, offset=offset, timestamp=1_000 + offset,
        timestamp_type=0, key=b"k", value=b"v", checksum=None, serialized_key_size=1,
        serialized_value_size=1, headers=(),
    )  # fmt: skip


@dataclass
class Topic:
    """Two partitions of so many records, one record a fetch; some have no leader."""

    ends: dict[TopicPartition, int]
    without_leader: set[TopicPartition] = field(default_factory=set)
    fetch_s: float = 0
    positions: dict[TopicPartition, int] = field(default_factory=dict)

    def seek(self, at: TopicPartition, offset: int) -> None:
        self.positions[at] = offset

    async def position(self, at: TopicPartition) -> int:
        return self.positions.get(at, 0)

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[Any, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[Any, int]:
        return {at: self.ends[at] for at in partitions}

    async def getmany(self, *, timeout_ms: int, **_: object) -> dict[Any, list[Any]]:
        for at, end in self.ends.items():
            offset = await self.position(at)
            if at not in self.without_leader and offset < end:
                await asyncio.sleep(self.fetch_s)
                self.positions[at] = offset + 1
                return {at: [a_record(at, offset)]}
        await asyncio.sleep(timeout_ms / 1000)
        return {}

    @property
    def consumer(self) -> AIOKafkaConsumer:
        return cast("AIOKafkaConsumer", self)


async def offsets(topic: Topic) -> list[int]:
    return [record.offset async for record in _until(topic.consumer, topic.ends, KAFKA)]


def in_virtual_time(story: Coroutine[None, None, Any]) -> Any:  # noqa: ANN401 - the story's
    async def bounded() -> Any:  # noqa: ANN401 - the story's
        async with asyncio.timeout(3_600):
            return await story

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(bounded())


def test_partition_that_gives_nothing_for_long_ends_the_reading() -> None:
    topic = Topic({FIRST: 3, SECOND: 1}, without_leader={SECOND})

    with pytest.raises(UnreachableError, match=r"t, partition 1: .*within 30 s"):
        in_virtual_time(offsets(topic))


def test_topic_that_gives_a_record_now_and_then_is_read_to_its_end() -> None:
    assert in_virtual_time(offsets(Topic({FIRST: 4}, fetch_s=29))) == [0, 1, 2, 3]


def test_record_whose_time_is_asked_for_ends_the_reading_when_it_does_not_come() -> None:
    topic = Topic({FIRST: 3}, without_leader={FIRST})

    with pytest.raises(UnreachableError, match="t, partition 0"):
        in_virtual_time(_time_near(topic.consumer, FIRST, 1, KAFKA))


@pytest.mark.parametrize(("offset", "at_ms"), [(1, 1_001), (3, 1_002), (4, None)])
def test_time_is_that_of_the_record_at_the_offset_or_before_it(
    offset: int, at_ms: int | None
) -> None:
    found = in_virtual_time(_time_near(Topic({FIRST: 3}).consumer, FIRST, offset, KAFKA))

    assert found == at_ms
