from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import KafkaTimeoutError

from llm_worker.adapters.kafka.topics import create_topics
from llm_worker.client.comparison import ComparisonClient
from llm_worker.client.errors import (
    MissingTopicError,
    NoAnswerError,
    UnreachableError,
)
from llm_worker.client.failures import ContentTooLongError
from llm_worker.client.publishing import writer
from llm_worker.client.reading import follow, reader, records_of
from llm_worker.client.submission import Submission
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import Lane, TopicName
from llm_worker.dev.kafka import EmbeddedKafka
from tests.support.results import result_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.delivery import PlacedRecord

REQUEST = LLMComparisonRequestV1(user_prompt="which?", essay_a="one", essay_b="two")


class Judge:
    """Stands for a worker: hands requests over as they come, and answers when told to."""

    def __init__(self, producer: AIOKafkaProducer, topics: TopicCatalog) -> None:
        self._producer = producer
        self._reply_topic = topics.on_broker(TopicName.COMPARISON_RESULT)
        self.requests: asyncio.Queue[PlacedRecord] = asyncio.Queue()

    async def next_requests(self, count: int) -> list[PlacedRecord]:
        async with asyncio.timeout(60):
            return [await self.requests.get() for _ in range(count)]

    async def answer(self, record: PlacedRecord) -> None:
        envelope = EventEnvelope[LLMComparisonRequestV1].model_validate_json(record.value or b"")
        value = result_record(
            Submission(
                request=envelope.data,
                event_id=envelope.event_id,
                correlation_id=envelope.correlation_id,
            )
        )
        await self._producer.send_and_wait(self._reply_topic, value, key=record.key)

    async def answer_everything(self) -> None:
        while True:
            await self.answer(await self.requests.get())


@pytest.fixture
async def topics(kafka: EmbeddedKafka) -> TopicCatalog:
    catalog = load_topics(prefix=f"client-{uuid4().hex[:8]}.")
    await create_topics(connection(kafka), catalog, replication_factor=1)
    return catalog


@pytest.fixture
async def judge(kafka: EmbeddedKafka, topics: TopicCatalog) -> AsyncIterator[Judge]:
    async with (
        AIOKafkaProducer(**connection(kafka)) as producer,
        running(Judge(producer, topics), kafka, topics) as judge,
    ):
        yield judge


@asynccontextmanager
async def running(judge: Judge, kafka: EmbeddedKafka, topics: TopicCatalog) -> AsyncIterator[Judge]:
    lanes = [TopicName.COMPARISON_REQUESTED, TopicName.COMPARISON_REQUESTED_BULK]

    async def pull() -> None:
        names = [topics.on_broker(lane) for lane in lanes]
        async with aclosing(follow(connection(kafka), names, from_start=True)) as records:
            async for record in records:
                judge.requests.put_nowait(record)

    async with asyncio.TaskGroup() as tasks:
        pulling = tasks.create_task(pull())
        yield judge
        pulling.cancel()


@pytest.fixture
async def client(kafka: EmbeddedKafka, topics: TopicCatalog) -> AsyncIterator[ComparisonClient]:
    async with ComparisonClient(connection(kafka), topics, max_outstanding=20) as client:
        yield client


@pytest.fixture
async def answered(judge: Judge) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        answering = tasks.create_task(judge.answer_everything())
        yield
        answering.cancel()


def connection(kafka: EmbeddedKafka) -> dict[str, object]:
    return {"bootstrap_servers": kafka.bootstrap_servers}


def submissions(count: int) -> Iterable[Submission]:
    return (Submission(request=REQUEST) for _ in range(count))


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("lane", Lane)
async def test_compare_gets_the_result_of_its_own_request(
    client: ComparisonClient, lane: Lane
) -> None:
    event_id, correlation_id = uuid4(), uuid4()

    submission = Submission(
        request=REQUEST, event_id=event_id, correlation_id=correlation_id, lane=lane
    )
    result = await client.ask(submission, timeout_s=60)

    assert result.request_id == str(event_id)
    assert result.correlation_id == correlation_id


