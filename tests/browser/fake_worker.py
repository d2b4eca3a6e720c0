"""The page as the worker serves it, beside a state that the test makes up."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

from aiohttp import web

from llm_worker.adapters.web.page import page_routes
from tests.browser.states import healthy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.browser.states import State


class FakeWorker:
    """Answers with `state`, or fails as it is told to."""

    def __init__(self) -> None:
        self.url = ""
        self.heal()

    def heal(self) -> None:
        """Be well again, and be healthy."""
        self.state: State | list[State] = healthy()
        self.status = 200
        self.is_gone = False
        self.is_silent = False
        self.asked = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Serve it on the loopback interface."""
        routes = [*page_routes(), web.get("/api/v1/state", self._answer)]
        application, under_prefix = web.Application(), web.Application()
        application.add_routes(routes)
        under_prefix.add_routes(routes)
        application.add_subapp("/ops/", under_prefix)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.is_gone and request.transport:
            request.transport.abort()
        if self.is_silent:
            await asyncio.Event().wait()
        return web.json_response(self.state, status=self.status)
