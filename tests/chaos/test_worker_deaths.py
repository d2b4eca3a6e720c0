"""Workers that die or freeze under load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.clock import SystemClock
from tests.chaos.evidence import calls_by_request
from tests.chaos.harness import FULL, sized
from tests.chaos.watch import until

if TYPE_CHECKING:
    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.chaos.harness import NewScenario

pytestmark = pytest.mark.timeout(3600 if FULL else 240)


async def test_killed_workers_lose_nothing(kafka: EmbeddedKafka, new_scenario: NewScenario) -> None:
    kills, slots = sized(small=2, full=20), 20
    async with new_scenario(
        "kill-9",
        bootstrap_servers=kafka.bootstrap_servers,
        max_in_flight=slots,
        providers__mock__latency_ms=200,
    ) as scenario:
        victim, partner = await scenario.start_worker(), None
        async with scenario.load.running(rate_per_s=60, at_least=sized(small=600, full=10_000)):
            for _ in range(kills):
                await scenario.until_called_again(more=2 * slots)
                victim.kill()
                victim = await scenario.start_worker()
                # A second worker joins at one kill and leaves at the next.
                if partner is None:
                    partner = await scenario.start_worker()
                else:
                    partner.terminate()
                    assert await partner.ended(timeout_s=60) == 0
                    partner = None
        report = await scenario.concluded()
    # What a kill may repeat: the calls that ran, and each is told as of unknown outcome.
    report.require(bought_twice=kills * slots)
    assert len(report.bought_twice) <= report.flagged


async def test_thawed_worker_buys_nothing_that_was_taken_over(
    kafka: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    slots = 4
    async with new_scenario(
        "frozen",
        bootstrap_servers=kafka.bootstrap_servers,
        max_in_flight=slots,
        providers__mock__latency_ms=200,
        providers__mock__error_rate=0,  # so that each call is a purchase
    ) as scenario:
        frozen, partner = await scenario.start_worker(), await scenario.start_worker()
        # Far more than the slots, so that the frozen worker holds many that wait for one.
        await scenario.load.send_many(sized(small=300, full=3000))
        await scenario.until_called(total=4 * slots)
        frozen.freeze()
        # Long enough for the group to give its partitions away, and for what it held to be bought.
        await scenario.until_answered(more=150, timeout_s=120)
        thawed_at = SystemClock().now()
        frozen.thaw()

        def bought_by_thawed() -> set[str]:
            calls = scenario.watch.calls()
            return {
                call.request_id for call in calls if call.pid == frozen.pid and call.at >= thawed_at
            }

        # It may be given the partitions whose requests are all answered: more come to each.
        async with scenario.load.running(rate_per_s=20, at_least=1):
            await until(bought_by_thawed, timeout_s=60, what="the thawed worker buys again")
        report = await scenario.concluded()
        assert partner.is_running
    # What ran when it froze.
    report.require(bought_twice=slots)
    calls = calls_by_request(scenario.watch.calls())
    twice = {request: calls[request] for request in bought_by_thawed() if len(calls[request]) > 1}
    assert not twice, "the thawed worker bought what was not its own, or no longer"
