"""The web server as a whole: its routes, and what holds for every answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from llm_worker.adapters.web.answers import RequestError, error_answer, not_found
from llm_worker.adapters.web.bodies import MAX_BODY_BYTES
from llm_worker.adapters.web.guard import require_local_name
from llm_worker.adapters.web.operations import routes_of
from llm_worker.contracts.vocabulary import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llm_worker.adapters.web.operations import Handler, Operation

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def furnish(
    application: web.Application,
    operations: Iterable[Operation],
    *,
    pages: Iterable[web.RouteDef] = (),
    is_local: bool,
    on_fault: Callable[[Exception], None],
) -> None:
    """Add all routes; every error is answered as JSON, and `on_fault` is told of our own.

    `is_local`: the server is bound to loopback.
    """

    @web.middleware
    async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if is_local:
                require_local_name(request)
            response = await handler(request)
        except RequestError as error:
            response = error_answer(error)
        except web.HTTPException as error:
            response = error_answer(_as_error(error))
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        except Exception as error:  # noqa: BLE001 - the caller gets an answer, and we the traceback
            on_fault(error)
            response = error_answer(_fault(error))
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    application.middlewares.append(answered)
    application.add_routes([*routes_of(operations), *pages])


def refused(status: int) -> web.Response:
    """Answer what never came to a route: no HTTP, or with a header Expect that nobody meets."""
    message = "this is no HTTP/1.1 that can be read: correct its first line, headers and length"
    if status == HTTPStatus.EXPECTATION_FAILED:
        message = "the header Expect asks for what is not offered: leave it out"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        message = "the worker has a defect; see its log"
    response = error_answer(RequestError(HTTPStatus(status), ErrorCode.INVALID_REQUEST, message))
    response.headers.update(_HEADERS)
    return response


def _as_error(error: web.HTTPException) -> RequestError:
    match error.status:
        case HTTPStatus.NOT_FOUND:
            return not_found("there is nothing at this path")
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return _refusal(error, "this path knows other methods: see the header Allow")
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return _refusal(error, f"the body has more than {MAX_BODY_BYTES:,} bytes; shorten it")
        case _:
            return _refusal(error, f"{error.reason.lower()}: correct the request")


def _refusal(error: web.HTTPException, message: str) -> RequestError:
    return RequestError(HTTPStatus(error.status), ErrorCode.INVALID_REQUEST, message)


def _fault(error: Exception) -> RequestError:
    return RequestError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        ErrorCode.UNKNOWN_ERROR,
        f"the worker has a defect: {type(error).__name__}; see its log",
    )
