"""The safe consumer: what it may commit, and what it survives."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiokafka.errors import CommitFailedError, IllegalGenerationError, KafkaConnectionError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from structlog.testing import capture_logs

from llm_worker.adapters.kafka import consumer as consumer_module
from tests.support.apps import Drains, FakeThread, brokerless_app, consumer_of
from tests.support.events import message_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faust.types import Message

    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.adapters.kafka.consumer import SafeConsumer, SafeConsumerThread

_TP = TP("requests", 0)
_OTHER = TP("requests", 1)


@pytest.fixture
def app() -> Iterator[DeliveryApp]:
    with brokerless_app(Drains()) as app:
        yield app


@pytest.fixture
def consumer(app: DeliveryApp) -> SafeConsumer:
    return consumer_of(app)[0]


def _pull(consumer: SafeConsumer, *offsets: int, **message: Any) -> list[Message]:  # noqa: ANN401 - passed on
    messages = [message_of(offset, **message) for offset in offsets]
    for each in messages:
        consumer.track_message(each)
    return messages


def _thread(consumer: SafeConsumer) -> FakeThread:
    return cast("FakeThread", consumer._thread)


async def test_commits_up_to_behind_the_last_ack(consumer: SafeConsumer) -> None:
    for message in _pull(consumer, 5, 6):
        consumer.ack(message)
    assert consumer.committable() == {_TP: 7}
    assert await consumer.force_commit()
    assert _thread(consumer).commits == [{_TP: 7}]


async def test_never_commits_at_or_past_a_record_in_flight_even_if_acks_skip_it(
    consumer: SafeConsumer,
) -> None:
    """Faust's own arithmetic commits 13 here, past records 10 to 12: faust-streaming #606."""
    ten, eleven, twelve = _pull(consumer, 10, 11, 12)
    consumer.ack(twelve)
    assert consumer.committable() == {_TP: 10}
    consumer.ack(ten)
    assert consumer.committable() == {_TP: 11}
    consumer.ack(eleven)
    assert consumer.committable() == {_TP: 13}


async def test_first_record_of_a_new_group_is_protected_too(consumer: SafeConsumer) -> None:
    _, second = _pull(consumer, 0, 1)
    consumer.ack(second)
    assert consumer.committable() == {}


async def test_record_after_a_gap_in_the_log_is_not_taken_as_acked(consumer: SafeConsumer) -> None:
    before, after = _pull(consumer, 10, 15)
    await consumer._add_gap(_TP, 11, 15)
    consumer.ack(before)
    assert consumer.committable() == {_TP: 11}
    consumer.ack(after)
    assert consumer.committable() == {_TP: 16}


async def test_record_in_flight_is_held_even_if_nobody_else_holds_it(
    consumer: SafeConsumer,
) -> None:
    """Faust's set of unacked messages is weak: a forgotten one would be committed past."""
    [message] = _pull(consumer, 10, 11)[1:]
    gc.collect()
    consumer.ack(message)
    assert consumer.committable() == {_TP: 10}


async def test_partitions_are_committed_each_by_itself(consumer: SafeConsumer) -> None:
    [here] = _pull(consumer, 5)
    [there] = _pull(consumer, 50, partition=1)
    consumer.ack(there)
    assert consumer.committable() == {_OTHER: 51}
    consumer.ack(here)
    assert consumer.committable() == {_TP: 6, _OTHER: 51}


async def test_refused_commit_is_tried_again(consumer: SafeConsumer) -> None:
    thread = _thread(consumer)
    thread.accepts = False
    for message in _pull(consumer, 5):
        consumer.ack(message)
    assert not await consumer.force_commit()
    assert consumer.uncommitted_age_s() is not None
    thread.accepts = True
    assert await consumer.force_commit()
    assert thread.commits == [{_TP: 6}, {_TP: 6}]
    assert consumer.uncommitted_age_s() is None


async def test_what_is_committed_is_not_committed_again(consumer: SafeConsumer) -> None:
    for message in _pull(consumer, 5):
        consumer.ack(message)
    assert await consumer.force_commit()
    assert not await consumer.force_commit()
    assert len(_thread(consumer).commits) == 1


async def test_ack_of_an_older_generation_counts_for_nothing(
    consumer: SafeConsumer, app: DeliveryApp
) -> None:
    [message] = _pull(consumer, 5)
    app.consumer_generation_id = 2
    consumer.ack(message)
    assert consumer.committable() == {}
    assert consumer.uncommitted_age_s() is None


async def test_generation_begins_with_an_empty_book(
    consumer: SafeConsumer, app: DeliveryApp
) -> None:
    """A mark, or a record, left from an older one would take the group back, or hold it up."""
    done, _left = _pull(consumer, 5, 9)
    consumer.ack(done)
    consumer._on_partitions_assigned = _nothing  # Faust's part needs a broker
    app.on_rebalance_start()
    app.consumer_generation_id = 2
    await consumer.on_partitions_assigned({_TP}, 2)
    assert consumer.committable() == {}
    assert consumer.uncommitted_age_s() is None

    for message in _pull(consumer, 100, generation=2):
        consumer.ack(message)
    assert consumer.committable() == {_TP: 101}


