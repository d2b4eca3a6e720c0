"""What can be wrong with Redis: each fault lasts as long as its context."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.redis_side import ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from benchmarks.delaying_proxy import DelayingProxy
    from llm_worker.dev.cache import EmbeddedCache

_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Redis:
    """The server, and the proxy before it."""

    server: EmbeddedCache
    proxy: DelayingProxy

    def ask(self, *words: str | int) -> Coroutine[None, None, object]:
        """Send a command without holding up the load."""
        return asyncio.to_thread(ask, self.server.url, *words)


@asynccontextmanager
async def nothing(_redis: Redis) -> AsyncIterator[None]:
    """Nothing is wrong."""
    yield


@asynccontextmanager
async def down(redis: Redis) -> AsyncIterator[None]:
    """It is killed, and started again."""
    await asyncio.to_thread(redis.server.kill)
    yield
    await asyncio.to_thread(redis.server.start)


@asynccontextmanager
async def paused(redis: Redis) -> AsyncIterator[None]:
    """It does nothing (SIGSTOP), and its connections stay open."""
    page = await redis.ask("INFO", "server")
    pid = int(dict(page)["process_id"]) if isinstance(page, dict) else 0
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def slow(redis: Redis, seconds: float) -> AsyncIterator[None]:
    """Every answer of it takes so much longer."""
    redis.proxy.delay_s = seconds
    yield
    redis.proxy.delay_s = 0.0


@asynccontextmanager
async def flushed(redis: Redis) -> AsyncIterator[None]:
    """It loses everything, every second."""
    async with _again_and_again(lambda: redis.ask("FLUSHALL")):
        yield


@asynccontextmanager
async def full(redis: Redis) -> AsyncIterator[None]:
    """It takes nothing more, as it is at its limit."""
    await redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await redis.ask("CONFIG", "SET", "maxmemory", "1mb")
    yield
    await redis.ask("CONFIG", "SET", "maxmemory", "0")


@asynccontextmanager
async def wrong_password(redis: Redis) -> AsyncIterator[None]:
    """It refuses the worker's password, and every connection is cut."""
    user = ("ACL", "SETUSER", "default")
    await redis.ask("ACL", "SETUSER", "operator", "on", "nopass", "+@all", "~*")
    operator = redis.server.url.replace("//", "//operator:any@")
    await asyncio.to_thread(ask, operator, *user, "resetpass", ">another")
    await asyncio.to_thread(ask, operator, "CLIENT", "KILL", "TYPE", "normal")
    yield
    await asyncio.to_thread(ask, operator, *user, "nopass")


@asynccontextmanager
async def restarting(redis: Redis) -> AsyncIterator[None]:
    """It is killed and started again, every second."""
    async with _again_and_again(lambda: asyncio.to_thread(redis.server.start)):
        yield


@asynccontextmanager
async def _again_and_again(
    act: Callable[[], Coroutine[None, None, object]],
) -> AsyncIterator[None]:
    is_over = asyncio.Event()

    async def repeat() -> None:
        while not is_over.is_set():
            await act()
            await asyncio.sleep(_EVERY_S)

    repeating = asyncio.ensure_future(repeat())
    try:
        yield
    finally:
        is_over.set()  # not cancelled: a server half started would stay so
        await repeating
