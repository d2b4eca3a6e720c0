"""Two lanes: neither waits for the other, however much of the other there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from llm_worker.contracts.vocabulary import Lane, TopicName
from tests.support.builders import body_of
from tests.support.worker import Installation, answered, send_all

if TYPE_CHECKING:
    from pathlib import Path

    from aiokafka import AIOKafkaProducer, ConsumerRecord

    from llm_worker.dev.kafka import EmbeddedKafka

# 8 slots of 50 ms: at most 160 requests a second, so 4,000 take 25 s and more.
_SETTINGS = {
    "LLM_WORKER_MAX_IN_FLIGHT": "8",
    "LLM_WORKER_PROVIDERS__MOCK__LATENCY_MS": "50",
    "LLM_WORKER_LOG__LEVEL": "WARNING",
}
_BACKLOG = 4_000
_FEW = 20


@pytest.fixture
async def installation(kafka: EmbeddedKafka, tmp_path: Path) -> Installation:
    return await Installation(kafka.bootstrap_servers, tmp_path, settings=_SETTINGS).create()


async def _send(producer: AIOKafkaProducer, topic: str, count: int) -> set[str]:
    bodies: list[dict[str, Any]] = [body_of(cache_mode="bypass") for _ in range(count)]
    await send_all(producer, topic, bodies)
    return {body["correlation_id"] for body in bodies}


@pytest.mark.parametrize(("full", "other"), [(Lane.BULK, Lane.NORMAL), (Lane.NORMAL, Lane.BULK)])
async def test_lane_is_served_beside_a_full_backlog_of_the_other(
    installation: Installation, full: Lane, other: Lane
) -> None:
    """Red with Faust's own queue: its conductor waits for the full lane's agent."""
    results = installation.topic(TopicName.COMPARISON_RESULT)
    async with installation.producer() as producer:
        backlog = await _send(producer, installation.request_topic(full), _BACKLOG)
        async with installation.worker():
            before = await installation.read(results, until=lambda records: len(records) > 100)
            few = await _send(producer, installation.request_topic(other), _FEW)
            records = await installation.read(results, until=_has_all(few))

    last_ms = max(record.timestamp for record in records if record.key.decode() in few)
    meanwhile = [record for record in records if record.timestamp <= last_ms][len(before) :]
    assert answered(meanwhile) & backlog, "the full lane goes on as well"
    # The full lane's queue alone holds 800: who waited for it would come behind more.
    assert len(meanwhile) < 600, "the few did not wait for the backlog"


async def test_lanes_that_are_both_full_are_both_served(installation: Installation) -> None:
    results = installation.topic(TopicName.COMPARISON_RESULT)
    async with installation.producer() as producer:
        lanes = {
            lane: await _send(producer, installation.request_topic(lane), 2_000) for lane in Lane
        }
        async with installation.worker():
            records = await installation.read(results, until=lambda records: len(records) > 400)

    shares = {lane: len(answered(records) & ids) / len(records) for lane, ids in lanes.items()}
    assert min(shares.values()) > 0.25, shares


def _has_all(wanted: set[str]) -> Any:  # noqa: ANN401 - a condition over records
    def has_all(records: list[ConsumerRecord]) -> bool:
        return wanted <= answered(records)

    return has_all
