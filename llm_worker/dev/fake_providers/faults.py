"""The ways to break a connection under a caller."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web

from llm_worker.dev.fake_providers.behaviours import (
    CloseWithoutAnswer,
    Hang,
    NotJson,
    Redirect,
    Reset,
)

if TYPE_CHECKING:
    from llm_worker.dev.fake_providers.exchange import Answer

_PAGE = b"<html><head><title>Bad gateway</title></head><body>Bad gateway</body></html>"
_LINGER_NOT = struct.pack("ii", 1, 0)


async def break_off(
    fault: Hang | Reset | CloseWithoutAnswer, request: web.BaseRequest
) -> web.StreamResponse:
    """Do the worst; returns never, it is cancelled once the connection is gone."""
    transport = request.transport
    if transport is not None and isinstance(fault, Reset):
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        transport.abort()
    elif transport is not None and isinstance(fault, CloseWithoutAnswer):
        transport.close()
    await asyncio.Event().wait()
    raise AssertionError("nobody sets that event")


async def send_half(answer: Answer, request: web.BaseRequest) -> web.StreamResponse:
    """Announce a whole body, send half of it, and close the connection."""
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(answer.body)
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2])
    if request.transport is not None:
        request.transport.close()
    await asyncio.Event().wait()
    raise AssertionError("nobody sets that event")


def proxy_page(fault: NotJson | Redirect) -> web.Response:
    """Answer as something that stands between caller and provider."""
    match fault:
        case NotJson():
            return web.Response(status=fault.status, body=_PAGE, content_type="text/html")
        case Redirect():
            return web.Response(status=302, headers={"Location": fault.location})
