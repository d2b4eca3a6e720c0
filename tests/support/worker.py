"""A worker as a process of its own, and what comes out of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import aiohttp
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from llm_worker.adapters.kafka.topics import create_topics
from llm_worker.contracts.topics import TopicCatalog, load_topics
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, Lane, TopicName
from llm_worker.dev.leashed import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path

    from aiokafka import ConsumerRecord

_PATIENCE_S = 120.0
_catalog = cache(load_topics)


@dataclass(slots=True)
class Installation:
    """Topics of a test alone on a shared broker, and a group of their own."""

    bootstrap_servers: str
    directory: Path
    prefix: str = field(default_factory=lambda: f"t{uuid4().hex[:8]}.")
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, str]:
        return {"bootstrap_servers": self.bootstrap_servers}

    @property
    def topics(self) -> TopicCatalog:
        return _catalog(self.prefix)

    @property
    def group(self) -> str:
        return f"{self.prefix}workers"

    def topic(self, name: TopicName) -> str:
        return self.topics.on_broker(name)

    def request_topic(self, lane: Lane = Lane.NORMAL) -> str:
        return self.topic(REQUEST_TOPICS[lane])

    async def create(self) -> Self:
        await create_topics(self.options, self.topics, replication_factor=1)
        return self

    async def create_topic(self, name: str, **config: str) -> str:
        admin = AIOKafkaAdminClient(**self.options)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, 1, 1, topic_configs=config)])
            async with asyncio.timeout(_PATIENCE_S):
                # What it has created the broker tells of a moment later.
                while name not in await admin.list_topics():  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.05)
        finally:
            await admin.close()
        return name

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(**self.options, linger_ms=5, max_request_size=5_000_000)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def ends(self, *topics: str) -> dict[TopicPartition, int]:
        async with self._consumer() as consumer:
            partitions = await _partitions(consumer, topics)
            ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
            return ends

    async def committed(self, group: str | None = None) -> dict[TopicPartition, int]:
        admin = AIOKafkaAdminClient(**self.options)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(group or self.group)
            return {tp: mark.offset for tp, mark in offsets.items()}
        finally:
            await admin.close()

    async def until_committed(self) -> None:
        """Wait until the group has committed every record of the request topics."""
        ends = await self.ends(*(self.request_topic(lane) for lane in Lane))
        wanted = {tp: end for tp, end in ends.items() if end}
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                committed = await self.committed()
                if all(committed.get(tp) == end for tp, end in wanted.items()):
                    return
                await asyncio.sleep(0.2)

    async def read(
        self, *topics: str, until: Callable[[list[ConsumerRecord]], bool]
    ) -> list[ConsumerRecord]:
        """Read topics from their start until there is enough."""
        async with self._consumer() as consumer:
            consumer.assign(await _partitions(consumer, topics))
            await consumer.seek_to_beginning()
            records: list[ConsumerRecord] = []
            async with asyncio.timeout(_PATIENCE_S):
                while not until(records):
                    batches = await consumer.getmany(timeout_ms=500)
                    records += [record for batch in batches.values() for record in batch]
            return records

    @asynccontextmanager
    async def worker(self, **settings: str) -> AsyncIterator[WorkerProcess]:
        """Run a worker that is ready; whatever happens, it is gone afterwards."""
        worker = self.launch(**settings)
        try:
            await worker.until_ready()
            yield worker
        finally:
            worker.kill()

    def launch(self, command: str = "worker", **settings: str) -> WorkerProcess:
        """Start a worker or an accountant; whoever calls ends it."""
        [port] = free_ports(1)
        environment = {
            "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "LLM_WORKER_KAFKA__TOPIC_PREFIX": self.prefix,
            "LLM_WORKER_KAFKA__GROUP": self.group,
            "LLM_WORKER_KAFKA__SESSION_TIMEOUT_S": "6",
            "LLM_WORKER_CACHE__REDIS_URL": "",
            "LLM_WORKER_PROVIDERS__MOCK__ENABLED": "true",
            "LLM_WORKER_PROVIDERS__MOCK__ERROR_RATE": "0",
            "LLM_WORKER_WEB__PORT": str(port),
            "LLM_WORKER_WEB__ACCOUNTANT_PORT": str(port),
            "LLM_WORKER_LOG__FORMAT": "json",
            **self.settings,
            **settings,
        }
        log = self.directory / f"{command}-{port}.log"
        return WorkerProcess(port, log, environment, command)

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(**self.options, max_partition_fetch_bytes=6_000_000)
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()


class WorkerProcess:
    """One worker, or accountant; its log is a file."""

    def __init__(
        self,
        port: int,
        log: Path,
        environment: dict[str, str],
        command: str = "worker",
        program: Sequence[str] = (sys.executable, "-m", "llm_worker"),
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = log
        inherited = {
            name: value
            for name, value in os.environ.items()  # noqa: TID251 - what a process inherits
            if not name.startswith(("LLM_WORKER_", "KAFKA_", "OTEL_"))
            and not name.endswith("_API_KEY")  # nobody's shell may let a test buy anything
        }
        with log.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [*program, command],
                env=inherited | environment,
                cwd=log.parent,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    async def until_ready(self) -> None:
        await self._until_ok("/readyz")

    async def until_alive(self) -> None:
        await self._until_ok("/livez")

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return response.status, await response.text()

    async def terminate(self) -> int:
        """Ask the worker to end, and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(_PATIENCE_S):
            while self.is_running:  # noqa: ASYNC110 - another process has no event
                await asyncio.sleep(0.05)
        return self.process.returncode

    async def _until_ok(self, path: str) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                assert self.is_running, f"the worker ended: {self.log[-3_000:]}"
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    if (await self.get(path))[0] == 200:
                        return
                await asyncio.sleep(0.1)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


async def _partitions(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    await consumer._client.force_metadata_update()  # topics may be newer than the client
    found = []
    for topic in topics:
        consumer._client.add_topic(topic)
        await consumer._client._wait_on_metadata(topic)
        found += [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)]
    return found


async def send_all(
    producer: AIOKafkaProducer, topic: str, bodies: Sequence[dict[str, Any]]
) -> None:
    """Send requests, and return when the broker holds them."""
    for body in bodies:
        await producer.send(topic, orjson.dumps(body), key=body["correlation_id"].encode())
    await producer.flush()


def answered(records: Iterable[ConsumerRecord]) -> set[str]:
    """Give the correlation ids that have a result."""
    return {record.key.decode() for record in records}
