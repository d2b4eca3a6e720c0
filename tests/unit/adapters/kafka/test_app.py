"""What the app does that Faust would not: queues that block nobody, drains with an end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from llm_worker.adapters.kafka.agent import consume_lanes
from llm_worker.adapters.kafka.consumer import SafeConsumer
from llm_worker.contracts.topics import load_topics
from tests.support.apps import Drains, brokerless_app, consumer_of
from tests.support.events import event_of, message_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_worker.adapters.kafka.app import DeliveryApp, UnblockedQueue
    from llm_worker.contracts.vocabulary import Lane


@pytest.fixture
def drains() -> Drains:
    return Drains()


@pytest.fixture
def app(drains: Drains) -> Iterator[DeliveryApp]:
    with brokerless_app(drains) as app:
        yield app


class _Pressure:
    """One partition, as the conductor sees it."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def put(self, queue: UnblockedQueue, **record: Any) -> None:  # noqa: ANN401 - passed on
        queue.put_nowait_enhanced(
            cast("Any", event_of(message_of(0, **record))),
            on_pressure_high=self._rise,
            on_pressure_drop=self._drop,
        )

    def _rise(self) -> None:
        self.log.append("high")

    def _drop(self) -> None:
        self.log.append("drop")


async def test_app_that_has_not_started_has_no_partition(app: DeliveryApp) -> None:
    assert app.assigned() == frozenset()
    consumer_of(app)
    assert app.assigned() == set()


async def test_queue_of_a_lane_never_makes_the_conductor_wait(app: DeliveryApp) -> None:
    """A full one would, and with it the other lane."""
    queue, pressure = app.FlowControlQueue(maxsize=10), _Pressure()
    for _ in range(100):
        pressure.put(queue)
        assert not queue.full()
    assert len(queue._queue) == 100  # type: ignore[attr-defined] # asyncio.Queue's


async def test_queue_goes_on_pausing_and_resuming_its_partitions(app: DeliveryApp) -> None:
    queue, pressure = app.FlowControlQueue(maxsize=10), _Pressure()
    for _ in range(9):
        pressure.put(queue)
    assert pressure.log == ["high"]
    for _ in range(8):
        queue.get_nowait()
    assert pressure.log == ["high", "drop"]


@pytest.mark.parametrize(
    "large",
    [
        {"value": b"x" * 4_000_000},
        {"key": b"x" * 4_000_000},
        {"headers": [("x" * 2_000_000, None), ("h", b"x" * 2_000_000)]},
    ],
    ids=["value", "key", "headers"],
)
async def test_large_records_press_more_than_small_ones(
    app: DeliveryApp, large: dict[str, Any]
) -> None:
    queue, pressure = app.FlowControlQueue(maxsize=1_000), _Pressure()
    for _ in range(5):
        pressure.put(queue, **large)
    assert pressure.log == ["high"]
    while not queue.empty():
        queue.get_nowait()
    assert queue.qsize() == 0
    pressure.put(queue, value=None)
    assert queue.qsize() == 1
    queue.clear()
    assert (queue.qsize(), queue.empty()) == (0, True)


async def test_start_does_not_sleep_for_tables_that_there_are_not(
    app: DeliveryApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep(seconds: float) -> None:
        raise AssertionError(f"sleeps for {seconds} s")

    consumer_of(app)
    tables: Any = app.tables
    monkeypatch.setattr(tables, "sleep", sleep)
    try:
        await tables.on_start()
        await tables.wait_until_tables_registered()
    finally:
        await tables.recovery.stop()


async def test_consumer_is_the_safe_one(app: DeliveryApp) -> None:
    consumer_of(app)
    assert isinstance(app.consumer, SafeConsumer)


async def test_faust_reads_no_environment_variable_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BROKER_URL", "kafka://elsewhere")
    monkeypatch.setenv("WEB_PORT", "1")
    with brokerless_app(Drains()) as app:
        assert "elsewhere" not in str(app.conf.broker)
        assert app.conf.web_port != 1


async def test_lanes_are_consumed_raw_and_unacked_so_that_no_record_crashes_an_agent(
    app: DeliveryApp,
) -> None:
    taken: list[tuple[Lane, object]] = []

    class _InFlight:
        def take(self, event: Any, lane: Lane) -> None:  # noqa: ANN401 - Faust's
            taken.append((lane, event.value))

        async def room(self, _lane: Lane) -> None: ...

    async def may_pull(_lane: Lane) -> None: ...

    consume_lanes(app, topics=load_topics(), in_flight=cast("Any", _InFlight()), may_pull=may_pull)
    assert set(app.agents) == {"lane-normal", "lane-bulk"}
    for agent in app.agents.values():
        channel: Any = agent.channel
        for broken in (b"\xff\xfe not JSON", None):
            event = await channel.decode(message_of(0, key=b"\xff", value=broken), propagate=True)
            assert (event.key, event.value) == (b"\xff", broken)


async def test_rebalance_drains_and_commits_and_is_not_the_last_drain(
    app: DeliveryApp, drains: Drains
) -> None:
    consumer, thread = consumer_of(app)
    message = message_of(5)
    consumer.ack(message)
    await app._consumer_wait_empty(consumer, None)
    assert drains.drained == [False]
    assert thread.commits == [{message.tp: 6}]


async def test_shutdown_drains_for_the_last_time_and_then_closes_what_it_opened(
    app: DeliveryApp, drains: Drains
) -> None:
    consumer, _ = consumer_of(app)
    app._stopped.set()
    await app._consumer_wait_empty(consumer, None)
    assert drains.drained == [True]
    assert drains.closed == 0
    await app.on_stop()
    assert (drains.drained, drains.closed) == ([True], 1)


async def test_shutdown_without_a_partition_drains_what_was_handed_over(
    app: DeliveryApp, drains: Drains
) -> None:
    consumer_of(app)
    app._stopped.set()
    await app.on_stop()
    assert (drains.drained, drains.closed) == ([True], 1)


async def test_partitions_that_come_while_a_process_ends_without_any_do_not_hold_it_up(
    app: DeliveryApp,
) -> None:
    consumer_of(app)
    app._stopped.set()
    await app.on_stop()
    async with asyncio.timeout(30):
        await app._on_partitions_revoked(set())


async def test_rebalance_during_the_last_drain_waits_for_its_commit(
    app: DeliveryApp, drains: Drains
) -> None:
    consumer, _ = consumer_of(app)
    app._stopped.set()
    revoking = asyncio.ensure_future(app._on_partitions_revoked(set()))
    await asyncio.sleep(0)
    assert not revoking.done()
    await app._consumer_wait_empty(consumer, None)
    await revoking
    assert drains.drained == [True]


async def test_commit_that_hangs_on_a_dead_broker_does_not_hold_up_the_exit(
    app: DeliveryApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_worker.adapters.kafka.app._LAST_COMMIT_S", 0.01)
    consumer, thread = consumer_of(app)
    thread.answers = False
    message = message_of(5)
    consumer.ack(message)
    async with asyncio.timeout(30):
        await app._consumer_wait_empty(consumer, None)
