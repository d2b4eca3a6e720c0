"""Send comparison requests and await their results."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing, suppress
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from llm_worker.client.errors import ClientError, KafkaRefusalError, NoAnswerError, translated
from llm_worker.client.outstanding import Outstanding
from llm_worker.client.publishing import writer
from llm_worker.client.reading import next_records, reader, require_topics
from llm_worker.client.submission import Submission, render
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, Lane, TopicName

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
    from types import TracebackType
    from uuid import UUID

    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    from llm_worker.client.outstanding import Inbox
    from llm_worker.contracts.request import LLMComparisonRequestV1
    from llm_worker.contracts.result import LLMComparisonResultV1
    from llm_worker.contracts.topics import TopicCatalog

_LINGER_MS = 10
_BATCH_BYTES = 131_072


def _utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the default for those who bring no clock


class ComparisonClient:
    """A connection to Kafka that sends requests and gets their results.

    Results are read from the default reply topic, all of it from the moment of entering; results
    of others there do no harm. A request with another `callback_topic` is answered elsewhere.
    Memory holds what is outstanding, never what was answered.

    Entering raises `UnreachableError` without a broker and `MissingTopicError` without topics.
    Whatever Kafka refuses comes as `KafkaRefusalError`.

    Args:
        kafka: Connection arguments as every aiokafka client takes them.
        topics: The catalogue that the worker uses too.
        source_service: Who sends, for the envelope.
        max_outstanding: Requests without a result at which `submit_many` waits.
        now: The clock of the envelopes.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        topics: TopicCatalog,
        *,
        source_service: str = "llm-worker-client",
        max_outstanding: int = 2_000,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._kafka = kafka
        self._topics = topics
        self._source_service = source_service
        self._max_outstanding = max_outstanding
        self._now = now
        self._outstanding = Outstanding()
        self._open = AsyncExitStack()

    @property
    def is_reading(self) -> bool:
        """Whether results still arrive; when they do not, a new client is needed."""
        return self._outstanding.is_open

    async def compare(
        self,
        request: LLMComparisonRequestV1,
        *,
        event_id: UUID | None = None,
        correlation_id: UUID | None = None,
        lane: Lane = Lane.NORMAL,
        timeout_s: float,
    ) -> LLMComparisonResultV1:
        """Send one request and wait for its result, which may be an error result.

        Raises:
            NoAnswerError: None came within `timeout_s`.
        """
        submission = Submission(
            request=request,
            event_id=event_id or uuid4(),
            correlation_id=correlation_id,
            lane=lane,
        )
        async with aclosing(self.submit_many([submission], silence_s=timeout_s)) as results:
            return await anext(results)

    async def submit_many(
        self, submissions: Iterable[Submission], *, silence_s: float = 600
    ) -> AsyncGenerator[LLMComparisonResultV1]:
        """Send requests and give their results in order of arrival.

        Sends the next only while fewer than `max_outstanding` are without a result that the
        caller has taken. Close the generator (`contextlib.aclosing`) when leaving early.

        Raises:
            NoAnswerError: For `silence_s` no result came at all.
        """
        inbox: Inbox = asyncio.Queue()
        waiting: dict[str, bytes] = {}
        try:
            for submission in submissions:
                while len(waiting) >= self._max_outstanding or not inbox.empty():
                    yield await _take(inbox, waiting, silence_s)
                self._outstanding.add(submission, inbox)
                waiting[str(submission.event_id)] = submission.key
                delivery = await self._send(submission)
                delivery.add_done_callback(lambda sent: _tell_if_refused(sent, inbox))
            while waiting:
                yield await _take(inbox, waiting, silence_s)
        finally:
            for event_id, key in waiting.items():
                self._outstanding.discard(key, event_id)

    async def publish(self, submissions: Iterable[Submission]) -> int:
        """Send requests without waiting for results; the broker holds all of them on return.

        Returns how many there were.
        """
        remaining, count = iter(submissions), 0
        while batch := list(islice(remaining, self._max_outstanding)):
            deliveries = [await self._send(submission) for submission in batch]
            with translated(self._kafka):
                await asyncio.gather(*deliveries)
            count += len(batch)
        return count

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            reply_topic = self._topics.on_broker(TopicName.COMPARISON_RESULT)
            consumer = await opening.enter_async_context(reader(self._kafka, [reply_topic]))
            await require_topics(consumer, self._request_topics)
            self._producer = await self._start_producer(opening)
            # Owned by this client, which cancels it on leaving.
            reading = asyncio.create_task(self._read(consumer))  # noqa: TID251 - see above
            opening.push_async_callback(_cancelled, reading)
            self._open = opening.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._open.aclose()

    @property
    def _request_topics(self) -> list[str]:
        return [self._topics.on_broker(name) for name in REQUEST_TOPICS.values()]

    async def _start_producer(self, opening: AsyncExitStack) -> AIOKafkaProducer:
        return await opening.enter_async_context(
            writer(
                self._kafka,
                self._request_topics,
                linger_ms=_LINGER_MS,
                max_batch_size=_BATCH_BYTES,
                max_request_size=max(
                    self._topics[n].max_message_bytes for n in REQUEST_TOPICS.values()
                ),
            )
        )

    async def _send(self, submission: Submission) -> asyncio.Future[Any]:
        record = render(
            submission, self._topics, source_service=self._source_service, now=self._now()
        )
        with translated(self._kafka):
            delivery: asyncio.Future[Any] = await self._producer.send(
                record.topic, value=record.value, key=record.key, headers=record.headers
            )
        return delivery

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        try:
            while True:
                for record in await next_records(consumer, self._kafka):
                    self._outstanding.receive(record.key, record.value)
        except ClientError as error:
            self._outstanding.fail(error)
        except BaseException:
            self._outstanding.fail(ClientError("the client no longer reads results"))
            raise


async def _take(inbox: Inbox, waiting: dict[str, bytes], silence_s: float) -> LLMComparisonResultV1:
    try:
        async with asyncio.timeout(silence_s):
            answer = await inbox.get()
    except TimeoutError:
        raise NoAnswerError(
            f"no result within {silence_s:g} s, {len(waiting)} outstanding: "
            "check that a worker runs and is ready"
        ) from None
    if isinstance(answer, ClientError):
        raise answer
    del waiting[answer.request_id]
    return answer


def _tell_if_refused(delivery: asyncio.Future[Any], inbox: Inbox) -> None:
    if delivery.cancelled() or delivery.exception() is None:
        return
    error = delivery.exception()
    inbox.put_nowait(KafkaRefusalError(f"Kafka refuses a request: {type(error).__name__}"))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
