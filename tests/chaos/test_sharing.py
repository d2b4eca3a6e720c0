"""One call for many, over workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_worker.contracts.vocabulary import Lane, TopicName
from tests.chaos.harness import FULL

if TYPE_CHECKING:
    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.chaos.harness import NewScenario

pytestmark = pytest.mark.timeout(3600 if FULL else 240)


async def test_identical_requests_over_two_workers_are_one_call_and_one_cost(
    kafka: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    async with new_scenario(
        "identical",
        bootstrap_servers=kafka.bootstrap_servers,
        providers__mock__latency_ms=1000,
        providers__mock__error_rate=0,
        providers__mock__input_usd_per_mtok=1,
        providers__mock__output_usd_per_mtok=1,
    ) as scenario:
        workers = [await scenario.start_worker(), await scenario.start_worker()]
        for turn in range(200):
            await scenario.load.send(lane=list(Lane)[turn % 2], essay_a="The same essay.")
        report = await scenario.concluded()
        hits = [await worker.metric("llm_worker_cache_savings_usd_total") for worker in workers]
    report.require()
    assert (report.requests, report.calls) == (200, 1)
    seen = scenario.watch.seen
    [bought] = {
        each.envelope["event_id"]: each.envelope["data"]["cost_estimate_usd"]
        for each in seen
        if each.kind is TopicName.COST_TRACKING and not each.envelope["data"]["cached"]
    }.values()
    assert bought > 0
    results = [each for each in seen if each.kind is TopicName.COMPARISON_RESULT]
    assert sum(each.envelope["data"]["cost_estimate"] for each in results) == bought
    cached = [each for each in results if each.envelope["data"]["cached"]]
    assert len(cached) == len(results) - 1 == 199
    payers = {each.envelope["data"]["request_metadata"]["bought_by"] for each in cached}
    [payer] = {each.key.decode() for each in results if not each.envelope["data"]["cached"]}
    assert payers == {payer}
    assert min(hits) > 0, "one worker had no part in it"
