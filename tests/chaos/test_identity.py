"""The same event id more than once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.chaos.evidence import calls_by_request
from tests.chaos.harness import FULL, sized

if TYPE_CHECKING:
    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.chaos.harness import NewScenario

pytestmark = pytest.mark.timeout(3600 if FULL else 240)


async def test_record_that_comes_again_is_answered_without_a_call(
    kafka: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    async with new_scenario(
        "redelivered", bootstrap_servers=kafka.bootstrap_servers, providers__mock__error_rate=0
    ) as scenario:
        await scenario.start_worker()
        number = sized(small=30, full=1000)
        first = [await scenario.load.send() for _ in range(number)]
        await scenario.load.flush()
        await scenario.watch.until_answered(first, timeout_s=60)
        for sent in first:
            await scenario.load.send_again(sent)
        await scenario.load.flush()
        report = await scenario.concluded()
    report.require(bought_twice=0)
    assert report.answered_again == number
    assert report.calls == number


async def test_event_id_with_two_contents_is_bought_once_and_refused_once(
    kafka: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    async with new_scenario("conflict", bootstrap_servers=kafka.bootstrap_servers) as scenario:
        await scenario.start_worker()
        event_id, key = str(uuid4()), str(uuid4())
        bought = await scenario.load.send(event_id=event_id, key=key)
        refused = await scenario.load.send(event_id=event_id, key=key)
        await scenario.load.send_again(refused)
        report = await scenario.concluded()
    report.require(bought_twice=0)
    [verdict] = scenario.watch.results(bought.mark)
    refusal, again = scenario.watch.results(refused.mark)
    assert refusal.envelope["data"]["error_detail"]["error_code"] == "VALIDATION_ERROR"
    assert verdict.event_id != refusal.event_id == again.event_id
    assert list(calls_by_request(scenario.watch.calls())) == [event_id]
