"""One HTTP exchange with a provider, within its limit."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from llm_worker.adapters.providers.transport_errors import FOREIGN, provider_error
from llm_worker.domain.errors import ProviderTimeoutError, StrangeAnswerError
from llm_worker.domain.verdict import NO_FACTS, Billing, CallFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.contracts.vocabulary import ProviderName

CONNECT_LIMIT_S: Final = 10.0
"""Waiting for a free connection and connecting, together."""

BODY_LIMIT_BYTES: Final = 4 * 1024 * 1024
"""Of an answer, before and after it is unpacked; one with a verdict has about a kilobyte."""

_EITHER_FORMAT: Final = zlib.MAX_WBITS | 32

_CONNECT_SHARE: Final = 0.8
"""Connecting ends before the whole exchange does: when that runs out, the call was sent.

aiohttp rounds what is longer than 5 s up to a whole second of its clock; 0.8 leaves room for it.
"""

_IDLE_LIMIT_S: Final = 20.0
"""Less than providers keep a connection: a POST on one that they have closed is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; the names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def open_transport(base_url: str, *, max_connections: int = 0) -> httpx.AsyncBaseTransport:
    """Make the transport to one provider; whoever opens it closes it, by `aclose`.

    `max_connections` 0 is as many as there are calls: for whoever limits these.
    It goes through the proxy that the environment names for `base_url` (HTTPS_PROXY, ALL_PROXY,
    NO_PROXY and their kin), as it is when the transport is opened.
    """
    tls = httpx.create_ssl_context()

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=max_connections, keepalive_timeout=_IDLE_LIMIT_S, ssl=tls
        )
        # No trust_env here: it asks two threads per call, for a proxy and for a .netrc.
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    return AiohttpTransport(verify=tls, client=session, proxy=_proxy_for(httpx.URL(base_url)))


def _proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    if proxy_bypass(url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or _spoken(proxies.get("all", ""))
    if not proxy:
        return None
    return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")


def _spoken(proxy: str) -> str | None:
    """Give a proxy for everything where it speaks HTTP: a SOCKS proxy there is for others."""
    scheme, is_named, _ = proxy.partition("://")
    return proxy if not is_named or scheme in {"http", "https"} else None


async def exchange(
    transport: httpx.AsyncBaseTransport,
    request: httpx.Request,
    *,
    provider: ProviderName,
    limit_s: float,
) -> Answer:
    """Send `request` and read the whole answer, whatever its status, within `limit_s` seconds.

    Raises:
        ProviderError: there is no whole answer; `billing` is None where nothing was sent, and
            unknown where the provider may have received it.
    """
    if limit_s <= 0:
        raise ProviderTimeoutError(f"no time was left to ask {provider}; nothing was sent")
    connect_s = min(CONNECT_LIMIT_S, limit_s * _CONNECT_SHARE)
    request.extensions["timeout"] = {"pool": connect_s, "connect": connect_s}
    facts = NO_FACTS
    try:
        async with asyncio.timeout(limit_s):
            response = await transport.handle_async_request(request)
            try:
                facts = CallFacts(http_status=response.status_code)
                headers = _headers_of(response)
                body = await _body_of(response, headers, provider)
            finally:
                await response.aclose()
    except FOREIGN as error:
        raise provider_error(error, provider, facts) from None
    return Answer(status=response.status_code, headers=headers, body=body)


def _headers_of(response: httpx.Response) -> dict[str, str]:
    # Through `raw`, since httpx.Headers decodes each name and value twice.
    return {
        name.lower().decode("latin-1"): value.decode("latin-1")
        for name, value in response.headers.raw
    }


async def _body_of(
    response: httpx.Response, headers: Mapping[str, str], provider: ProviderName
) -> bytes:
    body = b""
    async for chunk in cast("httpx.AsyncByteStream", response.stream):
        body = body + chunk if body else chunk
        if len(body) > BODY_LIMIT_BYTES:
            break
    else:
        body = _unpacked(body, headers.get("content-encoding", "identity"))
    if len(body) > BODY_LIMIT_BYTES:
        raise StrangeAnswerError(
            f"{provider} answered with more than {BODY_LIMIT_BYTES} bytes: "
            f"check LLM_WORKER_PROVIDERS__{provider.upper()}__BASE_URL",
            billing=Billing(),
            facts=CallFacts(http_status=response.status_code),
        )
    return body


def _unpacked(body: bytes, encoding: str) -> bytes:
    """Undo an encoding that we did not ask for, but some send; as it came where that fails.

    Not by httpx, which unpacks whatever there is in it, and as often as the header says.
    """
    if encoding.lower() in {"gzip", "deflate"}:
        with suppress(zlib.error):
            return zlib.decompressobj(_EITHER_FORMAT).decompress(body, BODY_LIMIT_BYTES + 1)
    return body