@pytest.mark.usefixtures("answered")
async def test_many_requests_each_get_one_result_and_nothing_stays(
    client: ComparisonClient,
) -> None:
    sent = [Submission(request=REQUEST) for _ in range(300)]

    results = [result.request_id async for result in client.submit_many(sent)]

    assert sorted(results) == sorted(str(submission.event_id) for submission in sent)
    assert len(client._outstanding) == 0


@pytest.mark.usefixtures("answered")
async def test_callers_side_by_side_get_their_own_results(client: ComparisonClient) -> None:
    results = await asyncio.gather(
        *(
            client.ask(Submission(request=REQUEST, event_id=UUID(int=n)), timeout_s=60)
            for n in range(30)
        )
    )

    assert [result.request_id for result in results] == [str(UUID(int=n)) for n in range(30)]


async def test_results_come_in_order_of_arrival(client: ComparisonClient, judge: Judge) -> None:
    results = client.submit_many(submissions(2))
    first_result = asyncio.ensure_future(anext(results))
    first, second = await judge.next_requests(2)

    await judge.answer(second)
    assert str((await first_result).correlation_id).encode() == second.key
    await judge.answer(first)

    assert [str(result.correlation_id).encode() async for result in results] == [first.key]


async def test_no_more_than_the_bound_is_outstanding(
    client: ComparisonClient, judge: Judge
) -> None:
    drawn = 0

    def endless() -> Iterable[Submission]:
        nonlocal drawn
        while True:
            drawn += 1
            yield Submission(request=REQUEST)

    async with aclosing(client.submit_many(endless())) as results:
        waiting = asyncio.ensure_future(anext(results))
        first, *_ = await judge.next_requests(20)
        assert len(client._outstanding) == 20
        await judge.answer(first)
        await waiting
        assert drawn == 21, "one more was drawn, and waits for room"
    assert len(client._outstanding) == 0


async def test_answer_from_before_we_came_is_not_read(
    kafka: EmbeddedKafka, topics: TopicCatalog, judge: Judge
) -> None:
    again = Submission(request=REQUEST)
    async with ComparisonClient(connection(kafka), topics) as early:
        await early.publish([again])
        await judge.answer((await judge.next_requests(1))[0])

    async with ComparisonClient(connection(kafka), topics) as late:
        with pytest.raises(NoAnswerError, match="1 outstanding: check that a worker runs"):
            await late.ask(again, timeout_s=1)


async def test_publish_returns_when_the_broker_holds_everything(
    client: ComparisonClient, judge: Judge
) -> None:
    assert await client.publish(submissions(45)) == 45

    assert len(await judge.next_requests(45)) == 45
    assert len(client._outstanding) == 0


@pytest.mark.usefixtures("answered")
async def test_request_larger_than_a_batch_is_sent(client: ComparisonClient) -> None:
    request = LLMComparisonRequestV1(user_prompt="x" * 3_000_000)

    await client.ask(request, timeout_s=60)


async def test_request_larger_than_the_topic_takes_is_refused(client: ComparisonClient) -> None:
    request = LLMComparisonRequestV1(user_prompt="x" * 4_300_000)

    with pytest.raises(ContentTooLongError, match="shorten essay_a, essay_b or user_prompt"):
        await client.ask(request, timeout_s=60)
    with pytest.raises(ContentTooLongError, match="shorten essay_a, essay_b or user_prompt"):
        await client.publish([Submission(request=request)])
    assert len(client._outstanding) == 0


async def test_missing_topics_are_named_at_once(kafka: EmbeddedKafka) -> None:
    nowhere = load_topics(prefix="nowhere.")

    with pytest.raises(MissingTopicError, match=r"nowhere\..*comparison_result.*topics create"):
        async with ComparisonClient(connection(kafka), nowhere):
            pass


