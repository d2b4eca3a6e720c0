"""Ask for comparisons over HTTP, where Kafka is out of reach; the only module that needs httpx."""

from __future__ import annotations

import asyncio
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self
from uuid import uuid4

import httpx
import orjson
from pydantic import ValidationError
from tenacity import AsyncRetrying, retry_if_exception_type
from typing_extensions import override

from llm_worker.client.errors import (
    ClientError,
    NoAnswerError,
    NotAllowedError,
    UnreachableError,
    UnreadableResultError,
)
from llm_worker.client.failures import (
    ContentTooLongError,
    RequestValidationError,
    error_of_answer,
)
from llm_worker.client.judge import DEFAULT_TIMEOUT_S, GRACE_S, Judge, due_within, utc_now
from llm_worker.client.judgement import Judgement
from llm_worker.client.submission import written
from llm_worker.client.trying import Asking, TryAgainError, pause_s
from llm_worker.contracts.http import LONGEST_IDEMPOTENCY_KEY, ComparisonAnswer, ErrorAnswer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from types import TracebackType

    from llm_worker.contracts.request import LLMComparisonRequestV1

_PATH: Final = "/api/v1/comparison"
_CONNECT_TIMEOUT_S: Final = 10.0
_TRY_AGAIN: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,  # our last try still waits there
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_NOT_TAKEN: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Answered before the request is handed on."""


class HttpComparisonClient(Judge):
    """A connection to a worker's web server.

    Every request has a key of its own, under which it is sent again, for as long as it may take,
    after a broken connection and where the worker has no room or no answer yet; so it is bought
    once. A verdict, and a failure of the request itself, end it.

    Args:
        base_url: Where the worker answers, `http://worker:8080`.
        api_key: LLM_WORKER_WEB__API_KEY of the worker, if it has one.
        transport: How httpx gets there, where proxies or certificates want to be told.
        now: The clock of the deadlines.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        url = httpx.URL(base_url)
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError("base_url is no address of a web server: write http://HOST:PORT")
        if api_key and not _fits_header(api_key):
            raise ValueError(
                "api_key has a character that no HTTP header carries: type it again, without "
                "typographic quotes, accents or line breaks"
            )
        self._where = url.netloc.decode()
        self._now = now
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else None,
            # How long an answer may take is up to each request; each of them holds a connection.
            timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    @override
    async def judge(
        self,
        request: LLMComparisonRequestV1,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        idempotency_key: str | None = None,
    ) -> Judgement:
        """See Judge.

        With an `idempotency_key` of one's own the request goes as it is: asked again with both the
        same, also by another process, it is answered with what was bought for it.
        """
        if request.callback_topic is not None:
            raise RequestValidationError(
                "callback_topic: over HTTP the answer comes back itself; leave it out"
            )
        if idempotency_key is None:
            request = due_within(request, timeout_s, self._now())
        elif not (
            0 < len(idempotency_key) <= LONGEST_IDEMPOTENCY_KEY and _fits_header(idempotency_key)
        ):
            raise RequestValidationError(
                f"idempotency_key: give 1 to {LONGEST_IDEMPOTENCY_KEY} printable ASCII characters"
            )
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key or str(uuid4()),
        }
        asking = Asking(written(request), headers)
        again = AsyncRetrying(
            retry=retry_if_exception_type(TryAgainError),
            wait=pause_s,
            before_sleep=asking.note,
            reraise=True,
        )
        try:
            async with asyncio.timeout(timeout_s + GRACE_S):
                return await again(self._ask, asking)
        except TimeoutError:
            raise asking.ending(timeout_s) from None

    async def _ask(self, asking: Asking) -> Judgement:
        response = await self._post(asking)
        if response.status_code == HTTPStatus.OK:
            return Judgement.of(_verdict(response))
        if response.status_code in _NOT_TAKEN:
            asking.was_not_taken()
        answer = _error_answer(response)
        error = self._error(response, answer)
        if answer is not None and answer.is_final:
            raise error
        if response.status_code in _TRY_AGAIN:
            raise TryAgainError(error, _wait_s(response, answer))
        if asking.was_before:
            raise NoAnswerError(f"an earlier try may have been taken; the last one: {error}")
        raise error

    async def _post(self, asking: Asking) -> httpx.Response:
        asking.begin()
        try:
            return await self._http.post(_PATH, content=asking.body, headers=asking.headers)
        except httpx.LocalProtocolError:
            raise ClientError("httpx does not send this: check api_key and the key") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            asking.was_not_taken()
            raise self._unreachable(error) from error
        except httpx.RequestError as error:
            raise TryAgainError(
                NoAnswerError(f"the connection to {self._where} broke before the answer")
            ) from error

    def _unreachable(self, error: BaseException) -> Exception:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLError):
                return NotAllowedError(
                    f"no TLS connection to {self._where}: {cause.reason or 'refused'}: check that "
                    "it speaks TLS there, and its certificate"
                )
            cause = cause.__cause__ or cause.__context__
        return TryAgainError(
            UnreachableError(
                f"no worker answers at {self._where}: check the address, and that it runs"
            )
        )

    def _error(self, response: httpx.Response, answer: ErrorAnswer | None) -> ClientError:
        status = response.status_code
        refusal = _refusals(self._where, answer.error if answer else "no reason given").get(status)
        if refusal is not None:
            return refusal
        if answer is not None:
            return error_of_answer(answer, is_retryable=status in _TRY_AGAIN)
        return ClientError(
            f"{self._where} answers HTTP {status}, and not as a worker does: check base_url, and "
            "what stands between"
        )


def _fits_header(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _refusals(where: str, said: str) -> dict[int, ClientError]:
    """Say what is wrong where the status tells more than the code."""
    return {
        HTTPStatus.UNAUTHORIZED: NotAllowedError(f"{where} wants another api_key: {said}"),
        HTTPStatus.FORBIDDEN: NotAllowedError(f"{where} refuses: {said}"),
        HTTPStatus.NOT_FOUND: ClientError(f"{where} gives no comparisons: check base_url"),
        HTTPStatus.CONFLICT: NoAnswerError("a request with this key still waits for its answer"),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ContentTooLongError(
            "the request has too many bytes for HTTP; shorten it"
        ),
    }


def _verdict(response: httpx.Response) -> ComparisonAnswer:
    try:
        return ComparisonAnswer.from_json(response.content)
    except (ValidationError, orjson.JSONDecodeError):
        raise UnreadableResultError(
            "an answer cannot be read: use a client as new as the worker, and check base_url"
        ) from None


def _error_answer(response: httpx.Response) -> ErrorAnswer | None:
    try:
        return ErrorAnswer.model_validate_json(response.content)
    except ValidationError:
        return None  # a proxy's, or of a stranger


def _wait_s(response: httpx.Response, answer: ErrorAnswer | None) -> float | None:
    if answer is not None and answer.retry_after is not None:
        return answer.retry_after
    told = response.headers.get("Retry-After", "")
    return float(told) if told.isdecimal() and told.isascii() else None
