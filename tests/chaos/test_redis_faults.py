"""A Redis that misbehaves under load: nothing is lost, and the worker is well again by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.harness import FULL, sized
from tests.chaos.redis_faults import REDIS_FAULTS
from tests.chaos.watch import until
from tests.support.redis_servers import RedisServer, valkey_command
from tests.support.slow_proxy import SlowProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.chaos.harness import NewScenario

pytestmark = pytest.mark.timeout(3600 if FULL else 240)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", valkey_command()) as server:
        yield server


_UNSHARED = "llm_worker_unshared_total"


async def test_no_fault_of_redis_loses_a_request_and_each_passes(
    kafka: EmbeddedKafka, new_scenario: NewScenario, server: RedisServer
) -> None:
    async with (
        SlowProxy(server.port) as proxy,
        new_scenario(
            "redis-faults",
            bootstrap_servers=kafka.bootstrap_servers,
            cache__redis_url=f"redis://127.0.0.1:{proxy.port}/0",
            cache__budget_ms=50,
            max_in_flight=20,
            providers__mock__latency_ms=50,
        ) as scenario,
    ):
        worker = await scenario.start_worker()
        await until(worker.is_healthy, timeout_s=30, what="the worker is healthy")
        async with scenario.load.running(rate_per_s=60, at_least=sized(small=600, full=10_000)):
            for fault in REDIS_FAULTS:
                name, unshared = fault.__name__, await worker.metric(_UNSHARED)
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
