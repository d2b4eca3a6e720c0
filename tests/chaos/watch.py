"""Watches a scenario from the outside: reads its topics and samples what its group commits."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from inspect import isawaitable
from itertools import count
from typing import TYPE_CHECKING

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from llm_worker.client.reading import keep_cancellations_in
from llm_worker.contracts.vocabulary import TopicName
from tests.chaos.evidence import REQUESTS, Evidence, Sample, Seen, Sent, read_journal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
    from pathlib import Path
    from typing import Any

    from aiokafka import ConsumerRecord

    from llm_worker.contracts.topics import TopicCatalog
    from tests.chaos.evidence import Call

_BEHIND_AT_MOST_S = 1.0
_SAMPLE_S = 0.3
_POLL_S = 0.1
_ANSWER_TIMEOUT_MS = 5_000
_FOLLOWED = (
    *REQUESTS,
    TopicName.COMPARISON_RESULT,
    TopicName.REQUEST_STARTED,
    TopicName.REQUEST_COMPLETED,
    TopicName.PROVIDER_FAILURE,
    TopicName.COST_TRACKING,
    TopicName.DEAD_LETTER,
)


class Watch:
    """What is known of a scenario so far. Made by `watching`."""

    def __init__(self, catalog: TopicCatalog, reply_topics: Sequence[str], journal: Path) -> None:
        self._journal = journal
        self._kinds = {catalog.on_broker(name): name for name in _FOLLOWED}
        self._places = [
            TopicPartition(topic, partition)
            for topic, name in self._kinds.items()
            for partition in range(catalog[name].partitions)
        ]
        # Reply topics that callers name have one partition here.
        self._places += [TopicPartition(topic, 0) for topic in reply_topics]
        self._requests = [
            place for place in self._places if self._kinds.get(place.topic) in REQUESTS
        ]
        self._next_offsets = dict.fromkeys(self._places, 0)
        self.seen: list[Seen] = []
        self.samples: list[Sample] = []
        self.answered: set[str] = set()

    def calls(self) -> tuple[Call, ...]:
        """Read what was bought so far."""
        return read_journal(self._journal)

    def results(self, mark: str) -> list[Seen]:
        """Give the results of one request."""
        kind = TopicName.COMPARISON_RESULT
        return [record for record in self.seen if record.kind is kind and record.mark == mark]

    async def until_answered(self, sent: Sequence[Sent], *, timeout_s: float) -> None:
        """Wait until each of these has a result on the broker."""
        marks = {each.mark for each in sent}
        await until(lambda: marks <= self.answered, timeout_s=timeout_s, what="all are answered")

    async def until_committed(self, *, timeout_s: float) -> None:
        """Wait until the group has committed every request there is, and all is read."""
        known = len(self.samples)

        def is_settled() -> bool:
            if len(self.samples) <= known:
                return False
            last = self.samples[-1]
            is_read = all(self._next_offsets[place] >= last.ends[place] for place in self._places)
            return is_read and last.lag() == 0

        await until(is_settled, timeout_s=timeout_s, what="all is committed")

    def evidence(self, sent: Sequence[Sent]) -> Evidence:
        """Hand over what was found."""
        return Evidence(
            sent=tuple(sent),
            calls=self.calls(),
            seen=tuple(self.seen),
            samples=tuple(self.samples),
        )

    async def follow(self, consumer: AIOKafkaConsumer) -> None:
        """Read every topic from its start, for ever."""
        consumer.assign(self._places)
        while True:
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    self._note(record)
                self._next_offsets[place] = await consumer.position(place)

    async def sample(
        self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, group: str
    ) -> None:
        """Look at the group's offsets again and again; an outage makes a gap."""
        while True:
            with suppress(KafkaError, OSError):
                found = await admin.list_consumer_group_offsets(group, partitions=self._requests)
                ends = await consumer.end_offsets(self._places)
                committed = {tuple(place): max(0, mark.offset) for place, mark in found.items()}
                self.samples.append(
                    Sample(committed=committed, ends={tuple(p): end for p, end in ends.items()})
                )
            await asyncio.sleep(_SAMPLE_S)

    def _note(self, record: ConsumerRecord) -> None:
        seen = Seen(
            kind=self._kinds.get(record.topic, TopicName.COMPARISON_RESULT),
            place=(record.topic, record.partition),
            offset=record.offset,
            key=record.key,
            headers=tuple(record.headers),
            envelope=orjson.loads(record.value),
            at_ms=record.timestamp,
        )
        self.seen.append(seen)
        if seen.kind is TopicName.COMPARISON_RESULT:
            self.answered.add(seen.mark)


@asynccontextmanager
async def watching(
    bootstrap_servers: str,
    *,
    catalog: TopicCatalog,
    group: str,
    journal: Path,
    reply_topics: Sequence[str] = (),
) -> AsyncIterator[Watch]:
    """Watch until the body ends."""
    watch = Watch(catalog, reply_topics, journal)
    options = {"bootstrap_servers": bootstrap_servers, "request_timeout_ms": _ANSWER_TIMEOUT_MS}
    admin = AIOKafkaAdminClient(**options)
    async with (
        AIOKafkaConsumer(
            **options, auto_offset_reset="earliest", enable_auto_commit=False
        ) as reader,
        AIOKafkaConsumer(**options, enable_auto_commit=False) as asker,
    ):
        for consumer in (reader, asker):
            keep_cancellations_in(consumer)
        await admin.start()
        try:
            async with beside(watch.follow(reader)), beside(watch.sample(admin, asker, group)):
                yield watch
        finally:
            await admin.close()


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run work beside the body; it ends with the body, and its own failure is raised then."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def paced(rate_per_s: float) -> AsyncIterator[int]:
    """Count for ever, by the clock: what held up its reader is made up for, but not all at once."""
    due_s = time.monotonic()
    for number in count():
        yield number
        due_s = max(due_s + 1 / rate_per_s, time.monotonic() - _BEHIND_AT_MOST_S)
        await asyncio.sleep(due_s - time.monotonic())


async def until(
    condition: Callable[[], object] | Callable[[], Awaitable[bool]], *, timeout_s: float, what: str
) -> None:
    """Wait for a condition.

    Raises:
        AssertionError: it did not come true in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                found = condition()
                if await found if isawaitable(found) else found:
                    return
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s:.0f} s: {what}") from None
