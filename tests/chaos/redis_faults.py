"""How a Redis may misbehave: each for as long as its context lasts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.support.redis_servers import with_password

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from tests.support.redis_servers import RedisServer
    from tests.support.slow_proxy import SlowProxy

    RedisFault = Callable[[RedisServer, SlowProxy], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def down(server: RedisServer, _proxy: SlowProxy) -> AsyncIterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


@asynccontextmanager
async def paused(server: RedisServer, _proxy: SlowProxy) -> AsyncIterator[None]:
    server.freeze()
    yield
    server.thaw()


@asynccontextmanager
async def slow(_server: RedisServer, proxy: SlowProxy) -> AsyncIterator[None]:
    async with _answering_after(proxy, 0.2):
        yield


@asynccontextmanager
async def too_slow(_server: RedisServer, proxy: SlowProxy) -> AsyncIterator[None]:
    """Slower than any budget that the settings allow."""
    async with _answering_after(proxy, 1.5):
        yield


@asynccontextmanager
async def full(server: RedisServer, _proxy: SlowProxy) -> AsyncIterator[None]:
    server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.ask("CONFIG", "SET", "maxmemory", "1")
    yield
    server.ask("CONFIG", "SET", "maxmemory", "0")


@asynccontextmanager
async def wrong_password(server: RedisServer, proxy: SlowProxy) -> AsyncIterator[None]:
    with_password(server, "other")
    proxy.cut()
    yield
    server.ask("CONFIG", "SET", "requirepass", "")
    server.password = None


@asynccontextmanager
async def cut_off(_server: RedisServer, proxy: SlowProxy) -> AsyncIterator[None]:
    proxy.cuts_answers = True
    yield
    proxy.cuts_answers = False


@asynccontextmanager
async def restarting(server: RedisServer, _proxy: SlowProxy) -> AsyncIterator[None]:
    is_over = asyncio.Event()

    async def again_and_again() -> None:
        while not is_over.is_set():
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)
            await asyncio.sleep(0.5)

    # It ends by itself: a thread that starts a server goes on where its waiter is cancelled.
    task = asyncio.ensure_future(again_and_again())
    try:
        yield
    finally:
        is_over.set()
        await task


@asynccontextmanager
async def _answering_after(proxy: SlowProxy, delay_s: float) -> AsyncIterator[None]:
    proxy.to_client_s = delay_s
    yield
    proxy.to_client_s = 0


REDIS_FAULTS: tuple[RedisFault, ...] = (
    down,
    paused,
    slow,
    full,
    wrong_password,
    cut_off,
    restarting,
)
