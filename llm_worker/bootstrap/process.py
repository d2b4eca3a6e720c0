"""Run a Faust app as this process, with a port of its own, until a signal ends it."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from typing import TYPE_CHECKING, Any

import faust
import structlog
from prometheus_client import disable_created_metrics
from typing_extensions import override

from llm_worker.adapters.kafka.server import bind
from llm_worker.adapters.telemetry.logging import setup_logging

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.settings import Settings

_EXIT_GRACE_S = 45.0
_EXIT_FORCED = 75
_COLLECT_AFTER = 20_000
_RETRY_S = 2.0
_log = structlog.get_logger(__name__)


def run_app(settings: Settings, build: Callable[[Settings], DeliveryApp], *, drain_s: float) -> int:
    """Run an app until SIGTERM or SIGINT; give the exit code."""
    setup_logging(settings.log.level, settings.log.format)
    # Half of the page, and of the time that the loop stands still for it.
    disable_created_metrics()  # type: ignore[no-untyped-call] # the library's
    # What was imported lives for ever, and a comparison leaves no cycles: look for them rarely.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    process = _Process(
        build(settings),
        exit_within_s=drain_s + _EXIT_GRACE_S,
        loop=loop,
        quiet=True,
        override_logging=False,
        redirect_stdouts=False,
    )
    try:
        process.execute_from_commandline()
    except SystemExit as end:
        return int(end.code or 0)


def listen(settings: Settings, port: int, *, port_setting: str) -> socket.socket:
    """Claim the port to answer at, and say which it is.

    Raises:
        PortTakenError: It cannot be had.
    """
    listener = bind(
        settings.web.host, port, host_setting="LLM_WORKER_WEB__HOST", port_setting=port_setting
    )
    _log.info("listens", host=settings.web.host, port=listener.getsockname()[1])
    return listener


async def persistently(app: DeliveryApp, run: Callable[[], Awaitable[None]]) -> None:
    """Run something that ends with the app, again after whatever breaks it.

    Faust would end the process, and with it work that goes well.
    """
    said = ""
    while not app.should_stop:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - see above
            why = f"{type(error).__name__}: {error}"
            if why != said:
                _log.warning("task_begins_again", why=why)
            said = why
        await app.sleep(_RETRY_S)


class _Process(faust.Worker):
    """Faust's worker, whose exit nothing can hold up for ever."""

    def __init__(self, app: DeliveryApp, *, exit_within_s: float, **options: Any) -> None:  # noqa: ANN401 - Faust's
        # What is unacked comes again, so a process that hangs in a library may just end.
        self._last_resort = threading.Timer(exit_within_s, _end_by_force)
        self._last_resort.daemon = True
        super().__init__(app, **options)
        self.spinner = None  # or it writes terminal codes into our stdout

    @override
    async def stop(self) -> None:
        """Stop, by a signal or since something has crashed."""
        if self._last_resort.ident is None:
            self._last_resort.start()
        await super().stop()

    @override
    def _on_sigusr2(self) -> None:
        """Open no debugger: the event loop would stand still in it, while the group waits."""


def _end_by_force() -> None:
    # Where nobody reads the log, writing to it may hang as well.
    words = threading.Thread(target=_log.critical, args=("exit_forced",), daemon=True)
    words.start()
    words.join(timeout=1)
    os._exit(_EXIT_FORCED)
