"""Brokers that are killed and come back; the workers stay and go on by themselves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from llm_worker.dev.kafka import EmbeddedKafka
from tests.chaos.harness import FULL, sized
from tests.chaos.watch import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.harness import NewScenario, WorkerProcess

pytestmark = pytest.mark.timeout(3600 if FULL else 240)

# An outage without a limit logs about 100 lines a second.
_LOG_LINES = 250


async def test_broker_that_dies_and_comes_back_is_survived(
    tmp_path: Path, new_scenario: NewScenario
) -> None:
    with await asyncio.to_thread(EmbeddedKafka(tmp_path / "broker").__enter__) as kafka:
        async with new_scenario(
            "broker-killed",
            bootstrap_servers=kafka.bootstrap_servers,
            max_in_flight=40,
            providers__mock__latency_ms=200,
        ) as scenario:
            worker = await scenario.start_worker()
            async with scenario.load.running(rate_per_s=50, at_least=sized(small=300, full=10_000)):
                await scenario.until_answered(more=50)
                await asyncio.to_thread(kafka.kill)
                # Not waited for: how long the outage lasts is what is tried.
                await asyncio.sleep(sized(small=7, full=30))
                await asyncio.to_thread(kafka.restart)
                await scenario.until_answered(more=50)
            report = await scenario.concluded()
            assert worker.is_running
        report.require(bought_twice=0)
        _assert_calm(worker)


async def test_cluster_that_loses_each_node_in_turn_is_survived(
    kafka_cluster: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    async with new_scenario(
        "nodes-killed",
        bootstrap_servers=kafka_cluster.bootstrap_servers,
        replication_factor=3,
        max_in_flight=40,
        providers__mock__latency_ms=200,
    ) as scenario:
        worker = await scenario.start_worker()
        topics = list(scenario.catalog.names_on_broker())
        async with scenario.load.running(rate_per_s=30, at_least=sized(small=300, full=10_000)):
            for node in [0, 1, 2] * sized(small=1, full=3):
                await scenario.until_answered(more=30)
                await asyncio.to_thread(kafka_cluster.kill, node)
                # On every partition: it works again although the node is still down.
                sent = await scenario.load.send_many(sized(small=50, full=500))
                await scenario.watch.until_answered(sent, timeout_s=60)
                await asyncio.to_thread(kafka_cluster.restart, node)
                await _until_in_sync(kafka_cluster, topics)
        report = await scenario.concluded()
        assert worker.is_running
    report.require(bought_twice=0)
    _assert_calm(worker)


def _assert_calm(worker: WorkerProcess) -> None:
    assert len(worker.log_lines()) < _LOG_LINES, "\n".join(worker.log_lines()[:50])


async def _until_in_sync(cluster: EmbeddedKafka, topics: list[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)
    await admin.start()

    async def is_in_sync() -> bool:
        try:
            found = await admin.describe_topics([*topics, "__consumer_offsets"])
        except KafkaError:
            return False
        return all(len(part["isr"]) == 3 for topic in found for part in topic["partitions"])

    try:
        await until(is_in_sync, timeout_s=60, what="every replica is in sync")
    finally:
        await admin.close()
