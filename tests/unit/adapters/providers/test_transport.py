"""One test for each way in which a call can end, on real sockets; see `transport_errors`."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import socket
import ssl
import struct
import traceback
import tracemalloc
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import aiohttp
import httpx
import pytest
from httpx_aiohttp import AiohttpTransport
from typing_extensions import override

from llm_worker.adapters.providers import transport_errors
from llm_worker.adapters.providers.transport import (
    BODY_LIMIT_BYTES,
    Answer,
    _proxy_for,
    exchange,
    open_transport,
)
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import (
    ProviderError,
    ProviderTimeoutError,
    StrangeAnswerError,
    UnreachableError,
)
from llm_worker.domain.verdict import Billing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

SHORT_S = 0.3
"""The limit of calls that are to run out of time."""

LONG_S = 20.0
"""The limit of calls that are to end by themselves."""

SECRET = b"Zwiebelkuchen"
UNKNOWN_COST = Billing()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@asynccontextmanager
async def listening(handle: Handler, scheme: str = "http") -> AsyncIterator[str]:
    """Serve on loopback, and end when every connection has."""
    handlers: set[asyncio.Task[None] | None] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        await handle(reader, writer)
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*(task for task in handlers if task is not None))


@asynccontextmanager
async def serving(*answer: bytes, then: Handler | None = None) -> AsyncIterator[str]:
    """Read a request, write `answer`, and then close, or do what `then` does."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(SECRET)
        writer.writelines(answer)
        if then is not None:
            await then(reader, writer)

    async with listening(handle) as url:
        yield url


async def until_the_caller_leaves(
    reader: asyncio.StreamReader, _writer: asyncio.StreamWriter
) -> None:
    await reader.read()


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await writer.drain()
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@asynccontextmanager
async def transport_to(url: str, *, max_connections: int = 5) -> AsyncIterator[AiohttpTransport]:
    transport = open_transport(url, max_connections=max_connections)
    assert isinstance(transport, AiohttpTransport)
    try:
        yield transport
    finally:
        await transport.aclose()


async def call(
    transport: httpx.AsyncBaseTransport, url: str = "http://provider.test", limit_s: float = LONG_S
) -> Answer:
    request = httpx.Request("POST", url, content=SECRET)
    return await exchange(transport, request, provider=ProviderName.OPENAI, limit_s=limit_s)


async def failure_of(url: str, limit_s: float = LONG_S) -> ProviderError:
    async with transport_to(url) as transport:
        return await failure_on(transport, url, limit_s)


async def failure_on(
    transport: httpx.AsyncBaseTransport, url: str = "http://provider.test", limit_s: float = LONG_S
) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await call(transport, url, limit_s)
    error = caught.value
    assert error.message.startswith("openai ")
    assert "Zwiebel" not in "".join(traceback.format_exception(error))
    return error


# Not sent: nothing can have been billed.


async def test_refused_connection_was_not_sent() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        error = await failure_of(f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert type(error) is UnreachableError
    assert error.billing is None
    assert not error.is_sent
    assert "LLM_WORKER_PROVIDERS__OPENAI__BASE_URL" in error.message
    assert "Connect call failed" in error.message or "refused" in error.message


class NoSuchHost(aiohttp.abc.AbstractResolver):
    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        raise OSError(None, f"{host} is unknown")

    @override
    async def close(self) -> None:
        pass


async def test_host_name_without_an_address_was_not_sent() -> None:
    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=NoSuchHost()))

    transport = AiohttpTransport(client=session)
    error = await failure_on(transport)
    await transport.aclose()
    assert type(error) is UnreachableError
    assert error.billing is None


