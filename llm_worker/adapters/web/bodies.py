"""Bodies of requests: read in bounded time and size, and checked."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from llm_worker.adapters.web.answers import RequestError, invalid
from llm_worker.contracts.faults import faults_in_words
from llm_worker.contracts.vocabulary import ErrorCode

MAX_BODY_BYTES: Final = 3_500_000
"""With its envelope a request then fits into a record of the request topic, of 4 MiB."""
_SLOW_S: Final = 30.0
_Body = TypeVar("_Body", bound=BaseModel)


async def read_body(request: web.Request, model: type[_Body]) -> _Body:
    """Read the JSON object that a request brings.

    Raises:
        RequestError: It is none, or no such one, or too slow.
        web.HTTPRequestEntityTooLarge: It has more than MAX_BODY_BYTES.
    """
    if request.content_type != "application/json":
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            ErrorCode.INVALID_REQUEST,
            "the body is no JSON: send it with Content-Type: application/json",
        )
    try:
        return model.model_validate(orjson.loads(await _bytes_of(request)))
    except orjson.JSONDecodeError as error:
        # The decoder's own message quotes nothing of the document but a position.
        raise invalid(f"the body is not UTF-8 JSON ({error.msg}); send a JSON object") from None
    except ValidationError as error:
        raise invalid(faults_in_words(error, whole="the body")) from None


async def read_optional_body(request: web.Request, model: type[_Body]) -> _Body:
    """Read the JSON object that a request may bring; without one every field has its default."""
    return await read_body(request, model) if request.can_read_body else model()


async def _bytes_of(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_SLOW_S):
            return await request.read()
    except web.RequestPayloadError:
        raise invalid("the body is not encoded as its headers say") from None
    except TimeoutError:
        raise RequestError(
            HTTPStatus.REQUEST_TIMEOUT,
            ErrorCode.TIMEOUT,
            f"the body did not come within {_SLOW_S:.0f} s; send it again",
        ) from None
