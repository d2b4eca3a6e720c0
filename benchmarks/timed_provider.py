"""A provider that takes a known time, and remembers how long each call really took."""

from __future__ import annotations

import asyncio
import random
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
from aiohttp import web
from httpx_aiohttp import AiohttpTransport

from benchmarks.over_http import ASKED
from llm_worker.dev.fake_providers.server import BASES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.loops.job import Call

_QUESTION = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(slots=True, kw_only=True)
class TimedProvider:
    """Answers every call as the fake provider did once.

    A call's time is drawn evenly from `latency_s` less and more `spread`, by a fixed seed.
    `took_s` is by the correlation id that the essays of the load begin with: from the whole call
    read until the answer is written, so it has what a busy core adds to the wait.
    """

    answer: bytes
    latency_s: float
    spread: float
    url: str = ""
    took_s: dict[bytes, float] = field(default_factory=dict)
    draw: random.Random = field(default_factory=lambda: random.Random(9))  # noqa: S311 - no secret

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a call."""
        body = await request.read()
        began_s = time.monotonic()
        factor = self.draw.uniform(1 - self.spread, 1 + self.spread)
        await asyncio.sleep(self.latency_s * factor)
        found = _QUESTION.search(body)
        if found is not None:
            self.took_s[found[0]] = time.monotonic() - began_s
        return web.Response(body=self.answer, content_type="application/json")

    @property
    def environment(self) -> dict[str, str]:
        """Settings that send a worker's calls here."""
        base_url = self.url + BASES[ASKED]
        return {f"LLM_WORKER_PROVIDERS__{ASKED.upper()}__BASE_URL": base_url}


@asynccontextmanager
async def timed_provider(
    call: Call, *, latency_s: float, spread: float
) -> AsyncIterator[TimedProvider]:
    """Run one on a free port, in this process; `call` is put to the fake provider once."""
    transport = AiohttpTransport()
    async with httpx.AsyncClient(transport=transport) as client:
        response = await client.post(call.url, content=call.body, headers=call.headers)
        answer = response.raise_for_status().content
    provider = TimedProvider(answer=answer, latency_s=latency_s, spread=spread)
    runner = web.ServerRunner(web.Server(provider.take, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()
