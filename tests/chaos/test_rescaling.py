"""Workers that come and go in good order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.harness import FULL, sized

if TYPE_CHECKING:
    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.chaos.harness import NewScenario, WorkerProcess

pytestmark = pytest.mark.timeout(3600 if FULL else 240)


async def test_scaling_and_rolling_restart_buy_nothing_twice(
    kafka: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    async with new_scenario(
        "rescale",
        bootstrap_servers=kafka.bootstrap_servers,
        max_in_flight=40,
        providers__mock__latency_ms=200,
    ) as scenario:

        async def leave(worker: WorkerProcess) -> None:
            worker.terminate()
            assert await worker.ended(timeout_s=60) == 0
            await scenario.until_called_again(more=20)

        async def join() -> WorkerProcess:
            worker = await scenario.start_worker()
            await scenario.until_called_again(more=20)
            return worker

        first = await scenario.start_worker()
        async with scenario.load.running(rate_per_s=60, at_least=sized(small=600, full=10_000)):
            for _ in range(sized(small=1, full=5)):
                second, third = await join(), await join()
                await leave(third)
                await leave(second)
                # A rolling restart: the new one is there before the old one leaves.
                replacement = await join()
                await leave(first)
                first = replacement
        report = await scenario.concluded()
    report.require(bought_twice=0)
    buyers = {call.pid for call in scenario.watch.calls()}
    assert buyers == {worker.pid for worker in scenario.workers}