async def test_failed_tls_handshake_was_not_sent() -> None:
    async def answer_in_plain_text(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(answer_in_plain_text, "https") as url:
        error = await failure_of(url)
    assert type(error) is UnreachableError
    assert error.billing is None
    assert "certificate" in error.message


async def test_connection_closed_during_the_handshake_was_not_sent() -> None:
    async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with listening(hang_up, "https") as url:
        error = await failure_of(url)
    assert type(error) is UnreachableError
    assert error.billing is None


async def test_handshake_that_takes_too_long_was_not_sent() -> None:
    async with listening(until_the_caller_leaves, "https") as url:
        error = await failure_of(url, SHORT_S)
    assert type(error) is ProviderTimeoutError
    assert error.billing is None


async def test_call_that_gets_no_connection_of_the_pool_was_not_sent() -> None:
    received = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        received.set()
        await reader.read()

    async with serving(then=hold) as url, transport_to(url, max_connections=1) as transport:
        first = asyncio.ensure_future(call(transport, url))
        await received.wait()
        error = await failure_on(transport, url, SHORT_S)
        first.cancel()
        await asyncio.wait([first])
    assert type(error) is ProviderTimeoutError
    assert error.billing is None


async def test_address_that_is_none_was_not_sent() -> None:
    error = await failure_of("ftp://provider.test/")
    assert type(error) is UnreachableError
    assert error.billing is None


async def test_call_without_time_left_is_not_sent() -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise AssertionError

    with pytest.raises(ProviderTimeoutError) as caught:
        await call(httpx.MockTransport(handler), limit_s=0)
    assert caught.value.billing is None


# Perhaps sent: what it cost is unknown.


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        ((), None),
        ((), reset),
        ((b"HTTP/1.1 200 OK\r\nContent-",), None),
        ((HEAD + b"Content-Length: 99\r\n\r\n", SECRET), None),
        ((HEAD + b"Content-Length: 99\r\n\r\n", SECRET), reset),
        ((HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"d\r\n" + SECRET + b"\r\n"), None),
    ],
    ids=[
        "closed without an answer",
        "reset without an answer",
        "closed in the headers",
        "closed in the body",
        "reset in the body",
        "closed between chunks",
    ],
)
async def test_connection_that_broke_after_sending_may_be_billed(
    answer: tuple[bytes, ...], then: Handler | None
) -> None:
    async with serving(*answer, then=then) as url:
        error = await failure_of(url)
    assert type(error) is UnreachableError
    assert error.billing == UNKNOWN_COST
    assert error.is_sent


@pytest.mark.parametrize(
    "answer",
    [
        SECRET + b"-2.0\r\n\r\n",
        HEAD + SECRET + b"\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + SECRET + b"\r\n",
        b"HTTP/1.1 200 \xff\xc0" + SECRET + b"\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["another protocol", "header without a colon", "chunk without a size", "reason not UTF-8"],
)
async def test_answer_that_is_not_http_may_be_billed(answer: bytes) -> None:
    async with serving(answer) as url:
        error = await failure_of(url)
    assert type(error) is StrangeAnswerError
    assert error.billing == UNKNOWN_COST


@pytest.mark.parametrize(
    ("answer", "status"),
    [((), None), ((HEAD + b"Content-Length: 99\r\n\r\n", SECRET), 200)],
    ids=["no byte of an answer", "half a body"],
)
async def test_stalled_answer_may_be_billed(answer: tuple[bytes, ...], status: int | None) -> None:
    async with serving(*answer, then=until_the_caller_leaves) as url:
        error = await failure_of(url, SHORT_S)
    assert type(error) is ProviderTimeoutError
    assert error.billing == UNKNOWN_COST
    assert error.facts.http_status == status
    assert "LLM_WORKER_PROVIDERS__OPENAI__TIMEOUT_S" in error.message


async def test_endless_answer_is_refused_and_may_be_billed() -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()

    async with serving(HEAD + b"\r\n", then=flood) as url:
        error = await failure_of(url)
    assert type(error) is StrangeAnswerError
    assert error.billing == UNKNOWN_COST
    assert str(BODY_LIMIT_BYTES) in error.message
    assert error.facts.http_status == 200


async def test_cancelled_call_gives_its_connection_back() -> None:
    received = asyncio.Event()

    async def stall_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if received.is_set():
            writer.write(HEAD + b"Content-Length: 2\r\n\r\n{}")
            return
        writer.write(HEAD + b"Content-Length: 2\r\n\r\n{")
        received.set()
        await reader.read()

    async with serving(then=stall_once) as url, transport_to(url, max_connections=1) as transport:
        first = asyncio.ensure_future(call(transport, url))
        await received.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await call(transport, url)).body == b"{}"


# Answered.


