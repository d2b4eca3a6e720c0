"""Who may ask: keys, compared in constant time, and a limit on wrong ones."""

from __future__ import annotations

import hmac
from collections import deque
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from llm_worker.adapters.web.answers import RequestError, not_found
from llm_worker.contracts.vocabulary import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

_WRONG_AT_MOST: Final = 10
_WITHIN_S: Final = 60.0
_PEERS_AT_MOST: Final = 1_000


def is_loopback(host: str) -> bool:
    """Say whether an address to bind, or a Host header without its port, is of this machine."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


@dataclass(slots=True, kw_only=True)
class WrongKeys:
    """Whoever brought too many wrong keys is not heard for a while, whatever it brings.

    `now_s` gives monotonic seconds. The peer that was new the longest ago is forgotten first.
    """

    now_s: Callable[[], float]
    _tries: dict[str, deque[float]] = field(default_factory=dict)

    def wait_s(self, peer: str) -> float:
        """Seconds for which the peer is not heard, 0 if it is."""
        tries = self._tries.get(peer)
        if tries is None or len(tries) < _WRONG_AT_MOST:
            return 0.0
        return max(0.0, tries[0] + _WITHIN_S - self.now_s())

    def note(self, peer: str) -> None:
        """Count a wrong key."""
        if peer not in self._tries and len(self._tries) >= _PEERS_AT_MOST:
            del self._tries[next(iter(self._tries))]
        self._tries.setdefault(peer, deque(maxlen=_WRONG_AT_MOST)).append(self.now_s())


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Lets requests through to what spends money and to what changes settings.

    Args:
        admin_key: None: those routes are not there.
        api_key: None: none is wanted, as far as the address bound allows it.
        is_open: Whether who brings no key may spend although no key is set: the server is bound
            to loopback, or an operator said so.
        wrong_admin_keys: Remembers them.
        wrong_api_keys: Remembers them, apart: a caller with an old key locks no operator out.
    """

    admin_key: str | None
    api_key: str | None
    is_open: bool
    wrong_admin_keys: WrongKeys
    wrong_api_keys: WrongKeys

    def admin(self, request: web.Request) -> None:
        """Let an administrator through.

        Raises:
            RequestError: 404 without a key to compare with, 401, or 429.
        """
        if self.admin_key is None:
            raise not_found("there is nothing at this path")
        _check(request, self.admin_key, self.wrong_admin_keys)

    def spend(self, request: web.Request) -> None:
        """Let who may buy verdicts through.

        Raises:
            RequestError: 401, 403 or 429.
        """
        if self.api_key is not None:
            _check(request, self.api_key, self.wrong_api_keys)
            return
        if not self.is_open:
            raise _forbidden(
                "this server is reachable from elsewhere and has no key: set "
                "LLM_WORKER_WEB__API_KEY, or LLM_WORKER_WEB__ALLOW_ANONYMOUS=true to do without"
            )


def require_local_name(request: web.Request) -> None:
    """Refuse a page of the web whose name was turned to this machine: it asks in its own name.

    Raises:
        RequestError: 403.
    """
    try:
        host = request.url.host or ""
    except ValueError:
        host = ""
    if not is_loopback(host):
        raise _forbidden(
            "bound to loopback, only names of this machine are answered: ask 127.0.0.1, or have "
            "the proxy send it as Host"
        )


def _check(request: web.Request, key: str, wrong_keys: WrongKeys) -> None:
    peer = request.remote or ""
    wait_s = wrong_keys.wait_s(peer)
    if wait_s > 0:
        raise RequestError(
            HTTPStatus.TOO_MANY_REQUESTS,
            ErrorCode.RATE_LIMIT,
            "too many wrong keys came from this address; wait",
            retry_after_s=wait_s,
        )
    given = _key_in(request)
    if given is not None and hmac.compare_digest(_digest(given), _digest(key)):
        return
    if given is not None:
        wrong_keys.note(peer)
    raise RequestError(
        HTTPStatus.UNAUTHORIZED,
        ErrorCode.AUTHENTICATION_ERROR,
        "the key is missing or wrong: send it as Authorization: Bearer, or as X-API-Key",
    )


def _key_in(request: web.Request) -> str | None:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return request.headers.get("X-API-Key")


def _digest(key: str) -> bytes:
    return sha256(key.encode(errors="surrogateescape")).digest()


def _forbidden(message: str) -> RequestError:
    return RequestError(HTTPStatus.FORBIDDEN, ErrorCode.AUTHORIZATION_ERROR, message)
