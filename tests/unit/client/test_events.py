from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, GroupAuthorizationFailedError
from aiokafka.structs import ConsumerRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.client.deliveries import Deliveries
from llm_worker.client.errors import NotAllowedError, UnreadableEventError
from llm_worker.client.events import EventReader, GivenIds
from llm_worker.contracts.events import (
    LLMCacheMissV1,
    LLMCostAlertV1,
    LLMCostTrackingV1,
    LLMRequestCompletedV1,
)
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_worker.contracts.envelope import EventEnvelope

TOPICS = load_topics()
TOPIC = TOPICS.on_broker(TopicName.CACHE_MISS)
COSTS = TOPICS.on_broker(TopicName.COST_TRACKING)
FIRST = TopicPartition(TOPIC, 0)


def an_event(number: int, data: dict[str, Any] | None = None, topic: str = TOPIC) -> bytes:
    miss = {"provider": "mock", "model": "m", "correlation_id": str(UUID(int=number))}
    return orjson.dumps(
        {
            "event_id": str(UUID(int=number)),
            "event_type": topic,
            "event_timestamp": "2026-11-23T12:00:00Z",
            "source_service": "test",
            "correlation_id": str(UUID(int=number)),
            "data": {**miss, **(data or {})},
            "a_field_of_tomorrow": 1,
        }
    )


def a_cost(number: int, outcome: str) -> bytes:
    cost = {
        "cost_estimate_usd": 0.1,
        "cost_known": outcome != "unknown",
        "token_usage": {},
        "cached": False,
        "service_name": "test",
        "request_timestamp": "2026-11-23T12:00:00Z",
        "response_time_ms": 1,
        "attempt": 1,
        "outcome": outcome,
    }
    return an_event(number, cost, COSTS)


