"""The safe consumer: what it may commit, and what it survives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiokafka.consumer.fetcher import OffsetResetStrategy
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaConnectionError,
    for_code,
)
from aiokafka.protocol.commit import (
    OffsetFetchRequest,
    OffsetFetchResponse_v1,
    OffsetFetchResponse_v3,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.services import Service, WaitResults
from structlog.testing import capture_logs
from typing_extensions import override

from llm_worker.adapters.kafka import consumer as consumer_module
from llm_worker.adapters.kafka import consumer_thread
from llm_worker.adapters.kafka.consumer import LogWentBackError
from tests.support.apps import Drains, FakeThread, brokerless_app, consumer_of
from tests.support.events import message_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from faust.types import Message

    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.adapters.kafka.consumer import SafeConsumer
    from llm_worker.adapters.kafka.consumer_thread import SafeConsumerThread

_TP = TP("requests", 0)
_OTHER = TP("requests", 1)


@pytest.fixture
async def app() -> AsyncIterator[DeliveryApp]:
    with brokerless_app(Drains()) as app:
        yield app


@pytest.fixture
def consumer(app: DeliveryApp) -> SafeConsumer:
    return consumer_of(app)[0]


def _pull(consumer: SafeConsumer, *offsets: int, **message: Any) -> list[Message]:  # noqa: ANN401 - passed on
    messages = [message_of(offset, **message) for offset in offsets]
    for each in messages:
        consumer._books[each.tp].fetched.add(each.offset)
    return messages


async def _fetch(consumer: SafeConsumer, *offsets: int) -> None:
    _thread(consumer).fetched = [{_TP: [message_of(offset) for offset in offsets]}]
    consumer.resume_flow()
    cast("Any", consumer)._active_partitions = {_TP}
    await consumer._wait_next_records(1.0)


def _thread(consumer: SafeConsumer) -> FakeThread:
    return cast("FakeThread", consumer._thread)


async def test_commits_up_to_behind_the_last_ack(consumer: SafeConsumer) -> None:
    for message in _pull(consumer, 5, 6):
        assert consumer.ack(message)
        assert message.acked
    assert consumer.committable() == {_TP: 7}
    assert await consumer.force_commit()
    assert _thread(consumer).commits == [{_TP: 7}]


async def test_log_that_begins_anew_ends_the_process_and_what_comes_twice_does_not(
    consumer: SafeConsumer,
) -> None:
    for message in _pull(consumer, 5, 6):
        consumer.ack(message)
    await _fetch(consumer, 5)
    await consumer.force_commit()
    await _fetch(consumer, 7)
    with pytest.raises(LogWentBackError, match="partition 0, gives offset 0 after 7"):
        await _fetch(consumer, 0)


async def test_commit_that_outlives_its_generation_is_not_in_the_next_ones_book(
    consumer: SafeConsumer,
) -> None:
    """Or a log that begins where the next one's commit lies would seem to have gone back."""
    for message in _pull(consumer, 5, 6):
        consumer.ack(message)
    may_answer = asyncio.Event()

    async def late(_offsets: dict[TP, int]) -> bool:
        return await may_answer.wait()

    cast("Any", consumer)._commit = late
    committing = asyncio.ensure_future(consumer.force_commit())
    await asyncio.sleep(0)
    await consumer.on_partitions_assigned({_TP}, 2)
    may_answer.set()
    await committing
    await _fetch(consumer, 5)
    assert consumer.uncommitted_age_s() is None


async def test_first_record_of_all_is_committed(consumer: SafeConsumer) -> None:
    [message] = _pull(consumer, 0)
    consumer.ack(message)
    assert consumer.committable() == {_TP: 1}


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


@pytest.mark.parametrize("is_held", [True, False])
async def test_what_arrives_while_a_rebalance_holds_the_flow_is_read_again(
    consumer: SafeConsumer, *, is_held: bool
) -> None:
    """Faust throws it away, be it after it has gone back to what is committed."""
    thread = _thread(consumer)
    thread.fetched = [{_TP: [message_of(10), message_of(11)], _OTHER: []}]
    thread.on_fetch = consumer.stop_flow if is_held else lambda: None
    consumer.resume_flow()
    cast("Any", consumer)._active_partitions = {_TP}
    records, _ = await consumer._wait_next_records(1.0)
    assert (records is None) is is_held
    assert thread.unread_from == ([{_TP: 10}] if is_held else [])


