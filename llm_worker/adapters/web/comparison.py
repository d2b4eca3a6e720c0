"""POST /api/v1/comparison: one comparison for callers that are not on Kafka yet."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from llm_worker.adapters.web.answers import RequestError, invalid, json_answer, unavailable
from llm_worker.adapters.web.bodies import MAX_BODY_BYTES, read_body
from llm_worker.adapters.web.operations import Key, Operation
from llm_worker.contracts.http import LONGEST_IDEMPOTENCY_KEY, ComparisonAnswer, QueuedAnswer
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.domain.errors import ContentTooLongError
from llm_worker.domain.request import build_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiohttp import web

    from llm_worker.adapters.web.guard import Guard
    from llm_worker.contracts.result import ErrorDetail, LLMComparisonResultV1

_KEY: Final = "Idempotency-Key"
_IN_HAND_BYTES: Final = 32_000_000
_KEY_HEADER: Final = {
    "name": _KEY,
    "in": "header",
    "required": False,
    "description": "Sent again with the same key, a request is answered with what was bought for "
    "it; a UUID becomes the event id as it stands.",
    "schema": {"type": "string", "maxLength": LONGEST_IDEMPOTENCY_KEY},
}
_NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:llm-worker:idempotency-key")


class Comparisons(Protocol):
    """The way through the request topic.

    Both raise RequestError where the request is not, or may not be, on its way; `trace` is the
    caller's trace context.
    """

    async def queue(
        self, asked: LLMComparisonRequestV1, event_id: UUID, trace: Mapping[str, str], /
    ) -> None:
        """Put a request onto the topic; the broker holds it on return."""

    async def compare(
        self, asked: LLMComparisonRequestV1, event_id: UUID, trace: Mapping[str, str], /
    ) -> LLMComparisonResultV1:
        """Put a request onto the topic and wait for its result."""


@dataclass(slots=True)
class _Room:
    """How much of all bodies may be in hand at once, being read or waiting for their results."""

    left_bytes: int = _IN_HAND_BYTES

    @contextmanager
    def taken(self, wanted_bytes: int) -> Iterator[None]:
        """Take a part of it; raises RequestError where there is none."""
        if wanted_bytes > self.left_bytes:
            raise unavailable("too many large requests are in hand here", retry_after_s=5)
        self.left_bytes -= wanted_bytes
        try:
            yield
        finally:
            self.left_bytes += wanted_bytes


def comparison_operations(comparisons: Comparisons, guard: Guard) -> list[Operation]:
    """Queue a request, or wait for its verdict."""
    room = _Room()

    async def compare(request: web.Request) -> web.Response:
        guard.spend(request)
        event_id = _event_id(request.headers.get(_KEY))
        with room.taken(_most_bytes(request)):
            asked = await read_body(request, LLMComparisonRequestV1)
            size_bytes = len(await request.read())  # read already: here it takes no time
        with room.taken(size_bytes):
            try:
                answer = await _answered(comparisons, asked, event_id, _trace_of(request))
            except RequestError as error:
                joined_by = asked.correlation_id or event_id
                error.answer = error.answer.model_copy(update={"correlation_id": joined_by})
                raise
        return answer

    return [
        Operation(
            method="POST",
            path="/api/v1/comparison",
            handle=compare,
            summary="Compare two essays: with callback_topic queue the request, else wait",
            body=LLMComparisonRequestV1,
            answers={200: ComparisonAnswer, 202: QueuedAnswer},
            faults=(400, 401, 403, 408, 409, 413, 415, 429, 503),
            parameters=(_KEY_HEADER,),
            key=Key.API,
        )
    ]


def _most_bytes(request: web.Request) -> int:
    """Say how large a body may turn out to be, once it is there and unpacked."""
    told = request.content_length
    if told is None or "Content-Encoding" in request.headers:
        return MAX_BODY_BYTES
    return min(told, MAX_BODY_BYTES)


async def _answered(
    comparisons: Comparisons,
    asked: LLMComparisonRequestV1,
    event_id: UUID,
    trace: Mapping[str, str],
) -> web.Response:
    try:
        if asked.callback_topic is None:
            result = await comparisons.compare(asked, event_id, trace)
        else:
            await comparisons.queue(asked, event_id, trace)
            return _queued(asked, event_id)
    except RequestError as error:
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            error.add_words(
                f"Ask again with {_KEY}: {event_id}, and what was bought meanwhile is not bought "
                "again"
            )
        raise
    if not _is_about(result, asked):
        raise _finally(
            invalid(
                f"this {_KEY} was used before, for other texts: send these with a key of their own"
            )
        )
    if result.error_detail is not None:
        raise _error_of(result.error_detail)
    return json_answer(
        HTTPStatus.OK,
        ComparisonAnswer.model_validate(
            {**dict(result), "metadata": result.request_metadata}  # checked: none is missing
        ),
    )


def _is_about(result: LLMComparisonResultV1, asked: LLMComparisonRequestV1) -> bool:
    """Tell the result of these texts from that of others, sent under the same key meanwhile."""
    try:
        sha256 = build_prompt(asked).sha256
    except ContentTooLongError:
        return False
    return bool(result.request_metadata.get("prompt_sha256", sha256) == sha256)


def _queued(asked: LLMComparisonRequestV1, event_id: UUID) -> web.Response:
    joined_by = asked.correlation_id or event_id
    words = f"the result goes to {asked.callback_topic}, with correlation id {joined_by}"
    return json_answer(HTTPStatus.ACCEPTED, QueuedAnswer(queue_id=event_id, message=words))


def _trace_of(request: web.Request) -> dict[str, str]:
    """Give the caller's trace context, as far as it can be one: the worker looks closer."""
    given = {name: request.headers.get(name) for name in ("traceparent", "tracestate")}
    return {name: value for name, value in given.items() if value and value.isascii()}


def _event_id(key: str | None) -> UUID:
    if key is None:
        return uuid4()
    if not key.isascii() or not 0 < len(key) <= LONGEST_IDEMPOTENCY_KEY:
        raise invalid(f"{_KEY} must have 1 to {LONGEST_IDEMPOTENCY_KEY} ASCII characters")
    try:
        return UUID(key)
    except ValueError:
        return uuid5(_NAMESPACE, key)


def _error_of(detail: ErrorDetail) -> RequestError:
    is_retryable = detail.details.get("is_retryable") is True
    retry_after = detail.details.get("retry_after")
    error = RequestError(
        HTTPStatus.SERVICE_UNAVAILABLE if is_retryable else HTTPStatus.BAD_REQUEST,
        detail.error_code,
        detail.message,
        retry_after_s=retry_after if isinstance(retry_after, int | float) else None,
    )
    if is_retryable:
        error.add_words(f"With the same {_KEY} this stays the answer: try again with another")
    return _finally(error)


def _finally(error: RequestError) -> RequestError:
    error.answer = error.answer.model_copy(update={"is_final": True})
    return error