async def test_record_that_came_twice_holds_up_nothing(consumer: SafeConsumer) -> None:
    first, again = _pull(consumer, 5, 5)
    consumer.drop(again)
    consumer.ack(first)
    assert consumer.committable() == {_TP: 6}


async def test_drain_ends_with_a_commit_and_does_not_wait_for_what_is_in_flight(
    consumer: SafeConsumer,
) -> None:
    done, _hangs = _pull(consumer, 5, 6)
    consumer.ack(done)
    async with asyncio.timeout(10):
        await consumer.wait_empty()
    assert _thread(consumer).commits == [{_TP: 6}]


async def test_spans_reach_from_the_commit_to_the_end(consumer: SafeConsumer) -> None:
    thread = _thread(consumer)
    thread.assigned, thread.ends = {_TP, _OTHER}, {_TP: 40}
    consumer._committed_offset[_TP] = 4
    assert consumer.spans() == {_TP: (4, 40), _OTHER: (None, 0)}
    for message in _pull(consumer, 5):
        consumer.ack(message)
    await consumer.force_commit()
    assert consumer.spans()[_TP] == (6, 40)


class _Coordinator:
    """The part of aiokafka's that sends heartbeats."""

    def __init__(self) -> None:
        self.is_accepted = True

    async def _do_heartbeat(self) -> bool:
        return self.is_accepted


class _Client:
    """aiokafka's consumer, as far as a commit and the heartbeats need it."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.commits: list[dict[TopicPartition, OffsetAndMetadata]] = []
        self._coordinator = _Coordinator()
        self.committed: dict[TopicPartition, int | None] = {}
        self.rewound: list[TopicPartition] = []

    async def seek_to_committed(self) -> dict[TopicPartition, int | None]:
        return self.committed

    async def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        self.rewound += partitions

    async def commit(self, marks: dict[TopicPartition, OffsetAndMetadata]) -> None:
        self.commits.append(marks)
        if self.refusal is not None:
            raise self.refusal

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(*_TP)}


def _client(thread: SafeConsumerThread) -> _Client:
    return cast("_Client", thread._consumer)


@pytest.fixture
def thread(app: DeliveryApp) -> SafeConsumerThread:
    consumer_of(app)
    thread: SafeConsumerThread = cast("Any", app.consumer)._thread_of_faust
    thread._consumer = _Client()
    return thread


async def test_commit_leaves_out_partitions_that_are_not_ours(thread: SafeConsumerThread) -> None:
    assert await thread._commit({_TP: 6, _OTHER: 51})
    assert _client(thread).commits == [{TopicPartition(*_TP): OffsetAndMetadata(6, "")}]
    assert not await thread._commit({_OTHER: 51})


@pytest.mark.parametrize(("committed", "is_rewound"), [(None, True), (0, True), (7, False)])
async def test_partition_without_a_commit_is_rewound_too(
    thread: SafeConsumerThread, committed: int | None, *, is_rewound: bool
) -> None:
    here, not_ours = TopicPartition(*_TP), TopicPartition(*_OTHER)
    _client(thread).committed = {here: committed, not_ours: None}
    assert await thread._seek_to_committed() == {here: committed, not_ours: None}
    assert _client(thread).rewound == ([here] if is_rewound else [])


@pytest.mark.parametrize(
    "refusal", [CommitFailedError(), IllegalGenerationError(), KafkaConnectionError()]
)
async def test_refused_commit_does_not_crash_the_process(
    thread: SafeConsumerThread, refusal: Exception
) -> None:
    thread._consumer = _Client(refusal)
    assert not await thread._commit({_TP: 6})
    assert thread.crashed is False


async def test_only_an_accepted_heartbeat_is_a_sign_of_life(thread: SafeConsumerThread) -> None:
    thread._watch_heartbeats()
    coordinator = _client(thread)._coordinator
    coordinator.is_accepted = False
    assert not await coordinator._do_heartbeat()
    assert thread.last_heartbeat_s == float("-inf")
    coordinator.is_accepted = True
    assert await coordinator._do_heartbeat()
    assert thread.last_heartbeat_s > 0


async def _nothing(*_: object) -> None:
    pass


async def test_thread_that_is_stopped_before_a_broker_answers_ends_quietly(
    consumer: SafeConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = cast("Any", consumer)._thread_of_faust
    monkeypatch.setattr(consumer_module, "_RETRY_START_S", 0.0)
    tries = 0

    async def refuse(_self: object) -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            thread._stopped.set()
        raise KafkaConnectionError

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "on_start", refuse)
    with capture_logs() as lines:
        await thread.on_start()
    assert tries == 3
    assert [line["event"] for line in lines] == ["broker_unreachable"], "said once"
