"""Brokers that are killed and come back; the workers stay and go on by themselves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.kafka import EmbeddedKafka
from tests.chaos.brokers import fill_disk, move_leaders, until_in_sync, want_replicas
from tests.chaos.harness import FULL, sized
from tests.chaos.watch import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

    from tests.chaos.harness import NewScenario, Scenario
    from tests.chaos.processes import WorkerProcess

pytestmark = pytest.mark.timeout(3600 if FULL else 240)

_CALLS = {"max_in_flight": 40, "providers__mock__latency_ms": 200}
# An outage without a limit logs about 100 lines a second.
_LOG_LINES = 250


@pytest.fixture(scope="module")
def lone_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """One broker, which a test may kill; it brings it back."""
    with EmbeddedKafka(tmp_path_factory.mktemp("lone-kafka")) as kafka:
        yield kafka


async def test_broker_that_dies_and_comes_back_is_survived(
    lone_kafka: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    async with new_scenario(
        "broker-killed", bootstrap_servers=lone_kafka.bootstrap_servers, **_CALLS
    ) as scenario:
        worker = await scenario.start_worker()
        async with scenario.load.running(rate_per_s=50, at_least=sized(small=300, full=10_000)):
            await scenario.until_answered(more=50)
            await asyncio.to_thread(lone_kafka.kill)
            # Not waited for: how long the outage lasts is what is tried.
            await asyncio.sleep(sized(small=7, full=60))
            await asyncio.to_thread(lone_kafka.restart)
            await scenario.until_answered(more=50)
        report = await scenario.concluded()
        assert worker.is_running
    report.require(bought_twice=0)
    _assert_calm(worker)


async def test_broker_whose_disk_is_full_is_waited_for(
    lone_kafka: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    async with new_scenario(
        "disk-full", bootstrap_servers=lone_kafka.bootstrap_servers, **_CALLS
    ) as scenario:
        worker = await scenario.start_worker()
        async with scenario.load.running(rate_per_s=50, at_least=sized(small=300, full=10_000)):
            await scenario.until_answered(more=50)
            fill_disk(lone_kafka, 0)
            await until(lambda: not lone_kafka.is_running(0), timeout_s=60, what="it gives up")
            await asyncio.sleep(sized(small=3, full=60))
            await asyncio.to_thread(lone_kafka.restart)
            await scenario.until_answered(more=50)
        report = await scenario.concluded()
        assert worker.is_running
    report.require(bought_twice=0)
    _assert_calm(worker)


async def test_cluster_that_loses_each_node_in_turn_is_survived(
    kafka_cluster: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    async with _on_cluster(new_scenario, kafka_cluster, "nodes-killed") as scenario:
        worker = await scenario.start_worker()
        async with scenario.load.running(rate_per_s=30, at_least=sized(small=300, full=10_000)):
            for node in [0, 1, 2] * sized(small=1, full=3):
                await scenario.until_answered(more=30)
                await asyncio.to_thread(kafka_cluster.kill, node)
                await _goes_on_without(kafka_cluster, node, scenario)
        report = await scenario.concluded()
        assert worker.is_running
    report.require(bought_twice=0)
    _assert_calm(worker)


async def test_cluster_goes_on_beside_a_node_whose_disk_is_full(
    kafka_cluster: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    async with _on_cluster(new_scenario, kafka_cluster, "node-full") as scenario:
        worker = await scenario.start_worker()
        async with scenario.load.running(rate_per_s=30, at_least=sized(small=300, full=10_000)):
            await scenario.until_answered(more=30)
            fill_disk(kafka_cluster, 1)
            await until(lambda: not kafka_cluster.is_running(1), timeout_s=60, what="it gives up")
            await _goes_on_without(kafka_cluster, 1, scenario)
        report = await scenario.concluded()
        assert worker.is_running
    report.require(bought_twice=0)


async def test_leaders_that_move_under_load_are_followed(
    kafka_cluster: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    async with _on_cluster(new_scenario, kafka_cluster, "leaders") as scenario:
        worker = await scenario.start_worker()
        topics = list(scenario.catalog.names_on_broker())
        async with scenario.load.running(rate_per_s=50, at_least=sized(small=300, full=10_000)):
            for turn in range(sized(small=2, full=20)):
                await scenario.until_answered(more=50)
                assert await move_leaders(kafka_cluster.bootstrap_servers, topics) > len(topics)
                if turn % 2:
                    continue
                # In good order: it hands its partitions over before it goes.
                await scenario.until_answered(more=50)
                await asyncio.to_thread(kafka_cluster.stop, turn % 3)
                await scenario.until_answered(more=50)
                await asyncio.to_thread(kafka_cluster.restart, turn % 3)
                await until_in_sync(kafka_cluster, topics)
        report = await scenario.concluded()
        assert worker.is_running
    report.require(bought_twice=0)
    _assert_calm(worker)


async def test_topic_with_too_few_replicas_is_tried_until_it_takes_records(
    kafka_cluster: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    async with _on_cluster(new_scenario, kafka_cluster, "too-few-replicas") as scenario:
        worker = await scenario.start_worker()
        servers = kafka_cluster.bootstrap_servers
        topic = scenario.catalog.on_broker(TopicName.COMPARISON_RESULT)
        async with scenario.load.running(rate_per_s=30, at_least=sized(small=300, full=10_000)):
            await scenario.until_answered(more=30)
            await want_replicas(servers, topic, 3)
            await asyncio.to_thread(kafka_cluster.kill, 2)
            held = [await scenario.load.send() for _ in range(20)]
            await asyncio.sleep(sized(small=5, full=60))
            # What is not on the broker is not acknowledged: the checker's samples say so.
            assert not {sent.mark for sent in held} <= scenario.watch.answered
            await asyncio.to_thread(kafka_cluster.restart, 2)
            await scenario.watch.until_answered(held, timeout_s=60)
            await want_replicas(servers, topic, None)
            await until_in_sync(kafka_cluster, list(scenario.catalog.names_on_broker()))
        report = await scenario.concluded()
        assert worker.is_running
    report.require(bought_twice=0)
    _assert_calm(worker)


def _on_cluster(
    new_scenario: NewScenario, cluster: EmbeddedKafka, name: str
) -> AbstractAsyncContextManager[Scenario]:
    return new_scenario(
        name, bootstrap_servers=cluster.bootstrap_servers, replication_factor=3, **_CALLS
    )


async def _goes_on_without(cluster: EmbeddedKafka, node: int, scenario: Scenario) -> None:
    """On every partition it works again although the node is still down; then the node is back."""
    sent = await scenario.load.send_many(sized(small=50, full=500))
    await scenario.watch.until_answered(sent, timeout_s=60)
    await asyncio.to_thread(cluster.restart, node)
    await until_in_sync(cluster, list(scenario.catalog.names_on_broker()))


def _assert_calm(worker: WorkerProcess) -> None:
    assert len(worker.log_lines()) < _LOG_LINES, "\n".join(worker.log_lines()[:50])
