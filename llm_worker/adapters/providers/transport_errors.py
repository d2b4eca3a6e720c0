"""What an exception of httpx or aiohttp tells of a call: was it sent, and whose fault is it?

Money hangs on that: what was never sent cannot be billed, what may have been received can. The
aiohttp transport reports a connection that broke after sending as `httpx.ConnectTimeout`, so an
error is judged by its cause, the exception of aiohttp, and by `_MEANINGS` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
import httpx

from llm_worker.domain.errors import (
    ProviderError,
    ProviderTimeoutError,
    StrangeAnswerError,
    UnreachableError,
)
from llm_worker.domain.verdict import Billing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.verdict import CallFacts

FOREIGN: Final = (httpx.HTTPError, aiohttp.ClientError, TimeoutError, UnicodeError)
"""What an exchange may fail with; its own deadline is a TimeoutError.

A UnicodeError is httpx-aiohttp's, of a reason after the status that is no UTF-8.
"""


class Meaning(NamedTuple):
    """`words` follow the provider's name; `{settings}` stands for where its settings begin."""

    is_sent: bool
    error: type[ProviderError]
    words: str


def provider_error(error: Exception, provider: ProviderName, facts: CallFacts) -> ProviderError:
    """Translate; billing is None where nothing was sent, and unknown where it may have been.

    The result does not quote `error`, and is to be raised `from None`: aiohttp's errors quote
    what they could not read.
    """
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    meaning = meaning_of(type(cause))
    words = meaning.words.format(settings=f"LLM_WORKER_PROVIDERS__{provider.upper()}__")
    detail = getattr(cause, "strerror", None) or type(cause).__name__
    return meaning.error(
        f"{provider} {words} ({detail})",
        billing=Billing() if meaning.is_sent else None,
        facts=facts,
    )


def meaning_of(error: type[BaseException]) -> Meaning:
    """Find the nearest ancestor that has a meaning; one that is unknown may be of a paid call."""
    return next((_MEANINGS[kind] for kind in error.__mro__ if kind in _MEANINGS), _STRANGE)


_NO_ROUTE: Final = Meaning(
    is_sent=False,
    error=UnreachableError,
    words="takes no connection: check its status page, the network and {settings}BASE_URL",
)
_NO_TLS: Final = _NO_ROUTE._replace(
    words="shows no certificate that is trusted here: check this machine's clock and certificates, "
    "proxies, and {settings}BASE_URL"
)
_NO_PROXY: Final = _NO_ROUTE._replace(
    words="is not reached through the proxy: check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY"
)
_NO_ADDRESS: Final = _NO_ROUTE._replace(words="has no usable address: correct {settings}BASE_URL")
_NO_CONNECTION_IN_TIME: Final = Meaning(
    is_sent=False,
    error=ProviderTimeoutError,
    words="gave no connection in time: check its status page, the network and {settings}BASE_URL",
)
_BROKEN: Final = Meaning(
    is_sent=True,
    error=UnreachableError,
    words="broke the connection before its answer was whole, and may bill it: try again",
)
_SILENT: Final = Meaning(
    is_sent=True,
    error=ProviderTimeoutError,
    words="did not answer in time, and may bill it: where it is only slow, raise "
    "{settings}TIMEOUT_S",
)
_STRANGE: Final = Meaning(
    is_sent=True,
    error=StrangeAnswerError,
    words="sent something that is not HTTP: check {settings}BASE_URL and proxies",
)

_MEANINGS: Final[Mapping[type[BaseException], Meaning]] = {
    TimeoutError: _SILENT,
    aiohttp.ClientConnectorError: _NO_ROUTE,
    aiohttp.ClientSSLError: _NO_TLS,
    aiohttp.ServerFingerprintMismatch: _NO_TLS,
    aiohttp.ClientProxyConnectionError: _NO_PROXY,
    aiohttp.ClientHttpProxyError: _NO_PROXY,
    aiohttp.InvalidURL: _NO_ADDRESS,
    aiohttp.NonHttpUrlClientError: _NO_ADDRESS,
    aiohttp.ConnectionTimeoutError: _NO_CONNECTION_IN_TIME,
    aiohttp.ClientConnectionError: _BROKEN,
    aiohttp.ClientPayloadError: _BROKEN,
    aiohttp.ServerTimeoutError: _SILENT,
    aiohttp.ClientResponseError: _STRANGE,
    httpx.ConnectError: _NO_ROUTE,
    httpx.ProxyError: _NO_PROXY,
    httpx.UnsupportedProtocol: _NO_ADDRESS,
    httpx.ConnectTimeout: _NO_CONNECTION_IN_TIME,
    httpx.PoolTimeout: _NO_CONNECTION_IN_TIME,
    httpx.NetworkError: _BROKEN,
    httpx.TimeoutException: _SILENT,
    httpx.ProtocolError: _STRANGE,
    httpx.DecodingError: _STRANGE,
}