@dataclass
class Group:
    """A consumer group with one member of ours; `records` are the logs of the partitions."""

    records: dict[TopicPartition, list[bytes]]
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    ours: set[TopicPartition] = field(default_factory=set)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    done: set[bytes] = field(default_factory=set)
    refuses: list[bool] = field(default_factory=list)
    error: Exception = field(default_factory=CommitFailedError)
    polls: int = 0

    def assign(self, partitions: set[TopicPartition]) -> None:
        self.ours = set(partitions)
        self.positions = {at: self.committed.get(at, 0) for at in partitions}

    async def getmany(
        self, *, timeout_ms: int, max_records: int | None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        del timeout_ms
        self.polls += 1
        await asyncio.sleep(0)
        found = {}
        for at in self.ours:
            first = self.positions[at]
            found[at] = [
                a_record(at, first + number, value)
                for number, value in enumerate(self.records[at][first : first + (max_records or 3)])
            ]
            self.positions[at] += len(found[at])
        return found

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self.refuses and self.refuses.pop():
            raise self.error
        for at, offset in offsets.items():
            assert at in self.ours
            lost = set(self.records[at][:offset]) - self.done
            assert not lost, "committed past what is done"
            assert offset >= self.committed.get(at, 0), "committed backwards"
            self.committed[at] = offset

    def work_elsewhere(self, at: TopicPartition, count: int) -> None:
        """Another member does the next records of a partition."""
        first = self.committed.get(at, 0)
        self.done.update(self.records[at][first : first + count])
        self.committed[at] = min(first + count, len(self.records[at]))

    @property
    def is_finished(self) -> bool:
        return all(self.committed.get(at, 0) == len(log) for at, log in self.records.items())


def a_record(at: TopicPartition, offset: int, value: bytes | None) -> ConsumerRecord:
    return ConsumerRecord(at.topic, at.partition, offset, 0, 0, None, value, None, 0, 0, ())


def a_reader(group: Group, *, commit_every_s: float = 0) -> EventReader[Any]:
    """One that has been entered, without Kafka."""
    reader: EventReader[Any] = EventReader(
        "nowhere", [LLMCacheMissV1, LLMCostTrackingV1], group="g"
    )
    reader._given = GivenIds(100)
    reader._deliveries = Deliveries(group, {}, commit_every_s=commit_every_s)
    return reader


async def take(reader: EventReader[Any], count: int) -> list[EventEnvelope[Any]]:
    return [await anext(reader) for _ in range(count)]


STEPS = st.one_of(
    st.just("next"),
    st.just("next"),
    st.just("crash"),
    st.tuples(st.sets(st.integers(0, 1)), st.integers(0, 1), st.integers(0, 2)),
)


@settings(max_examples=100, deadline=None)
@given(
    logs=st.lists(st.lists(st.integers(1, 6), max_size=6), min_size=2, max_size=2),
    steps=st.lists(STEPS, max_size=30),
    refuses=st.lists(st.booleans(), max_size=10),
    commit_every_s=st.sampled_from([0, math.inf]),
)
def test_every_event_is_done_and_none_is_given_twice_in_a_run(
    logs: list[list[int]], steps: Sequence[Any], refuses: list[bool], commit_every_s: float
) -> None:
    partitions = [TopicPartition(TOPIC, number) for number in (0, 1)]
    group = Group(
        {at: [an_event(n) for n in log] for at, log in zip(partitions, logs, strict=True)},
        refuses=refuses,
    )
    asyncio.run(_live(group, partitions, steps, commit_every_s))
    assert group.is_finished
    assert group.done == {value for log in group.records.values() for value in log}


class Run:
    """One life of a reader: what it was given, and what it has in hand."""

    def __init__(self, group: Group, partitions: set[TopicPartition], every_s: float) -> None:
        group.assign(partitions)
        self._group = group
        self.reader = a_reader(group, commit_every_s=every_s)
        self._given: list[UUID] = []
        self._in_hand: UUID | None = None

    async def next(self) -> bool:
        """Ask for the next event, and so be done with the one in hand; False: there is none."""
        if self._in_hand is not None:
            self._group.done.add(an_event(self._in_hand.int))
        self._in_hand = None
        asking = asyncio.ensure_future(anext(self.reader))
        for _ in range(50):
            await asyncio.sleep(0)
        if not asking.done():
            asking.cancel()
            await asyncio.wait({asking})
            return False
        self._in_hand = asking.result().event_id
        assert self._in_hand not in self._given
        self._given.append(self._in_hand)
        return True


async def _live(
    group: Group, partitions: list[TopicPartition], steps: Sequence[Any], every_s: float
) -> None:
    run = Run(group, set(partitions), every_s)
    for step in [*steps, (set(range(2)), 0, 0)]:
        if step == "crash":
            run = Run(group, set(partitions), every_s)
        elif step == "next":
            await run.next()
        else:
            numbers, elsewhere, count = step
            await run.reader._deliveries.on_partitions_revoked(partitions)
            group.work_elsewhere(partitions[elsewhere], count)
            group.assign({partitions[number] for number in numbers})
    # Whatever has been, whoever goes on gets to the end.
    group.refuses.clear()
    while await run.next():
        pass
    await run.reader._deliveries.commit()


async def test_event_in_hand_is_committed_only_once_the_next_is_asked_for() -> None:
    group = Group({FIRST: [an_event(1), an_event(2)]}, done={an_event(1)})
    group.assign({FIRST})
    reader = a_reader(group)
    await take(reader, 1)
    await reader._deliveries.commit()
    assert group.committed == {}
    await take(reader, 1)
    assert group.committed == {FIRST: 1}


async def test_group_is_asked_again_while_events_that_came_are_slowly_handled() -> None:
    """It counts from the last time, and takes the partitions of who stays away for long."""
    group = Group({FIRST: [an_event(n) for n in range(1, 4)]})
    group.done.update(group.records[FIRST])
    group.assign({FIRST})
    reader = a_reader(group)
    await take(reader, 1)
    before = group.polls
    await take(reader, 1)
    assert group.polls == before + 1


async def test_leaving_by_an_exception_commits_only_what_came_before() -> None:
    group = Group({FIRST: [an_event(1), an_event(2)]}, done={an_event(1)})
    group.assign({FIRST})
    reader = a_reader(group, commit_every_s=math.inf)
    await take(reader, 2)
    await reader.__aexit__(ValueError, ValueError(), None)
    assert group.committed == {FIRST: 1}


async def test_leaving_without_an_exception_commits_the_event_in_hand() -> None:
    group = Group({FIRST: [an_event(1), an_event(2)]}, done={an_event(1), an_event(2)})
    group.assign({FIRST})
    reader = a_reader(group, commit_every_s=math.inf)
    await take(reader, 2)
    await reader.__aexit__(None, None, None)
    assert group.committed == {FIRST: 2}


async def test_refused_commit_is_tried_again() -> None:
    group = Group({FIRST: [an_event(1), an_event(2), an_event(3)]}, refuses=[True])
    group.done = set(group.records[FIRST])
    group.assign({FIRST})
    reader = a_reader(group)
    await take(reader, 3)
    await reader._deliveries.commit()
    assert group.committed == {FIRST: 2}


async def test_what_is_committed_is_not_committed_again() -> None:
    group = Group({FIRST: [an_event(1)]}, done={an_event(1)})
    group.assign({FIRST})
    reader = a_reader(group)
    await take(reader, 1)
    reader._deliveries.finish()
    await reader._deliveries.commit()
    group.work_elsewhere(FIRST, -1)
    await reader._deliveries.commit()
    assert group.committed == {FIRST: 0}


async def test_what_could_not_be_committed_is_forgotten_when_partitions_move() -> None:
    group = Group({FIRST: [an_event(number) for number in (1, 2, 3)]}, refuses=[True])
    group.done = {an_event(1)}
    group.assign({FIRST})
    reader = a_reader(group, commit_every_s=math.inf)
    await take(reader, 2)
    await reader._deliveries.on_partitions_revoked([FIRST])
    group.work_elsewhere(FIRST, 2)
    group.assign({FIRST})
    await reader._deliveries.commit()
    assert group.committed == {FIRST: 2}


async def test_group_that_we_may_not_use_is_said() -> None:
    group = Group({FIRST: [an_event(1), an_event(2)]}, done={an_event(1)}, refuses=[True])
    group.error = GroupAuthorizationFailedError("g")
    group.assign({FIRST})
    reader = a_reader(group)
    await take(reader, 1)
    with pytest.raises(NotAllowedError, match="right"):
        await take(reader, 1)


@pytest.mark.parametrize(
    "value", [None, b"", b"no JSON: an essay", b"[]", an_event(1).replace(b'"model"', b'"m"')]
)
async def test_record_that_cannot_be_read_is_named_and_passed_over_only_when_asked(
    value: bytes,
) -> None:
    group = Group({FIRST: [an_event(1), value, an_event(2)]})
    group.done = {an_event(1), value}
    group.assign({FIRST})
    reader = a_reader(group)
    await take(reader, 1)
    with pytest.raises(UnreadableEventError, match=r"partition 0, offset 1") as raised:
        await anext(reader)
    assert raised.value.place == (TOPIC, 0, 1)
    assert "essay" not in str(raised.value)
    assert group.committed == {FIRST: 1}
    assert (await anext(reader)).event_id == UUID(int=2)
    assert group.committed == {FIRST: 2}


async def test_unknown_version_of_the_envelope_cannot_be_read() -> None:
    later = orjson.dumps({**orjson.loads(an_event(1)), "schema_version": 2})
    group = Group({FIRST: [later]})
    group.assign({FIRST})
    with pytest.raises(UnreadableEventError, match="schema_version"):
        await anext(a_reader(group))


async def test_cost_that_becomes_known_later_is_given_too_and_only_once() -> None:
    at = TopicPartition(COSTS, 0)
    outcomes = ["unknown", "unknown", "superseded", "superseded", "unknown"]
    group = Group({at: [*(a_cost(1, outcome) for outcome in outcomes), a_cost(2, "success")]})
    group.done = set(group.records[at])
    group.assign({at})
    events = await take(a_reader(group), 3)
    assert [event.data.outcome for event in events] == ["unknown", "superseded", "success"]


async def test_only_so_many_ids_are_remembered() -> None:
    group = Group({FIRST: [an_event(number) for number in (1, 2, 3, 1, 3)]})
    group.done = set(group.records[FIRST])
    group.assign({FIRST})
    reader = a_reader(group)
    reader._given = GivenIds(2)
    assert [event.event_id.int for event in await take(reader, 4)] == [1, 2, 3, 1]


def test_events_are_read_from_every_topic_that_has_them() -> None:
    topics = load_topics("p.")
    reader = EventReader[LLMCostTrackingV1 | LLMComparisonRequestV1](
        "nowhere", [LLMCostTrackingV1, LLMComparisonRequestV1], group="g", topics=topics
    )
    names = ("COST_TRACKING", "COMPARISON_REQUESTED", "COMPARISON_REQUESTED_BULK")
    assert set(reader._envelopes) == {topics.on_broker(TopicName[name]) for name in names}


def test_kind_that_no_topic_has_is_refused() -> None:
    class LLMUnheardOfV1(LLMCostAlertV1):
        """Not in topics.yaml."""

    with pytest.raises(ValueError, match="LLMUnheardOfV1"):
        EventReader[LLMRequestCompletedV1 | LLMUnheardOfV1](
            "nowhere", [LLMRequestCompletedV1, LLMUnheardOfV1], group="g"
        )
    with pytest.raises(ValueError, match="none given"):
        EventReader[LLMCostAlertV1]("nowhere", [], group="g")
