"""A Redis that misbehaves under load: nothing is lost, and the worker is well again by itself."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.chaos.harness import FULL, sized
from tests.chaos.watch import beside, until
from tests.support.redis_servers import RedisServer, valkey_command, with_password
from tests.support.slow_proxy import SlowProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.chaos.harness import NewScenario

    Fault = Callable[[RedisServer, SlowProxy], AbstractAsyncContextManager[None]]

pytestmark = pytest.mark.timeout(3600 if FULL else 240)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", valkey_command()) as server:
        yield server


@asynccontextmanager
async def _down(server: RedisServer, _proxy: SlowProxy) -> AsyncIterator[None]:
    server.kill()
    yield
    server.start()


@asynccontextmanager
async def _paused(server: RedisServer, _proxy: SlowProxy) -> AsyncIterator[None]:
    server.freeze()
    yield
    server.thaw()


@asynccontextmanager
async def _slow(_server: RedisServer, proxy: SlowProxy) -> AsyncIterator[None]:
    proxy.to_client_s = 0.2
    yield
    proxy.to_client_s = 0


@asynccontextmanager
async def _full(server: RedisServer, _proxy: SlowProxy) -> AsyncIterator[None]:
    server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.ask("CONFIG", "SET", "maxmemory", "1")
    yield
    server.ask("CONFIG", "SET", "maxmemory", "0")


@asynccontextmanager
async def _wrong_password(server: RedisServer, proxy: SlowProxy) -> AsyncIterator[None]:
    with_password(server, "other")
    proxy.cut()
    yield
    server.ask("CONFIG", "SET", "requirepass", "")
    server.password = None


@asynccontextmanager
async def _cut_off(_server: RedisServer, proxy: SlowProxy) -> AsyncIterator[None]:
    proxy.cuts_answers = True
    yield
    proxy.cuts_answers = False


@asynccontextmanager
async def _restarting(server: RedisServer, _proxy: SlowProxy) -> AsyncIterator[None]:
    async def again_and_again() -> None:
        while True:
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)
            await asyncio.sleep(0.5)

    async with beside(again_and_again()):
        yield
    server.start()


_UNSHARED = "llm_worker_unshared_total"
_FAULTS: tuple[Fault, ...] = (
    _down,
    _paused,
    _slow,
    _full,
    _wrong_password,
    _cut_off,
    _restarting,
)


async def test_no_fault_of_redis_loses_a_request_and_each_passes(
    kafka: EmbeddedKafka, new_scenario: NewScenario, server: RedisServer
) -> None:
    async with (
        SlowProxy(server.port) as proxy,
        new_scenario(
            "redis-faults",
            bootstrap_servers=kafka.bootstrap_servers,
            cache__redis_url=f"redis://127.0.0.1:{proxy.port}/0",
            max_in_flight=20,
            providers__mock__latency_ms=50,
        ) as scenario,
    ):
        worker = await scenario.start_worker()
        await until(worker.is_healthy, timeout_s=30, what="the worker is healthy")
        async with scenario.load.running(rate_per_s=60, at_least=sized(small=600, full=10_000)):
            for fault in _FAULTS:
                name, unshared = fault.__name__.strip("_"), await worker.metric(_UNSHARED)
                async with fault(server, proxy):
                    await until(worker.is_degraded, timeout_s=30, what=f"{name} is seen")
                    await scenario.until_called_again(more=sized(small=30, full=600))
                await until(worker.is_healthy, timeout_s=30, what=f"{name} has passed")
                assert await worker.metric(_UNSHARED) > unshared, f"{name} goes unsaid"
                await scenario.until_called_again(more=30)
            server.ask("FLUSHALL")
            await scenario.until_called_again(more=30)
        report = await scenario.concluded()
        assert worker.is_running
    report.require(bought_twice=0)