@pytest.mark.parametrize("status", [200, 302, 401, 503])
async def test_every_status_is_an_answer(status: int) -> None:
    head = f"HTTP/1.1 {status} Whatever\r\nX-Request-Id: r1\r\nLocation: /elsewhere\r\n"
    raw = head.encode() + b"Content-Length: 2\r\n\r\n{}"
    async with serving(raw) as url, transport_to(url) as transport:
        answer = await call(transport, url)
    assert (answer.status, answer.body) == (status, b"{}")
    assert answer.headers["x-request-id"] == "r1"


async def test_compressed_answer_is_decoded() -> None:
    body = gzip.compress(b'{"a": 1}')
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serving(head, body) as url, transport_to(url) as transport:
        assert (await call(transport, url)).body == b'{"a": 1}'


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip", "br"])
async def test_body_that_cannot_be_decoded_comes_as_it_is(encoding: str) -> None:
    head = HEAD + b"Content-Encoding: %s\r\nContent-Length: 13\r\n\r\n" % encoding.encode()
    async with serving(head, SECRET) as url, transport_to(url) as transport:
        assert (await call(transport, url)).body == SECRET


async def test_body_is_not_unpacked_beyond_the_limit() -> None:
    largest = gzip.compress(b" " * BODY_LIMIT_BYTES)
    bomb = gzip.compress(b" " * 20 * BODY_LIMIT_BYTES)
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    async with serving(head % len(largest), largest) as url, transport_to(url) as transport:
        assert len((await call(transport, url)).body) == BODY_LIMIT_BYTES
    tracemalloc.start()
    try:
        async with serving(head % len(bomb), bomb) as url:
            error = await failure_of(url)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert type(error) is StrangeAnswerError
    assert error.billing == UNKNOWN_COST
    assert most_bytes < 5 * BODY_LIMIT_BYTES


async def test_body_in_many_pieces_is_put_together() -> None:
    pieces = b"".join(b"4\r\n%04d\r\n" % number for number in range(2000)) + b"0\r\n\r\n"
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    async with serving(head, pieces) as url, transport_to(url) as transport:
        answer = await call(transport, url)
    assert answer.body == b"".join(b"%04d" % number for number in range(2000))


async def test_connection_is_used_again() -> None:
    connections: list[object] = []

    async def answer_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        writer.write(HEAD + b"Content-Length: 2\r\n\r\n{}")
        await reader.readuntil(SECRET)
        writer.write(HEAD + b"Content-Length: 2\r\n\r\n{}")

    async with serving(then=answer_twice) as url, transport_to(url) as transport:
        await call(transport, url)
        await call(transport, url)
    assert len(connections) == 1


async def test_pool_has_the_size_that_was_asked_for_and_drops_idle_connections_early() -> None:
    async with transport_to("http://provider.test", max_connections=321) as transport:
        transport.client = transport.get_client()
        connector = transport.client.connector
        assert connector is not None
        assert connector.limit == 321
        assert connector._keepalive_timeout == 20


