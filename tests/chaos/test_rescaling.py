"""Workers that come and go in good order."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.chaos.harness import FULL, WITHOUT_REDIS, sized

if TYPE_CHECKING:
    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.chaos.harness import NewScenario
    from tests.chaos.processes import WorkerProcess

pytestmark = pytest.mark.timeout(3600 if FULL else 240)


@pytest.mark.parametrize(
    ("name", "memory"),
    [("rescale", {}), ("rescale-without-redis", WITHOUT_REDIS)],
    ids=["shared", "without-redis"],
)
async def test_scaling_and_rolling_restart_buy_nothing_twice(
    kafka: EmbeddedKafka, new_scenario: NewScenario, name: str, memory: dict[str, object]
) -> None:
    async with new_scenario(
        name,
        bootstrap_servers=kafka.bootstrap_servers,
        max_in_flight=40,
        providers__mock__latency_ms=200,
        **memory,
    ) as scenario:

        async def leave(worker: WorkerProcess) -> None:
            worker.terminate()
            assert await worker.ended(timeout_s=60) == 0
            await scenario.until_called_again(more=20)

        async def join() -> WorkerProcess:
            worker = await scenario.start_worker()
            await scenario.until_called_by(worker)
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


async def test_rebalance_does_not_wait_for_calls_that_others_can_see(
    kafka: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    call_s = sized(small=6, full=10)
    async with new_scenario(
        "hand-over",
        bootstrap_servers=kafka.bootstrap_servers,
        max_in_flight=400,
        providers__mock__latency_ms=call_s * 1000,
        providers__mock__timeout_s=call_s + 4,
        providers__mock__error_rate=0,
    ) as scenario:
        await scenario.start_worker()
        async with scenario.load.running(rate_per_s=30, at_least=sized(small=250, full=2_000)):
            await scenario.until_called(total=60)
            for _ in range(sized(small=1, full=5)):
                second = await scenario.start_worker()
                await scenario.until_called_again(more=40)
                second.terminate()
                assert await second.ended(timeout_s=60) == 0
                await scenario.until_called_again(more=40)
        report = await scenario.concluded()
    report.require(bought_twice=0)
    assert report.flagged == 0
    begun = sorted(call.at for call in scenario.watch.calls())
    pauses_s = [(later - at).total_seconds() for at, later in pairwise(begun)]
    # Whoever waited for the running calls would pull nothing for as long as one takes.
    assert max(pauses_s) < call_s * 0.8
    sys.stderr.write(f"hand-over: nothing was begun for {max(pauses_s):.1f} s at most\n")
