"""Send comparison requests and await their results."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing, nullcontext, suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self

from typing_extensions import override

from llm_worker.client.errors import ClientError, NoAnswerError, translated
from llm_worker.client.failures import RequestValidationError
from llm_worker.client.journal import Journal, identified
from llm_worker.client.judge import DEFAULT_TIMEOUT_S, GRACE_S, Judge, due_within, utc_now
from llm_worker.client.judgement import Judgement
from llm_worker.client.outstanding import Outstanding
from llm_worker.client.publishing import writer
from llm_worker.client.reading import connection_to, reader, records_of, require_topics
from llm_worker.client.sending import Sender
from llm_worker.client.submission import Submission, render
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, Lane, TopicName

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    from llm_worker.client.outstanding import Inbox
    from llm_worker.contracts.request import LLMComparisonRequestV1
    from llm_worker.contracts.result import LLMComparisonResultV1
    from llm_worker.contracts.topics import TopicCatalog

_LINGER_MS: Final = 10
_BATCH_BYTES: Final = 131_072


class ComparisonClient(Judge):
    """A connection to Kafka that sends requests and gets their results.

    Results are read from the reply topic, all of it from the moment of entering, and from the
    default one, where a result goes that the broker refuses on the other; results of others there
    do no harm. Memory holds what is outstanding, never what was answered. A request that Kafka
    does not take for a while is sent again under its event id, so it stays one request.

    Entering raises `UnreachableError` without a broker and `MissingTopicError` without topics.
    Whatever Kafka refuses comes as `KafkaRefusalError`.

    Args:
        kafka: Servers, `host:port` with commas between them; or connection arguments as every
            aiokafka client takes them.
        topics: The catalogue that the worker uses too; the shipped one if not given.
        source_service: Who sends, for the envelope.
        reply_topic: Where results are to go, by its name on the broker; it exists, and the worker
            allows it. The topic shared by all if not given.
        lane: The queue of requests that name none.
        max_outstanding: Requests without a result at which `submit_many` waits.
        now: The clock of the envelopes.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, and all have a default
        self,
        kafka: str | Mapping[str, Any],
        topics: TopicCatalog | None = None,
        *,
        source_service: str = "llm-worker-client",
        reply_topic: str | None = None,
        lane: Lane = Lane.NORMAL,
        max_outstanding: int = 2_000,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._kafka = connection_to(kafka)
        self._topics = topics or load_topics()
        self._source_service = source_service
        self._reply_topic = reply_topic
        self._lane = lane
        self._max_outstanding = max_outstanding
        self._now = now
        self._outstanding = Outstanding()
        self._sender = Sender(self._open_producer)
        self._open = AsyncExitStack()

    @property
    def is_reading(self) -> bool:
        """Whether results still arrive; when they do not, a new client is needed."""
        return self._outstanding.is_open

    @override
    async def judge(
        self, request: LLMComparisonRequestV1, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> Judgement:
        request = due_within(request, timeout_s, self._now())
        return Judgement.of(await self.ask(request, timeout_s=timeout_s + GRACE_S))

    async def ask(
        self, request: Submission | LLMComparisonRequestV1, *, timeout_s: float
    ) -> LLMComparisonResultV1:
        """Send one request and wait for its result, which may be an error result.

        Raises:
            NoAnswerError: None came within `timeout_s`.
        """
        asking = self.submit_many([request], silence_s=timeout_s)
        try:
            # Not the silence alone: to send may take as long where no broker answers.
            async with asyncio.timeout(timeout_s), aclosing(asking) as results:
                return await anext(results)
        except TimeoutError:
            raise NoAnswerError.after(timeout_s, outstanding=1) from None

    async def submit_many(
        self,
        requests: Iterable[Submission | LLMComparisonRequestV1],
        *,
        silence_s: float = 600,
        journal: Journal | Path | str | None = None,
    ) -> AsyncGenerator[LLMComparisonResultV1]:
        """Send requests and give their results in order of arrival.

        Sends the next only while fewer than `max_outstanding` are without a result that the
        caller has taken. Close the generator (`contextlib.aclosing`) when leaving early.

        With a `journal`, a file or one that the caller has entered, each result is in it before it
        is given. The same requests with the same journal go on after a crash: results that it has
        are given from it, the rest is sent under the same event ids, so that what was bought
        meanwhile is not bought again. A request without an event id is named by its content, with
        the reply topic: it must be the same in both runs.

        Raises:
            NoAnswerError: For `silence_s` no result came at all.
            RequestValidationError: A request names another reply topic than this client's.
            JournalError: The journal is no file of results.
        """
        inbox: Inbox = asyncio.Queue()
        waiting: dict[str, bytes] = {}
        with _entered(journal) as kept:
            try:
                for submission in self._submissions(requests, is_named=kept is not None):
                    self._require_our_reply_topic(submission)
                    known = kept and kept.find(submission.event_id)
                    if known:
                        yield known
                        continue
                    while len(waiting) >= self._max_outstanding or not inbox.empty():
                        yield await _take(inbox, waiting, silence_s, kept)
                    self._outstanding.add(submission, inbox)
                    waiting[str(submission.event_id)] = submission.key
                    held = await self._send(submission)
                    held.add_done_callback(lambda sent: self._tell_if_refused(sent, inbox))
                while waiting:
                    yield await _take(inbox, waiting, silence_s, kept)
            finally:
                for event_id, key in waiting.items():
                    self._outstanding.discard(key, event_id)

    async def publish(self, requests: Iterable[Submission | LLMComparisonRequestV1]) -> int:
        """Send requests without waiting for results; the broker holds all of them on return.

        Returns how many there were.
        """
        remaining, count = self._submissions(requests, is_named=False), 0
        while batch := list(islice(remaining, self._max_outstanding)):
            with translated(self._kafka):
                await asyncio.gather(*[await self._send(submission) for submission in batch])
            count += len(batch)
        return count

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            consumer = await opening.enter_async_context(
                reader(self._kafka, self._reply_topics, in_bulk=True)
            )
            await require_topics(consumer, self._request_topics)
            await opening.enter_async_context(self._sender)
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

    @property
    def _reply_topics(self) -> set[str]:
        shared = self._topics.on_broker(TopicName.COMPARISON_RESULT)
        return {shared, self._reply_topic or shared}

    def _open_producer(self) -> AbstractAsyncContextManager[AIOKafkaProducer]:
        return writer(
            self._kafka,
            self._request_topics,
            linger_ms=_LINGER_MS,
            max_batch_size=_BATCH_BYTES,
            max_request_size=max(
                self._topics[n].max_message_bytes for n in REQUEST_TOPICS.values()
            ),
        )

    def _submissions(
        self, requests: Iterable[Submission | LLMComparisonRequestV1], *, is_named: bool
    ) -> Iterator[Submission]:
        """Give each its reply topic and its event id, by its content where `is_named`."""
        addressed = map(self._addressed, requests)
        if is_named:
            return identified(addressed, lane=self._lane)
        return (
            request
            if isinstance(request, Submission)
            else Submission(request=request, lane=self._lane)
            for request in addressed
        )

    def _addressed(
        self, asked: Submission | LLMComparisonRequestV1
    ) -> Submission | LLMComparisonRequestV1:
        request = asked.request if isinstance(asked, Submission) else asked
        if self._reply_topic is None or request.callback_topic is not None:
            return asked
        request = request.model_copy(update={"callback_topic": self._reply_topic})
        return replace(asked, request=request) if isinstance(asked, Submission) else request

    def _require_our_reply_topic(self, submission: Submission) -> None:
        asked = submission.request.callback_topic
        if asked not in {None, *self._reply_topics}:
            raise RequestValidationError(
                "callback_topic: results are awaited on "
                f"{' and '.join(sorted(self._reply_topics))}; leave it out, or use `publish`"
            )

    async def _send(self, submission: Submission) -> asyncio.Future[None]:
        return await self._sender.send(
            render(submission, self._topics, source_service=self._source_service, now=self._now())
        )

    def _tell_if_refused(self, held: asyncio.Future[None], inbox: Inbox) -> None:
        if held.cancelled() or held.exception() is None:
            return
        try:
            with translated(self._kafka):
                held.result()
        except Exception as error:  # noqa: BLE001 - whoever waits is to have it, whatever it is
            inbox.put_nowait(error)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        try:
            async with aclosing(records_of(consumer, self._kafka)) as records:
                async for record in records:
                    self._outstanding.receive(record.key, record.value)
        except ClientError as error:
            self._outstanding.fail(error)
        except BaseException:
            self._outstanding.fail(ClientError("the client no longer reads results"))
            raise


def _entered(journal: Journal | Path | str | None) -> AbstractContextManager[Journal | None]:
    """Open the journal; one that the caller has entered stays open afterwards."""
    if journal is None or isinstance(journal, Journal):
        return nullcontext(journal)
    return Journal(journal)


async def _take(
    inbox: Inbox, waiting: dict[str, bytes], silence_s: float, journal: Journal | None
) -> LLMComparisonResultV1:
    try:
        async with asyncio.timeout(silence_s):
            answer = await inbox.get()
    except TimeoutError:
        raise NoAnswerError.after(silence_s, outstanding=len(waiting)) from None
    if isinstance(answer, Exception):
        raise answer.with_traceback(None)  # others raise it too, and it would keep their frames
    del waiting[answer.request_id]
    if journal is not None:
        journal.keep(answer)
    return answer


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
