"""The bench: a broker, topics filled with requests, and the three loops to run over them."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from benchmarks.load import request
from benchmarks.loops.job import Answer, Call, Job
from benchmarks.subject import running
from benchmarks.yardstick import Yardstick, yardstick_in
from llm_worker.adapters.kafka.topics import create_topics
from llm_worker.bootstrap.worker.changes import WINDOW_PER_SLOT
from llm_worker.contracts.topics import TopicCatalog, load_topics
from llm_worker.contracts.vocabulary import Lane, TopicName
from llm_worker.dev.leashed import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
    from pathlib import Path

    from benchmarks.subject import Subject
    from llm_worker.dev.fake_providers.process import FakeProviders

WRITTEN = (
    TopicName.REQUEST_STARTED,
    TopicName.COST_TRACKING,
    TopicName.CACHE_MISS,
    TopicName.REQUEST_COMPLETED,
    TopicName.COMPARISON_RESULT,
)
"""What our worker writes for a request that it buys, in its order."""
WRITTEN_ON_HIT = (
    TopicName.COST_TRACKING,
    TopicName.CACHE_HIT,
    TopicName.REQUEST_COMPLETED,
    TopicName.COMPARISON_RESULT,
)
"""What our worker writes for a request that the cache answers, in its order."""
_REQUESTED = TopicName.COMPARISON_REQUESTED
WINDOW_PER_LANE = WINDOW_PER_SLOT // len(Lane)
"""Requests that one lane of our worker holds at most, per running slot."""
MOCK = {
    "LLM_WORKER_PROVIDERS__MOCK__ENABLED": "true",
    "LLM_WORKER_PROVIDERS__MOCK__ERROR_RATE": "0",
}
"""Environment of a worker that asks the mock, which never fails here."""


class Loop(StrEnum):
    """What is compared."""

    BARE = "a aiokafka"
    FAUST = "b Faust"
    WORKER = "c worker"
    WORKER_INFO = "c worker, INFO"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Runs loops over topics that were filled before, each run as a consumer group of its own."""

    bootstrap_servers: str
    directory: Path
    consumer: AIOKafkaConsumer
    producer: AIOKafkaProducer
    yardstick: Yardstick
    fakes: FakeProviders
    answers: list[Answer] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def topics(self, name: str) -> TopicCatalog:
        """Create a set of empty topics, apart from all others."""
        catalog = load_topics(f"{name}-{next(self._numbers)}.")
        options = {"bootstrap_servers": self.bootstrap_servers}
        await create_topics(options, catalog, replication_factor=1)
        return catalog

    async def fill(
        self,
        topics: TopicCatalog,
        name: TopicName,
        count: int,
        *,
        essay_bytes: int,
        questions: int | None = None,
        cache_mode: str = "use",
    ) -> bytes:
        """Send requests; the broker holds them on return. Gives the last one's key.

        They ask so many different questions in turn; without `questions` each its own.
        """
        topic, key = topics.on_broker(name), b""
        for number in range(count):
            question = f"question {number % questions}" if questions else None
            key, value = request(essay_bytes, question=question, cache_mode=cache_mode)
            await self.producer.send(topic, value=value, key=key)
        await self.producer.flush()
        return key

    async def stamped_topics(self, name: str) -> TopicCatalog:
        """Create a set of empty topics whose records bear the moment when the broker had them."""
        topics = await self.topics(name)
        stamped = [
            ConfigResource(
                ConfigResourceType.TOPIC,
                topics.on_broker(each),
                topics[each].config() | {"message.timestamp.type": "LogAppendTime"},
            )
            for each in topics.topics
        ]
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        try:
            await admin.alter_configs(stamped)
        finally:
            await admin.close()
        return topics

    async def results(self, topics: TopicCatalog) -> int:
        """Count the results that the broker holds."""
        return await self.held(topics, TopicName.COMPARISON_RESULT)

    async def held(self, topics: TopicCatalog, name: TopicName) -> int:
        """Count the records that the broker holds."""
        partitions = range(topics[name].partitions)
        tps = [TopicPartition(topics.on_broker(name), partition) for partition in partitions]
        return sum((await self.consumer.end_offsets(tps)).values())

    @contextmanager
    def running(self, loop: Loop, topics: TopicCatalog, *, in_flight: int) -> Iterator[Subject]:
        """Run a loop with at most `in_flight` unacknowledged requests."""
        if loop in (Loop.WORKER, Loop.WORKER_INFO):
            level = "INFO" if loop is Loop.WORKER_INFO else "WARNING"
            slots = max(2, in_flight // WINDOW_PER_LANE)
            with self.worker(topics, slots=slots, settings={"LOG__LEVEL": level}) as (subject, _):
                yield subject
            return
        module = f"benchmarks.loops.{'bare' if loop is Loop.BARE else 'faust_bare'}"
        with self.answering(module, topics, in_flight=in_flight, answers=self.answers) as subject:
            yield subject

    @contextmanager
    def answering(
        self,
        module: str,
        topics: TopicCatalog,
        *,
        in_flight: int,
        answers: Iterable[Answer],
        call: Call | None = None,
    ) -> Iterator[Subject]:
        """Run a loop that does as its job says."""
        job = Job(
            bootstrap_servers=self.bootstrap_servers,
            group=f"bench-{uuid4()}",
            topic=topics.on_broker(TopicName.COMPARISON_REQUESTED),
            in_flight=in_flight,
            answers=[_prefixed(answer, topics.prefix) for answer in answers],
            call=call,
        )
        path = self.directory / f"{job.group}.json"
        job.write(path)
        with running(module, log=path.with_suffix(".log"), arguments=[str(path)]) as subject:
            yield subject

    @contextmanager
    def worker(
        self,
        topics: TopicCatalog,
        *,
        slots: int,
        providers: Mapping[str, str] = MOCK,
        settings: Mapping[str, str] = {},
        module: str = "benchmarks.loops.worker",
    ) -> Iterator[tuple[Subject, str]]:
        """Run our worker; give it and its address.

        `providers` is environment; `settings` are names without LLM_WORKER_ and their values.
        """
        [port] = free_ports(1)
        group = f"bench-{uuid4()}"
        chosen = {
            "KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "KAFKA__GROUP": group,
            "KAFKA__TOPIC_PREFIX": topics.prefix,
            "CACHE__REDIS_URL": "",
            "MAX_IN_FLIGHT": str(slots),
            "WEB__PORT": str(port),
            "LOG__LEVEL": "WARNING",
            "LOG__FORMAT": "json",
        } | dict(settings)
        env = {f"LLM_WORKER_{name}": value for name, value in chosen.items()} | dict(providers)
        log = self.directory / f"{group}.log"
        with running(module, log=log, env=env) as subject:
            yield subject, f"http://127.0.0.1:{port}"

    async def written(self, providers: Mapping[str, str], *, essay_bytes: int) -> list[Answer]:
        """Run our worker on one request and give what it writes, for other loops to write."""
        return await self._written(providers, WRITTEN, 1, essay_bytes)

    async def written_on_hit(self, *, essay_bytes: int) -> list[Answer]:
        """Give what it writes for a request whose verdict it has bought before."""
        return await self._written(MOCK, WRITTEN_ON_HIT, 2, essay_bytes)

    async def _written(
        self, providers: Mapping[str, str], names: Iterable[TopicName], asked: int, essay_bytes: int
    ) -> list[Answer]:
        """Ask the same so many times, one after another; give what the last one gets."""
        topics, key = await self.topics("answers"), b""
        with self.worker(topics, slots=10, providers=providers) as (subject, _):
            for number in range(1, asked + 1):
                key = await self.fill(topics, _REQUESTED, 1, essay_bytes=essay_bytes, questions=1)
                while await self.results(topics) < number:
                    subject.check()
                    await asyncio.sleep(0.1)
        return [await self._answer(topics, name, key) for name in names]

    async def _answer(self, topics: TopicCatalog, name: TopicName, request_key: bytes) -> Answer:
        reader = AIOKafkaConsumer(
            topics.on_broker(name),
            bootstrap_servers=self.bootstrap_servers,
            auto_offset_reset="earliest",
        )
        async with reader:
            record = await reader.getone()
            while request_key not in record.value:
                record = await reader.getone()
        headers = [(key, value.decode()) for key, value in record.headers]
        return Answer(topic=topics[name].name, value=record.value.decode(), headers=headers)


@asynccontextmanager
async def bench_on(
    bootstrap_servers: str, directory: Path, fakes: FakeProviders
) -> AsyncIterator[Bench]:
    """Open a bench on a running broker, with running fake providers."""
    async with AsyncExitStack() as stack:
        yardstick = await stack.enter_async_context(yardstick_in(directory))
        bench = Bench(
            bootstrap_servers=bootstrap_servers,
            directory=directory,
            consumer=AIOKafkaConsumer(bootstrap_servers=bootstrap_servers),
            producer=AIOKafkaProducer(
                bootstrap_servers=bootstrap_servers, linger_ms=5, max_batch_size=256 * 1024
            ),
            yardstick=yardstick,
            fakes=fakes,
        )
        await stack.enter_async_context(bench.consumer)
        await stack.enter_async_context(bench.producer)
        bench.answers.extend(await bench.written(MOCK, essay_bytes=1_000))
        yield bench


def _prefixed(answer: Answer, prefix: str) -> Answer:
    return Answer(topic=prefix + answer.topic, value=answer.value, headers=answer.headers)
