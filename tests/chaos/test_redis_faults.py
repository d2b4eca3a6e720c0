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


@asynccontextmanager
async def _flushed(server: RedisServer, _proxy: SlowProxy) -> AsyncIterator[None]:
    server.ask("FLUSHALL")
    yield


@pytest.mark.parametrize(
    ("fault", "is_seen"),
    [
        (_down, True),
        (_paused, True),
        (_slow, True),
        (_full, True),
        (_wrong_password, True),
        (_cut_off, True),
        (_restarting, True),
        (_flushed, False),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
async def test_fault_of_redis_loses_nothing_and_passes(
    kafka: EmbeddedKafka,
    new_scenario: NewScenario,
    server: RedisServer,
    fault: Fault,
    is_seen: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    async with (
        SlowProxy(server.port) as proxy,
        new_scenario(
            f"redis{fault.__name__.replace('_', '-')}",
            bootstrap_servers=kafka.bootstrap_servers,
            cache__redis_url=f"redis://127.0.0.1:{proxy.port}/0",
            max_in_flight=20,
            providers__mock__latency_ms=50,
        ) as scenario,
    ):
        worker = await scenario.start_worker()
        await until(worker.is_healthy, timeout_s=30, what="the worker is healthy")
        async with scenario.load.running(rate_per_s=60, at_least=sized(small=300, full=3_000)):
            await scenario.until_called_again(more=30)
            async with fault(server, proxy):
                if is_seen:
                    await until(worker.is_degraded, timeout_s=30, what="the worker is degraded")
                await scenario.until_called_again(more=sized(small=60, full=600))
            await until(worker.is_healthy, timeout_s=30, what="the worker is healthy again")
            await scenario.until_called_again(more=30)
        report = await scenario.concluded()
        assert worker.is_running
        unshared = await worker.metric("llm_worker_unshared_total") if is_seen else 1
    report.require(bought_twice=0)
    assert unshared > 0, "nobody said what could not be promised"
