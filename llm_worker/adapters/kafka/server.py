"""Faust's web server, on a socket that is bound before anything else begins."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp.web import AppRunner, SockSite
from faust.web.drivers.aiohttp import Web
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.web import Application, BaseSite
    from faust.types import AppT

_IDLE_S: Final = 75.0
_SHUTDOWN_S: Final = 2.0


class PortTakenError(Exception):
    """We cannot listen where we should; the text says what to do."""


def bind(host: str, port: int, *, setting: str) -> socket.socket:
    """Claim a port, any free one for 0; nobody is answered before the server starts.

    Raises:
        PortTakenError: It cannot be had; `setting` says otherwise.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortTakenError(f"{host} is no address to listen at ({error.strerror})") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # until then another process may bind it, too
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"cannot listen at {host}, port {port} ({error.strerror}): set {setting} to another "
            "port, or to 0 for any free one"
        ) from error
    listener.setblocking(False)  # noqa: FBT003 - the library's
    return listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a process answers, and who gives the answers: is handed the aiohttp application."""

    listener: socket.socket
    furnish: Callable[[Application], None]


class BoundWeb(Web):
    """Answers on our socket, drops a caller's work when it goes, and holds no shutdown up.

    Faust's own has pages of its own, would wait for open requests for a minute, and never close
    idle connections.
    """

    def __init__(self, app: AppT, listener: socket.socket) -> None:
        super().__init__(app)
        self._listener = listener
        self._runner = AppRunner(
            self.web_app,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=_IDLE_S,
            shutdown_timeout=_SHUTDOWN_S,
        )

    @override
    def _enabled_blueprints(self) -> list[Any]:
        return []

    @override
    def _create_site(self) -> BaseSite:
        return SockSite(self._runner, self._listener)
