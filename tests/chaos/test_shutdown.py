"""SIGTERM with calls in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.harness import FULL, sized
from tests.chaos.worker_process import STUBBORN

if TYPE_CHECKING:
    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.chaos.harness import NewScenario

pytestmark = pytest.mark.timeout(3600 if FULL else 240)


async def test_running_calls_end_and_waiting_requests_go_to_the_next_worker(
    kafka: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    slots = 8
    async with new_scenario(
        "sigterm",
        bootstrap_servers=kafka.bootstrap_servers,
        max_in_flight=slots,
        drain_s=15,
        providers__mock__latency_ms=3000,
        providers__mock__error_rate=0,  # so that each call ends in an answer
    ) as scenario:
        worker = await scenario.start_worker()
        await scenario.load.send_many(sized(small=30, full=300))
        await scenario.until_called(total=slots)
        worker.terminate()
        assert await worker.ended(timeout_s=15) == 0
        bought = scenario.watch.calls()
        assert len(bought) == slots
        await scenario.until_answered(more=slots - len(scenario.watch.answered))
        assert {call.request_id for call in bought} == scenario.watch.answered
        await scenario.start_worker(providers__mock__latency_ms=200)
        report = await scenario.concluded()
    report.require(bought_twice=0)


async def test_call_that_hangs_for_ever_does_not_hold_up_the_exit(
    kafka: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    drain_s, grace_s = 4, 45
    async with new_scenario(
        "hanging",
        bootstrap_servers=kafka.bootstrap_servers,
        drain_s=drain_s,
        providers__mock__timeout_s=2,
    ) as scenario:
        worker = await scenario.start_worker(STUBBORN)
        hanging = await scenario.load.send(essay_a=f"{STUBBORN} essay")
        # In its partition, so that all of them stand behind it.
        others = [await scenario.load.send(key=hanging.correlation_id) for _ in range(20)]
        await scenario.watch.until_answered(others, timeout_s=60)
        worker.terminate()
        assert await worker.ended(timeout_s=drain_s + grace_s + 10) == 0
        assert hanging.mark not in scenario.watch.answered
        await scenario.start_worker()
        report = await scenario.concluded()
    # The one that hung; what was finished behind it in its partition is known to the next worker.
    report.require(bought_twice=1)
    assert report.flagged == 1