async def test_record_noted_as_read_after_a_rebalance_hides_none_before_it(
    consumer: SafeConsumer,
) -> None:
    """A record waits at its queue while the flow is held; Faust notes it when that is over."""
    given, fetcher = list[int](), Service()

    async def fetched(**_timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        for offset in (12, 10, 11):  # 12 of the old generation, then what was gone back to
            yield _TP, message_of(offset)
        fetcher._stopped.set()

    async def hand_over(message: Message) -> None:
        given.append(message.offset)
        if message.offset == 12:
            consumer._read_offset.update({_TP: 10})  # as `perform_seek` does meanwhile

    cast("Any", consumer).getmany, cast("Any", consumer).callback = fetched, hand_over
    await consumer._drain_messages(fetcher)
    assert given == [12, 10, 11]


async def test_partition_that_has_no_position_yet_ends_nothing(consumer: SafeConsumer) -> None:
    """Faust's look for stuck streams asserts that there is one, and takes the process with it."""
    _thread(consumer).assigned = {_TP}
    await consumer.verify_all_partitions_active()


async def test_lowest_of_all_records_in_flight_is_the_limit(consumer: SafeConsumer) -> None:
    _lowest, *others = _pull(consumer, *range(10, 60))
    for message in reversed(others):
        consumer.ack(message)
        assert consumer.committable() == {_TP: 10}


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


async def test_record_that_no_agent_ever_pulls_is_not_committed_past(
    consumer: SafeConsumer,
) -> None:
    """It was lost on its way, by Faust or by us: it comes again when the process is restarted."""
    await _fetch(consumer, 10, 11)
    consumer.ack(message_of(11))
    assert consumer.committable() == {_TP: 10}


async def test_record_that_no_agent_ever_pulls_makes_what_is_behind_it_age(
    consumer: SafeConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the watchdog ends the process, however busy its other partitions are."""
    times_s = iter([10.0, 20.0, 30.0, 75.0])
    monkeypatch.setattr(consumer_module, "monotonic", lambda: next(times_s))
    await _fetch(consumer, 10, 11)
    consumer.ack(message_of(11))
    assert await consumer.force_commit()
    for message in _pull(consumer, 50, partition=1):
        consumer.ack(message)
    assert await consumer.force_commit()
    assert _thread(consumer).commits == [{_TP: 10}, {_OTHER: 51}]
    assert consumer.uncommitted_age_s() == 55


async def test_record_that_is_fetched_again_after_its_ack_holds_up_nothing(
    consumer: SafeConsumer,
) -> None:
    await _fetch(consumer, 10)
    consumer.ack(message_of(10))
    await _fetch(consumer, 9, 10, 11)
    assert consumer.committable() == {_TP: 11}
    consumer.ack(message_of(11))
    assert consumer.committable() == {_TP: 12}


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


async def test_what_is_finished_ages_from_the_first_ack_that_is_not_committed(
    consumer: SafeConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    times_s = iter([10.0, 30.0])
    monkeypatch.setattr(consumer_module, "monotonic", lambda: next(times_s))
    for message in _pull(consumer, 5, 6):
        consumer.ack(message)
    assert consumer.uncommitted_age_s() == 20


class _BusyThread(FakeThread):
    """Something happens while it commits."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    @override
    async def commit(self, offsets: dict[TP, int]) -> bool:
        self._meanwhile()
        return await super().commit(offsets)


async def test_ack_that_comes_during_a_commit_ages_from_that_commit(
    consumer: SafeConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    times_s = iter([10.0, 15.0, 45.0])
    monkeypatch.setattr(consumer_module, "monotonic", lambda: next(times_s))
    early, late = _pull(consumer, 5, 6)
    cast("Any", consumer)._thread = _BusyThread(lambda: consumer.ack(late))
    consumer.ack(early)
    assert await consumer.force_commit()
    assert consumer.committable() == {_TP: 7}
    assert consumer.uncommitted_age_s() == 30


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
    told: list[tuple[set[TP], int]] = []

    async def tell(assigned: set[TP], generation: int) -> None:
        told.append((assigned, generation))

    cast("Any", consumer)._on_partitions_assigned = tell  # Faust's part needs a broker
    app.on_rebalance_start()
    app.consumer_generation_id = 2
    await consumer.on_partitions_assigned({_TP}, 2)
    assert told == [({_TP}, 2)]
    assert consumer.committable() == {}
    assert consumer.uncommitted_age_s() is None

    for message in _pull(consumer, 100, generation=2):
        consumer.ack(message)
    assert consumer.committable() == {_TP: 101}


async def test_generation_may_begin_during_a_commit(
    consumer: SafeConsumer, app: DeliveryApp
) -> None:
    async def tell(_assigned: set[TP], _generation: int) -> None: ...

    cast("Any", consumer)._on_partitions_assigned = tell  # Faust's part needs a broker
    app.on_rebalance_start()
    [done] = _pull(consumer, 5)
    consumer.ack(done)
    thread = cast("Any", consumer)._thread = _SlowThread()
    committing = asyncio.ensure_future(consumer.force_commit())
    await thread.commits_now.wait()
    await consumer.on_partitions_assigned({_TP}, 2)
    thread.may_answer.set()
    assert await committing
    assert consumer.uncommitted_age_s() is None


class _SlowThread(FakeThread):
    """A broker that takes its time for a commit."""

    def __init__(self) -> None:
        super().__init__()
        self.commits_now, self.may_answer = asyncio.Event(), asyncio.Event()

    @override
    async def commit(self, offsets: dict[TP, int]) -> bool:
        self.commits_now.set()
        await self.may_answer.wait()
        return await super().commit(offsets)


async def test_record_that_came_twice_holds_up_nothing(consumer: SafeConsumer) -> None:
    first, _again = _pull(consumer, 5, 5)
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


async def test_record_is_handed_on_without_waiting_for_the_flow(consumer: SafeConsumer) -> None:
    async def hand() -> str:
        return "handed"

    handing, suspended = hand(), asyncio.Event()
    async with asyncio.timeout(10):
        results = await consumer.wait_first(handing, suspended.wait())
    assert results == WaitResults([handing], ["handed"], stopped=False)


async def test_whatever_else_is_waited_for_is_waited_for_as_faust_does(
    consumer: SafeConsumer,
) -> None:
    event: Any = asyncio.Event()
    async with asyncio.timeout(10):
        assert await consumer.wait_first(event, timeout=0.0) == WaitResults([], [], stopped=True)
        event.set()
        assert await consumer.wait_first(event) == WaitResults([event], [True], stopped=False)


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
    """aiokafka's, as far as it is touched."""

    def __init__(self) -> None:
        self.is_accepted = True
        self.answer: object = None
        self.dead = 0
        self._pending_exception: Exception | None = None

    async def _do_heartbeat(self) -> bool:
        return self.is_accepted

    async def _send_req(self, _request: object) -> object:
        return self.answer

    def coordinator_dead(self) -> None:
        self.dead += 1


class _Client:
    """aiokafka's consumer, as far as a commit and the heartbeats need it."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.commits: list[dict[TopicPartition, OffsetAndMetadata]] = []
        self._coordinator = _Coordinator()
        self._fetcher = self
        self._subscription = SubscriptionState()
        self.committed: dict[TopicPartition, int | None] = {}
        self.rewound: list[TopicPartition] = []
        self.stops = 0

    async def stop(self) -> None:
        self.stops += 1

    async def seek_to_committed(self) -> dict[TopicPartition, int | None]:
        return self.committed

    async def _proc_fetch_request(self, *_of_aiokafka: object) -> bool:
        return await asyncio.Future()

    _update_fetch_positions = _proc_fetch_request

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._subscription.subscription.assignment.state_value(partition).seek(offset)

    def request_offset_reset(self, partitions: list[TopicPartition], strategy: int) -> None:
        assert strategy == OffsetResetStrategy.EARLIEST
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
async def thread(app: DeliveryApp) -> SafeConsumerThread:
    consumer_of(app)
    thread: SafeConsumerThread = cast("Any", app.consumer)._thread_of_faust
    thread._consumer = _Client()
    return thread


async def test_end_of_a_partition_that_was_just_taken_away_is_unknown(
    thread: SafeConsumerThread,
) -> None:
    """aiokafka asserts that it is assigned, and the metrics would end the process."""
    assert thread.highwater(_OTHER) is None


async def test_commit_leaves_out_partitions_that_are_not_ours(thread: SafeConsumerThread) -> None:
    assert await thread._commit({_TP: 6, _OTHER: 51})
    assert _client(thread).commits == [{TopicPartition(*_TP): OffsetAndMetadata(6, "")}]
    assert not await thread._commit({_OTHER: 51})


async def _in_this_thread(method: Callable[..., Awaitable[object]], *args: object) -> object:
    return await method(*args)


@pytest.mark.parametrize(("committed", "is_rewound"), [(None, True), (0, True), (7, False)])
async def test_partition_without_a_commit_is_rewound_too(
    thread: SafeConsumerThread, committed: int | None, *, is_rewound: bool
) -> None:
    here, not_ours = TopicPartition(*_TP), TopicPartition(*_OTHER)
    _client(thread).committed = {here: committed, not_ours: None}
    cast("Any", thread).call_thread = _in_this_thread
    assert await thread.seek_to_committed() == {here: committed, not_ours: None}
    assert _client(thread).rewound == ([here] if is_rewound else [])


@pytest.mark.parametrize(
    "refusal", [CommitFailedError(), IllegalGenerationError(), KafkaConnectionError()]
)
async def test_refused_commit_does_not_crash_the_process(
    thread: SafeConsumerThread, refusal: Exception
) -> None:
    thread._consumer = _Client(refusal)
    with capture_logs() as lines:
        assert not await thread._commit({_TP: 6})
    assert thread.crashed is False
    why = type(refusal).__name__
    warning = {"event": "commit_refused", "error": why, "partitions": 1, "log_level": "warning"}
    assert lines == [warning]


@pytest.mark.parametrize(
    ("code", "is_elsewhere"), [(14, False), (15, True), (16, True), (30, False)]
)
async def test_refused_question_for_commits_is_no_group_without_commits(
    thread: SafeConsumerThread, code: int, *, is_elsewhere: bool
) -> None:
    """aiokafka looks at the partitions of the answer alone, and there are none."""
    thread._mend_coordinator()
    coordinator = _client(thread)._coordinator
    coordinator.answer = OffsetFetchResponse_v3(0, [], code)
    with pytest.raises(for_code(code)):
        await coordinator._send_req(OffsetFetchRequest("group", [("requests", [0])]))
    assert coordinator.dead == is_elsewhere


async def test_answers_without_an_error_pass(thread: SafeConsumerThread) -> None:
    thread._mend_coordinator()
    coordinator = _client(thread)._coordinator
    known = OffsetFetchResponse_v3(0, [("requests", [(0, 7, "", 0)])], 0)
    old = OffsetFetchResponse_v1([("requests", [(0, 7, "", 0)])])
    for coordinator.answer in (known, old):
        asked = OffsetFetchRequest("group", [("requests", [0])])
        assert await coordinator._send_req(asked) is coordinator.answer
    coordinator.answer = OffsetFetchResponse_v3(0, [], 16)
    assert await coordinator._send_req("another request") is coordinator.answer


async def test_only_an_accepted_heartbeat_is_a_sign_of_life(thread: SafeConsumerThread) -> None:
    thread._mend_coordinator()
    coordinator = _client(thread)._coordinator
    coordinator.is_accepted = False
    assert not await coordinator._do_heartbeat()
    assert thread.last_heartbeat_s == float("-inf")
    coordinator.is_accepted = True
    assert await coordinator._do_heartbeat()
    assert thread.last_heartbeat_s > 0


async def test_fetches_that_are_cancelled_end_the_stop_of_nobody(
    thread: SafeConsumerThread,
) -> None:
    thread._mend_fetcher()
    client = cast("Any", _client(thread))
    for work in (client._proc_fetch_request(1, 2, 3), client._update_fetch_positions(1, 2, 3)):
        task = asyncio.ensure_future(work)
        await asyncio.sleep(0)
        task.cancel()
        assert await task is False


class _MainThread:
    """What the consumer's thread tells of a rebalance."""

    def __init__(self) -> None:
        self.told: list[tuple[set[TP], int]] = []

    async def threadsafe_partitions_assigned(
        self, _loop: object, assigned: set[TP], generation: int
    ) -> None:
        self.told.append((assigned, generation))


async def test_join_is_a_sign_of_life_too_and_is_passed_on(thread: SafeConsumerThread) -> None:
    main = cast("Any", thread).consumer = _MainThread()
    await thread.on_partitions_assigned({_TP}, 3)
    assert thread.last_heartbeat_s > 0
    assert main.told == [({_TP}, 3)]


def _assigned(thread: SafeConsumerThread, *partitions: TP) -> SubscriptionState:
    subscriptions = _client(thread)._subscription
    subscriptions.subscribe({"requests"})
    subscriptions.assign_from_subscribed({TopicPartition(*tp) for tp in partitions})
    return subscriptions


@pytest.mark.parametrize(
    ("position", "after"),
    [(12, 10), (10, 10), (7, 7), (None, None)],
    ids=["read on", "there already", "gone back further", "none yet"],
)
async def test_reading_goes_back_unless_somebody_has_gone_back_further(
    thread: SafeConsumerThread, position: int | None, after: int | None
) -> None:
    state = _assigned(thread, _TP).subscription.assignment.state_value(TopicPartition(*_TP))
    if position is not None:
        state.seek(position)
    cast("Any", thread).call_thread = _in_this_thread
    await thread.unread({_TP: 10, _OTHER: 5})
    assert (state.position if state.has_valid_position else None) == after


@pytest.mark.parametrize(
    ("position", "end", "is_all"),
    [(None, 5, False), (4, 5, False), (5, 5, True), (0, 0, True), (0, None, True)],
)
async def test_partition_is_fetched_once_the_position_is_at_its_end(
    app: DeliveryApp,
    thread: SafeConsumerThread,
    position: int | None,
    end: int | None,
    *,
    is_all: bool,
) -> None:
    state = _assigned(thread, _TP).subscription.assignment.state_value(TopicPartition(*_TP))
    state.highwater = end
    if position is not None:
        state.seek(position)
    consumer = cast("Any", app.consumer)
    consumer._thread = thread
    assert consumer.has_fetched_all(_TP) is is_all


async def test_nothing_is_fetched_of_a_partition_that_is_not_ours(
    thread: SafeConsumerThread,
) -> None:
    assert not thread.has_fetched_all(_TP), "no subscription"
    _client(thread)._subscription.subscribe({"requests"})
    assert not thread.has_fetched_all(_TP), "no assignment"
    _assigned(thread, _OTHER)
    assert not thread.has_fetched_all(_TP)


async def test_thread_that_is_stopped_before_a_broker_answers_ends_quietly(
    thread: SafeConsumerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_thread, "_RETRY_START_S", 0.0)
    refusals = [KafkaConnectionError(), KafkaConnectionError(), OSError()]

    async def refuse(_self: object) -> None:
        refusal = refusals.pop(0)
        if not refusals:
            thread._stopped.set()
        raise refusal

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "on_start", refuse)
    with capture_logs() as lines:
        await thread.on_start()
    assert _client(thread).stops == 3, "one a try"
    said = [(line["event"], line["error"], line["again_every_s"]) for line in lines]
    assert said == [
        ("broker_unreachable", "KafkaConnectionError", 0.0),
        ("broker_unreachable", "OSError", 0.0),
    ], "each said once"
