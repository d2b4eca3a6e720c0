"""Faust's web server, on a socket that is bound before anything else begins."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from aiohttp.web import (
    AppRunner,
    HTTPException,
    RequestHandler,
    RequestPayloadError,
    Server,
    SockSite,
)
from faust.web.drivers.aiohttp import Web
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.web import Application, BaseRequest, BaseSite, StreamResponse
    from faust.types import AppT

_IDLE_S: Final = 75.0
_SHUTDOWN_S: Final = 2.0


class PortTakenError(Exception):
    """We cannot listen where we should; the text says what to do."""


def bind(host: str, port: int, *, host_setting: str, port_setting: str) -> socket.socket:
    """Claim a port, any free one for 0; nobody is answered before the server starts.

    Raises:
        PortTakenError: It cannot be had; names the setting that is to be another.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # the latter of a name that DNS cannot have
        why = getattr(error, "strerror", None) or "no name of a host"
        raise PortTakenError(
            f"{host} is no address to listen at ({why}): set {host_setting} to one of this "
            "machine, or to 0.0.0.0 for all"
        ) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # until then another process may bind it, too
    except OSError as error:
        listener.close()
        is_elsewhere = error.errno == errno.EADDRNOTAVAIL
        remedy = (
            f"set {host_setting} to an address of this machine, or to 0.0.0.0 for all"
            if is_elsewhere
            else f"set {port_setting} to another port, or to 0 for any free one"
        )
        raise PortTakenError(
            f"cannot listen at {host}, port {port} ({error.strerror}): {remedy}"
        ) from error
    listener.setblocking(False)  # noqa: FBT003 - the library's
    return listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a process answers, and who gives the answers: is handed the aiohttp application.

    `refuse` answers, by its status, what never comes to the application.
    """

    listener: socket.socket
    furnish: Callable[[Application], None]
    refuse: Callable[[int], StreamResponse]


class BoundWeb(Web):
    """Answers on our socket, drops a caller's work when it goes, and holds no shutdown up.

    Faust's own has pages of its own, would wait for open requests for a minute, and never close
    idle connections.
    """

    def __init__(self, app: AppT, site: Site) -> None:
        super().__init__(app)
        self._listener = site.listener
        self._runner = _Runner(
            self.web_app,
            site.refuse,
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


class _Runner(AppRunner):
    def __init__(
        self,
        application: Application,
        refuse: Callable[[int], StreamResponse],
        **options: Any,  # noqa: ANN401 - aiohttp's own
    ) -> None:
        super().__init__(application, **options)
        self._refuse = refuse

    @override
    async def _make_server(self) -> Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            self._refuse,
            request_factory=made.request_factory,
            **self._kwargs,
        )


class _Server(Server):
    """The application's, which also refuses in our own words what never comes to it."""

    def __init__(
        self,
        application: Callable[[BaseRequest], Awaitable[StreamResponse]],
        refuse: Callable[[int], StreamResponse],
        **options: Any,  # noqa: ANN401 - aiohttp's own
    ) -> None:
        super().__init__(self._handle, **options)
        self._application = application
        self.refuse = refuse

    @override
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)

    async def _handle(self, request: BaseRequest) -> StreamResponse:
        try:
            return await self._application(request)
        except HTTPException as error:  # of a header Expect, before any handler of ours
            return self.refuse(error.status)


class _Connection(RequestHandler):
    """Tells nobody what it could not read: aiohttp's own quotes it in its answer and in the log."""

    def __init__(self, server: _Server, **options: Any) -> None:  # noqa: ANN401 - aiohttp's own
        super().__init__(server, **options)
        self._refuse = server.refuse

    @override
    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            super().handle_error(request, status, exc, message)  # logs, and ends what had begun
        response = self._refuse(status)
        response.force_close()
        return response

    @override
    def log_exception(self, *said: Any, **facts: Any) -> None:
        """Pass over a wrong body that is read on only to be thrown away."""
        if not isinstance(facts.get("exc_info"), RequestPayloadError):
            super().log_exception(*said, **facts)
