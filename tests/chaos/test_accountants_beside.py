"""Accountants that die again and again while the workers, and callers over HTTP, go on."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.kafka.spend_codec import SpendCodec
from llm_worker.application.verifying import verify
from llm_worker.bootstrap.spend.reading import TopicHistory
from tests.chaos.accountants import HORIZON_MS, alerts, expected, published, until_booked
from tests.chaos.harness import FULL, sized
from tests.chaos.storm_bills import wrong_answers
from tests.chaos.storm_http import HttpLoad
from tests.support.worker import Installation

if TYPE_CHECKING:
    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.chaos.harness import NewScenario

pytestmark = pytest.mark.timeout(3600 if FULL else 240)


async def test_killed_accountants_hold_up_nobody_and_add_up_all_that_was_spent(
    kafka: EmbeddedKafka, new_scenario: NewScenario
) -> None:
    async with new_scenario(
        "accountants-killed",
        bootstrap_servers=kafka.bootstrap_servers,
        max_in_flight=20,
        providers__mock__latency_ms=100,
        providers__mock__output_usd_per_mtok=1,
        budget__daily_usd="0.001",
    ) as scenario:
        worker = await scenario.start_worker()
        at_least = sized(small=300, full=10_000)
        async with aclosing(HttpLoad(lambda: [worker.url])) as http:
            async with (
                scenario.load.running(rate_per_s=50, at_least=at_least, organization_id="school"),
                http.running(rate_per_s=2),
            ):
                for turn in range(sized(small=2, full=20)):
                    accountant = scenario.launch_accountant()
                    # Every other one while it still reads what was before it.
                    if turn % 2 == 0:
                        await accountant.until_ready()
                    await scenario.until_answered(more=50)
                    accountant.kill()
            await http.until_answered(timeout_s=60)
        await scenario.launch_accountant().until_ready()
        evidence = await scenario.settled(timeout_s=60, beside=http.sent)
        report = await scenario.concluded()
        prefix = scenario.catalog.prefix
        installation = Installation(kafka.bootstrap_servers, scenario.directory, prefix)
        await until_booked(installation, timeout_s=60)
        assert worker.is_running
    report.require(bought_twice=0)
    assert not list(wrong_answers(evidence, http.answers, [sent.mark for sent in http.sent]))
    assert await published(installation) == await expected(installation)
    raised = await alerts(installation)
    assert len(raised) == 3
    assert set(raised.values()) == {1}
    history = TopicHistory(installation.options, installation.topics, horizon_ms=HORIZON_MS)
    assert not await verify(history, SpendCodec(installation.topics), horizon_ms=HORIZON_MS)
