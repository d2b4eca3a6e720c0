"""Comparisons over HTTP: through the request topic, like any other."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol, Self

from llm_worker.adapters.web.answers import RequestError, invalid, unavailable
from llm_worker.bootstrap.web.handing_over import hand_over, too_large
from llm_worker.client.errors import ClientError, NoAnswerError
from llm_worker.client.failures import ContentTooLongError, RequestValidationError
from llm_worker.client.submission import Submission, render
from llm_worker.contracts.vocabulary import ErrorCode
from llm_worker.domain.delivery import Record
from llm_worker.domain.results import SERVICE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
    from types import TracebackType
    from uuid import UUID

    from llm_worker.application.ports import Clock, EventPublisher, ReplyTopics
    from llm_worker.contracts.request import LLMComparisonRequestV1
    from llm_worker.contracts.result import LLMComparisonResultV1
    from llm_worker.contracts.topics import TopicCatalog

_WAITING_AT_MOST: Final = 1_000
_REPLY_TOPIC_WITHIN_S: Final = 10.0
_LAST_RESULTS_S: Final = 1.0
_IDLE_S: Final = 30.0
"""How long the results are followed while nobody waits for one."""


class ResultsClient(Protocol):
    """A ComparisonClient, as far as it is needed here."""

    @property
    def is_reading(self) -> bool:
        """Whether results still arrive."""

    async def __aenter__(self) -> Self:
        """Begin to read results."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Read no more."""

    def submit_many(
        self, submissions: Iterable[Submission], *, silence_s: float
    ) -> AsyncGenerator[LLMComparisonResultV1]:
        """Send requests and give their results."""


class Comparing:
    """Queues requests, and waits for their results; follows the result topic only meanwhile.

    Args:
        new_client: Gives who waits for results.
        topics: The topics.
        publisher: What requests with a reply topic go through.
        reply_topics: Knows which may be named.
        clock: The time of the envelopes.
        wait_s: How long a caller waits for its result.
    """

    def __init__(
        self,
        *,
        new_client: Callable[[], ResultsClient],
        topics: TopicCatalog,
        publisher: EventPublisher,
        reply_topics: ReplyTopics,
        clock: Clock,
        wait_s: float,
    ) -> None:
        self._new_client = new_client
        self._topics = topics
        self._publisher = publisher
        self._reply_topics = reply_topics
        self._clock = clock
        self._wait_s = wait_s
        self._waiting: set[UUID] = set()
        self._client: asyncio.Task[ResultsClient] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._nobody_waits = asyncio.Event()
        self._nobody_waits.set()
        self.is_stopping = False

    async def queue(
        self, asked: LLMComparisonRequestV1, event_id: UUID, trace: Mapping[str, str], /
    ) -> None:
        """See Comparisons."""
        self._require_running()
        record = self._record_of(Submission(request=asked, event_id=event_id, trace=trace))
        await self._require_usable(asked.callback_topic or "")
        await hand_over(self._publisher, record)

    async def compare(
        self, asked: LLMComparisonRequestV1, event_id: UUID, trace: Mapping[str, str], /
    ) -> LLMComparisonResultV1:
        """See Comparisons."""
        self._require_running()
        submission = Submission(request=asked, event_id=event_id, trace=trace)
        self._record_of(submission)  # whether it can be one
        with self._place(event_id):
            try:
                async with asyncio.timeout(self._wait_s):
                    return await self._result_of(submission)
            except (NoAnswerError, TimeoutError):
                raise RequestError(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    ErrorCode.TIMEOUT,
                    f"there is no result within {self._wait_s:.0f} s",
                ) from None
            except ClientError as error:
                why = "this process stops" if self.is_stopping else str(error)
                raise unavailable(why, retry_after_s=5) from error

    async def aclose(self) -> None:
        """Follow no results any more; who waits is told to ask again.

        What the last drain has published is on its way here, and is waited for a moment.
        """
        self.is_stopping = True
        self._stay_open()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_RESULTS_S):
                await self._nobody_waits.wait()
        self._leave()
        if self._closing:
            await asyncio.wait(self._closing)

    async def _require_usable(self, reply_topic: str) -> None:
        try:
            async with asyncio.timeout(_REPLY_TOPIC_WITHIN_S):
                is_usable = await self._reply_topics.is_usable(reply_topic)
        except TimeoutError:
            raise unavailable(
                "no Kafka broker says whether callback_topic is there", retry_after_s=5
            ) from None
        if not is_usable:
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                ErrorCode.LLM_INVALID_CALLBACK_TOPIC,
                "callback_topic is not allowed or does not exist; "
                "name an existing topic within LLM_WORKER_CALLBACK_PATTERNS",
            )

    def _record_of(self, submission: Submission) -> Record:
        """Write a submission down; raises RequestError where no record can hold it."""
        try:
            written = render(
                submission, self._topics, source_service=SERVICE, now=self._clock.now()
            )
        except RequestValidationError:
            raise invalid("metadata is nested too deeply; keep it under 250 levels") from None
        except ContentTooLongError:
            raise too_large() from None
        return Record(
            topic=written.topic,
            key=written.key,
            value=written.value,
            headers=tuple(written.headers),
        )

    async def _result_of(self, submission: Submission) -> LLMComparisonResultV1:
        client = await self._entered()
        results = client.submit_many([submission], silence_s=self._wait_s)
        try:
            async with aclosing(results):
                return await anext(results)
        finally:
            if not client.is_reading:
                self._leave(client)  # the next request gets a new one

    async def _entered(self) -> ResultsClient:
        """Give the client; all who wait for it to open wait for the same opening."""
        self._require_running()
        if self._client is None:
            opening = asyncio.ensure_future(self._new_client().__aenter__())
            self._client = opening
            opening.add_done_callback(self._forget_failed)
        return await asyncio.shield(self._client)

    def _forget_failed(self, opening: asyncio.Task[ResultsClient]) -> None:
        has_failed = opening.cancelled() or opening.exception() is not None
        if has_failed and self._client is opening:
            self._client = None

    def _leave(self, only: ResultsClient | None = None) -> None:
        """Close the client, or give up opening it; `only` this one."""
        entered = self._client
        if entered is None or (only and not (entered.done() and entered.result() is only)):
            return
        self._client = None
        closing = asyncio.ensure_future(_closed(entered))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    @contextmanager
    def _place(self, event_id: UUID) -> Iterator[None]:
        """Wait among a bounded number, each event id once."""
        if event_id in self._waiting:
            raise RequestError(
                HTTPStatus.CONFLICT,
                ErrorCode.INVALID_REQUEST,
                "a request with this Idempotency-Key waits for its result now; ask again later",
                retry_after_s=1,
            )
        if len(self._waiting) >= _WAITING_AT_MOST:
            raise unavailable("too many requests wait for their results here", retry_after_s=5)
        self._waiting.add(event_id)
        self._nobody_waits.clear()
        self._stay_open()
        try:
            yield
        finally:
            self._waiting.discard(event_id)
            if not self._waiting:
                self._nobody_waits.set()
            if not self._waiting and not self.is_stopping:
                self._idle = asyncio.get_running_loop().call_later(_IDLE_S, self._leave)

    def _stay_open(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _require_running(self) -> None:
        if self.is_stopping:
            raise unavailable("this process stops; ask another one", retry_after_s=5)


async def _closed(entered: asyncio.Task[ResultsClient]) -> None:
    if not entered.done():
        entered.cancel()
        await asyncio.wait({entered})
    if not entered.cancelled() and entered.exception() is None:
        await entered.result().__aexit__(None, None, None)
