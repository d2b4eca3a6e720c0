from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import orjson
import pytest
from aiohttp import web

from llm_worker.adapters.kafka.server import PortTakenError, _Runner, bind
from llm_worker.adapters.web.site import furnish, refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PLANTED = "Zwiebelfisch"
_HEAD = f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {_PLANTED}\r\n"


def test_port_that_is_claimed_is_not_given_twice() -> None:
    with bind("127.0.0.1", 0, host_setting="HOST", port_setting="PORT") as first:
        port = first.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"127.0.0.1, port {port} .* set PORT to another"):
            bind("127.0.0.1", port, host_setting="HOST", port_setting="PORT")
    bind("127.0.0.1", port, host_setting="HOST", port_setting="PORT").close()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "x" * 64, "192.0.2.1"])
def test_host_that_is_no_address_of_ours_is_told_with_its_setting(host: str) -> None:
    with pytest.raises(PortTakenError, match=rf"{host}.*set HOST to"):
        bind(host, 0, host_setting="HOST", port_setting="PORT")


@asynccontextmanager
async def _serving() -> AsyncIterator[int]:
    application = web.Application()
    furnish(application, (), is_local=True, on_fault=lambda _error: None)
    runner = _Runner(application, refused, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _answer_to(written: bytes) -> tuple[bytes, bytes]:
    """Give the head and the body of the answer."""
    async with _serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(written)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        writer.close()
    return head, body


@pytest.mark.parametrize(
    ("odd", "status"),
    [
        (f"{_PLANTED}\r\n\r\n", b"400"),
        (f"X: {_PLANTED}\x00\r\n\r\n", b"400"),
        (f"Content-Length: {_PLANTED}\r\n\r\n", b"400"),
        (f"X: {_PLANTED * 1_000}\r\n\r\n", b"400"),
        (f"Expect: {_PLANTED}\r\n\r\n", b"417"),
    ],
)
async def test_what_cannot_be_read_is_refused_in_our_own_words_and_quoted_nowhere(
    odd: str, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    head, body = await _answer_to(f"{_HEAD}{odd}".encode("latin-1"))
    assert head.split(b" ")[1] == status
    assert b"X-Content-Type-Options: nosniff" in head
    assert b"Content-Type: application/json" in head
    said = orjson.loads(body)
    assert said["error_type"] == "INVALID_REQUEST"
    assert "correct" in said["error"] or "leave it out" in said["error"]
    assert _PLANTED.encode() not in head + body
    assert _PLANTED not in caplog.text


async def test_wrong_body_that_nobody_reads_is_no_error_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = f"Transfer-Encoding: chunked\r\n\r\n{_PLANTED}\r\n"
    head, _ = await _answer_to(f"{_HEAD}{body}".encode())
    assert b" 400 " in head
    assert _PLANTED not in caplog.text
    assert "Unhandled" not in caplog.text
