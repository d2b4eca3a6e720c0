"""Takes what workers send by OTLP, and counts it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(slots=True)
class SpansSink:
    """An OTLP receiver that answers at once and looks at nothing."""

    url: str = ""
    size_bytes: int = 0

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer an export."""
        self.size_bytes += len(await request.read())
        return web.Response(content_type="application/x-protobuf")


@asynccontextmanager
async def spans_sink() -> AsyncIterator[SpansSink]:
    """Run a sink on a free port."""
    sink = SpansSink()
    runner = web.ServerRunner(web.Server(sink.take, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield sink
    finally:
        await runner.cleanup()