@pytest.mark.parametrize("limit_s", [0.1, 1.0, 6.3, 7.0, 11.0, 13.0, 60.0, 600.0])
async def test_connecting_ends_before_the_call_does(limit_s: float) -> None:
    """Even when aiohttp rounds the deadline up to the next whole second, as it does above 5 s."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    await call(httpx.MockTransport(handler), limit_s=limit_s)
    pool_s = seen[0].extensions["timeout"]["pool"]
    assert 0 < pool_s <= 10
    assert pool_s + (1 if pool_s > 5 else 0) < limit_s


async def test_proxy_of_the_environment_is_used_unless_excepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first_lines: list[bytes] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first_lines.append(await reader.readline())
        await reader.readuntil(SECRET)
        writer.write(HEAD + b"Content-Length: 2\r\n\r\n{}")

    async with listening(note) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        for url in ("http://provider.test/v1", f"{proxy}/v1"):
            async with transport_to(url) as transport:
                await call(transport, url)
    assert first_lines == [b"POST http://provider.test/v1 HTTP/1.1\r\n", b"POST /v1 HTTP/1.1\r\n"]


@pytest.mark.parametrize(
    "environment",
    [
        {"all_proxy": "http://proxy.test:3128"},
        {"https_proxy": "proxy.test:3128"},
        {"https_proxy": "http://proxy.test:3128", "all_proxy": "http://other.test:1"},
    ],
)
def test_proxy_is_named_as_httpx_takes_it(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name in ("https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = _proxy_for(httpx.URL("https://provider.test/v1"))
    assert proxy is not None
    assert str(proxy.url) == "http://proxy.test:3128"


@pytest.mark.parametrize("socks", ["socks5://proxy.test:1080", "socks://proxy.test:1080"])
def test_proxy_that_speaks_no_http_is_for_others(
    monkeypatch: pytest.MonkeyPatch, socks: str
) -> None:
    for name in ("https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("all_proxy", socks)
    assert _proxy_for(httpx.URL("https://provider.test/v1")) is None


async def test_unreachable_proxy_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
        error = await failure_of("https://provider.test")
    assert type(error) is UnreachableError
    assert error.billing is None
    assert "HTTPS_PROXY" in error.message


# Other transports, and the whole of both libraries' exceptions.


@pytest.mark.parametrize(
    ("raised", "expected", "is_sent"),
    [
        (httpx.ConnectError, UnreachableError, False),
        (httpx.ConnectTimeout, ProviderTimeoutError, False),
        (httpx.PoolTimeout, ProviderTimeoutError, False),
        (httpx.UnsupportedProtocol, UnreachableError, False),
        (httpx.ReadTimeout, ProviderTimeoutError, True),
        (httpx.WriteTimeout, ProviderTimeoutError, True),
        (httpx.ReadError, UnreachableError, True),
        (httpx.RemoteProtocolError, StrangeAnswerError, True),
    ],
)
async def test_errors_of_other_transports_are_told_too(
    raised: type[httpx.TransportError], expected: type[ProviderError], *, is_sent: bool
) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise raised("Zwiebelkuchen")

    error = await failure_on(httpx.MockTransport(handler))
    assert type(error) is expected
    assert error.billing == (UNKNOWN_COST if is_sent else None)


NOT_RAISED_BY_A_TRANSPORT = {
    aiohttp.ClientError,  # the root
    aiohttp.RedirectClientError,  # redirects are not followed
    aiohttp.UploadAbortedError,  # of upload trackers, which we have not
    aiohttp.WSMessageTypeError,
    httpx.HTTPError,  # the roots
    httpx.RequestError,
    httpx.TransportError,
    httpx.HTTPStatusError,  # of httpx.Client
    httpx.TooManyRedirects,
    httpx.CookieConflict,
    httpx.InvalidURL,  # of building a request
    httpx.StreamError,  # wrong use of a response: a defect of ours
    httpx.StreamConsumed,
    httpx.StreamClosed,
    httpx.ResponseNotRead,
    httpx.RequestNotRead,
}


@pytest.mark.parametrize("library", [aiohttp.client_exceptions, httpx])
def test_every_exception_of_the_libraries_has_a_meaning(library: object) -> None:
    exceptions = {
        member
        for _, member in inspect.getmembers(library, inspect.isclass)
        if issubclass(member, Exception)
        and member.__module__.startswith(("aiohttp", "httpx"))
        and member not in NOT_RAISED_BY_A_TRANSPORT
    }
    assert len(exceptions) > 10
    unmapped = {
        kind.__name__
        for kind in exceptions
        if not any(each in transport_errors._MEANINGS for each in kind.__mro__)
        or not issubclass(kind, transport_errors.FOREIGN)
    }
    assert unmapped == set()


def test_only_what_happens_before_sending_counts_as_not_sent() -> None:
    """Whoever adds a class here says that no byte of the call can have left."""
    not_sent = {
        kind.__name__ for kind, meaning in transport_errors._MEANINGS.items() if not meaning.is_sent
    }
    assert not_sent == {
        "ClientConnectorError",
        "ClientHttpProxyError",
        "ClientProxyConnectionError",
        "ClientSSLError",
        "ConnectError",
        "ConnectTimeout",
        "ConnectionTimeoutError",
        "InvalidURL",
        "NonHttpUrlClientError",
        "PoolTimeout",
        "ProxyError",
        "ServerFingerprintMismatch",
        "UnsupportedProtocol",
    }


def test_unknown_exception_may_be_of_a_call_that_was_billed() -> None:
    class NewError(aiohttp.ClientError):
        pass

    assert transport_errors.meaning_of(NewError).is_sent