async def test_broker_that_is_not_there_is_named() -> None:
    nobody = {"bootstrap_servers": "127.0.0.1:1"}

    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1"):
        async with ComparisonClient(nobody, load_topics()):
            pass


async def test_broker_holds_back_its_answer_to_who_follows_an_idle_topic(
    kafka: EmbeddedKafka, topics: TopicCatalog
) -> None:
    topic = topics.on_broker(TopicName.COMPARISON_RESULT)

    async with reader(connection(kafka), [topic]) as consumer:
        fetcher = consumer._fetcher
        assert (fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms) == (1, 500)


async def test_follow_begins_now_or_at_the_start(
    kafka: EmbeddedKafka, topics: TopicCatalog, client: ComparisonClient
) -> None:
    name = topics.on_broker(TopicName.COMPARISON_REQUESTED)
    old, new = Submission(request=REQUEST), Submission(request=REQUEST)
    await client.publish([old])

    async with (
        aclosing(follow(connection(kafka), [name], from_start=True)) as from_start,
        aclosing(follow(connection(kafka), [name], from_start=False)) as from_now,
    ):
        assert (await anext(from_start)).key == old.key
        coming = asyncio.ensure_future(anext(from_now))
        while not coming.done():  # until it has found out what "now" is
            await client.publish([new])
            await asyncio.wait([coming], timeout=0.5)
        record = await coming

    assert (record.topic, record.key) == (name, new.key)
    assert dict(record.headers)["correlation_id"] == new.key


async def test_partition_that_a_topic_gets_later_is_read_from_its_beginning(
    kafka: EmbeddedKafka, topics: TopicCatalog
) -> None:
    topic = topics.on_broker(TopicName.CACHE_HIT)
    eager = connection(kafka) | {"metadata_max_age_ms": 100}
    async with reader(eager, [topic]) as consumer:
        before = len(consumer.assignment())
        async with writer(connection(kafka), [topic]) as producer:
            await producer.send_and_wait(topic, b"old", partition=0)
        admin = AIOKafkaAdminClient(**connection(kafka))
        await admin.start()
        await admin.create_partitions({topic: NewPartitions(total_count=before + 1)})
        await admin.close()
        async with asyncio.timeout(60), writer(eager, [topic]) as producer:
            while before not in await producer.partitions_for(topic):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
            await producer.send_and_wait(topic, b"new", partition=before)
            async with aclosing(records_of(consumer, eager)) as records:
                values = [(await anext(records)).value for _ in range(2)]
    assert sorted(values) == [b"new", b"old"]


async def test_reader_that_is_left_while_no_broker_answers_is_no_cancellation_and_leaves_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with await asyncio.to_thread(EmbeddedKafka(tmp_path).__enter__) as kafka:
        topics = load_topics()
        await create_topics(connection(kafka), topics, replication_factor=1)
        before = asyncio.all_tasks()
        async with reader(connection(kafka), [topics.on_broker(TopicName.COMPARISON_RESULT)]):
            await asyncio.to_thread(kafka.kill)
            while "Failed fetch messages" not in caplog.text:  # noqa: ASYNC110 - aiokafka's own
                await asyncio.sleep(0.05)
        assert asyncio.all_tasks() == before


async def test_producer_that_cannot_send_what_it_holds_is_gone_once_it_is_left(
    tmp_path: Path,
) -> None:
    with await asyncio.to_thread(EmbeddedKafka(tmp_path).__enter__) as kafka:
        topics = load_topics()
        await create_topics(connection(kafka), topics, replication_factor=1)
        name = topics.on_broker(TopicName.COMPARISON_REQUESTED)
        before = asyncio.all_tasks()

        async with writer(connection(kafka), [name]) as producer:
            await asyncio.to_thread(kafka.kill)
            delivery = await producer.send(name, b"never sent", key=b"k")

        with pytest.raises(KafkaTimeoutError):
            await delivery
        async with asyncio.timeout(60):
            while left := asyncio.all_tasks() - before:
                await asyncio.wait(left)
