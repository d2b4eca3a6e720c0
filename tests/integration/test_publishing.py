"""The publisher on a real broker: what the broker refuses harms nothing else."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from aiokafka.errors import (
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
)

from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.kafka import producers
from llm_worker.adapters.kafka.broker_health import BrokerHealth
from llm_worker.adapters.kafka.options import producer_line
from llm_worker.adapters.kafka.publisher import KafkaPublisher
from llm_worker.application.ports import Refusal
from llm_worker.dev.kafka import EmbeddedKafka
from llm_worker.domain.breaker import BreakerState, CircuitBreaker
from llm_worker.domain.delivery import Record
from tests.support.worker import Installation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_LIMIT_BYTES = 20_000


@pytest.fixture
def installation(kafka: EmbeddedKafka, tmp_path: Path) -> Installation:
    return Installation(kafka.bootstrap_servers, tmp_path)


@pytest.fixture
async def topic(installation: Installation) -> str:
    """One partition that takes batches of 20 kB."""
    name = f"huleedu.test.{uuid4().hex}"
    return await installation.create_topic(name, **{"max.message.bytes": str(_LIMIT_BYTES)})


def _record(topic: str, value: bytes, *, is_own: bool = True) -> Record:
    return Record(topic=topic, key=b"k", value=value, headers=(("n", None),), is_own=is_own)


@asynccontextmanager
async def _publisher(
    installation: Installation, breaker: CircuitBreaker
) -> AsyncIterator[KafkaPublisher]:
    publisher = KafkaPublisher(
        own=producer_line(installation.options),
        foreign=producer_line(installation.options),
        health=BrokerHealth(breaker, SystemClock()),
        limits={},  # so that the broker is the one who refuses
        on_retry=lambda: None,
    )
    try:
        yield publisher
    finally:
        await publisher.stop()


@pytest.fixture
def breaker() -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=5, recovery_timeout_s=1)


async def _values(installation: Installation, topic: str, count: int) -> list[bytes]:
    records = await installation.read(topic, until=lambda records: len(records) >= count)
    return [record.value for record in records]


async def test_refused_record_poisons_the_producer_for_those_behind_it(
    installation: Installation, topic: str
) -> None:
    """Why a producer is replaced. If this fails, aiokafka or Kafka has become kinder."""
    line = producer_line(installation.options)
    try:
        producer = await line.current()
        first = await line.send(producer, _record(topic, b"first"))
        await first
        refused = await line.send(producer, _record(topic, b"x" * 100_000))
        with pytest.raises(MessageSizeTooLargeError):
            await refused
        behind = await line.send(producer, _record(topic, b"small"))
        with pytest.raises(OutOfOrderSequenceNumber):
            await asyncio.wait_for(behind, 60)
    finally:
        await line.stop()


@pytest.mark.parametrize("is_own", [True, False])
async def test_record_that_is_too_large_is_refused_and_those_behind_it_arrive(
    installation: Installation, topic: str, breaker: CircuitBreaker, *, is_own: bool
) -> None:
    async with _publisher(installation, breaker) as publisher, asyncio.timeout(120):
        large = _record(topic, b"x" * 100_000, is_own=is_own)
        first, *others = [_record(topic, b"%d" % n, is_own=is_own) for n in range(30)]
        assert await publisher.confirm([await publisher.send(first)]) == [None]
        sendings = [await publisher.send(record) for record in (*others[:10], large, *others[10:])]
        refusals = await publisher.confirm(sendings)
        assert refusals == [*[None] * 10, Refusal.TOO_LARGE, *[None] * 19]
    found = await _values(installation, topic, 30)
    assert set(found) == {b"%d" % number for number in range(30)}
    assert breaker.state is BreakerState.CLOSED


async def test_innocent_records_of_too_large_a_batch_arrive_one_by_one(
    installation: Installation, topic: str, breaker: CircuitBreaker
) -> None:
    """The broker's limit is for the batch: 60 records of 1 kB stand in one of 60 kB."""
    values = {b"%02d" % number + bytes(1_000) for number in range(60)}
    async with _publisher(installation, breaker) as publisher, asyncio.timeout(120):
        sendings = [await publisher.send(_record(topic, value)) for value in values]
        assert await publisher.confirm(sendings) == [None] * 60
    assert set(await _values(installation, topic, 60)) == values


async def test_topic_that_a_caller_named_and_nobody_made_is_given_up(
    installation: Installation, topic: str, breaker: CircuitBreaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_worker.adapters.kafka.publisher._FOREIGN_TRIES", 1)
    async with _publisher(installation, breaker) as publisher, asyncio.timeout(200):
        missing = _record(f"huleedu.nowhere.{uuid4().hex}", b"lost", is_own=False)
        present = _record(topic, b"present")
        sendings = [await publisher.send(record) for record in (missing, present)]
        assert await publisher.confirm(sendings) == [Refusal.NOT_DELIVERABLE, None]
    assert await _values(installation, topic, 1) == [b"present"]
    assert breaker.state is BreakerState.CLOSED


async def test_producer_that_cannot_send_what_it_holds_is_gone_once_it_is_retired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers, "_STOP_TIMEOUT_S", 1)
    with await asyncio.to_thread(EmbeddedKafka(tmp_path).__enter__) as broker:
        installation = Installation(broker.bootstrap_servers, tmp_path)
        topic = await installation.create_topic("huleedu.test.retired")
        before = asyncio.all_tasks()
        line = producer_line(installation.options)
        producer = await line.current()
        await (await line.send(producer, _record(topic, b"held")))
        broker.kill()

        unsent = await line.send(producer, _record(topic, b"never sent"))
        line.retire(producer)

        with pytest.raises(KafkaTimeoutError):
            await unsent
        async with asyncio.timeout(60):
            while left := asyncio.all_tasks() - before:
                await asyncio.wait(left)
