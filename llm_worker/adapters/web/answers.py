"""Answers of the web server, and the errors that become answers."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson
from aiohttp import web
from pydantic import BaseModel

from llm_worker.contracts.http import ErrorAnswer
from llm_worker.contracts.vocabulary import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class RequestError(Exception):
    """A request that is answered with an ErrorAnswer; `retry_after_s` is None where unknown."""

    def __init__(
        self,
        status: HTTPStatus,
        error_type: ErrorCode,
        message: str,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.answer = ErrorAnswer(error=message, error_type=error_type, retry_after=retry_after_s)

    def add_words(self, words: str) -> None:
        """Say one thing more."""
        self.answer = self.answer.model_copy(update={"error": f"{self.answer.error}. {words}"})


def invalid(message: str) -> RequestError:
    """Make the error of a request that can never be honoured as it is."""
    return RequestError(HTTPStatus.BAD_REQUEST, ErrorCode.VALIDATION_ERROR, message)


def not_found(message: str) -> RequestError:
    """Make the error of what is not there."""
    return RequestError(HTTPStatus.NOT_FOUND, ErrorCode.INVALID_REQUEST, message)


def unavailable(message: str, *, retry_after_s: float | None = None) -> RequestError:
    """Make the error of what may succeed later."""
    return RequestError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        ErrorCode.SERVICE_UNAVAILABLE,
        message,
        retry_after_s=retry_after_s,
    )


def json_answer(status: int, body: BaseModel | Mapping[str, Any]) -> web.Response:
    """Answer with a JSON object."""
    written = (
        body.__pydantic_serializer__.to_json(body)
        if isinstance(body, BaseModel)
        else orjson.dumps(body)
    )
    return web.Response(
        status=status, body=written, content_type="application/json", charset="utf-8"
    )


def error_answer(error: RequestError) -> web.Response:
    """Answer with what is wrong."""
    response = json_answer(error.status, error.answer)
    if error.answer.retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(error.answer.retry_after))
    if error.status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="llm-worker"'
    return response
