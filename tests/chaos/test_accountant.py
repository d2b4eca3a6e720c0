"""The accountant, killed again and again: its totals are those of the events, to the last digit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.kafka.spend_codec import SpendCodec
from llm_worker.application.verifying import verify
from llm_worker.bootstrap.spend.reading import TopicHistory
from llm_worker.contracts.vocabulary import TopicName
from tests.chaos.accountants import (
    HORIZON_MS,
    CostLoad,
    alerts,
    dead_letters,
    expected,
    published,
    until_booked,
)
from tests.chaos.broker_rights import delete_topic
from tests.chaos.harness import FULL, sized
from tests.chaos.watch import beside, until
from tests.support.worker import Installation, WorkerProcess

if TYPE_CHECKING:
    from pathlib import Path

    from llm_worker.dev.kafka import EmbeddedKafka

pytestmark = pytest.mark.timeout(3600 if FULL else 240)

_BOOKED_S = 600.0 if FULL else 120.0
_LIMITS = {
    "LLM_WORKER_BUDGET__DAILY_USD": "0.5",
    "LLM_WORKER_BUDGET__MONTHLY_USD": "1",
    "LLM_WORKER_BUDGET__ORGANIZATIONS": '{"*": {"daily_usd": 0.2}}',
    "LLM_WORKER_BUDGET__PROVIDERS": '{"openai": {"daily_usd": 0.1, "monthly_usd": 0.2}}',
}


@pytest.fixture
async def installation(kafka: EmbeddedKafka, tmp_path: Path) -> Installation:
    installation = Installation(kafka.bootstrap_servers, tmp_path, settings=dict(_LIMITS))
    return await installation.create()


async def test_totals_are_exact_although_accountants_are_killed(
    installation: Installation,
) -> None:
    load, running = CostLoad(installation, seed=1), list[WorkerProcess]()
    events, kills = sized(small=4_000, full=50_000), sized(small=2, full=20)
    try:
        async with load.open() as producer:
            for number in range(kills):
                running.append(installation.launch("accountant"))
                async with beside(load.write(producer, events // kills)):
                    await _until_some_are_booked(running[-1])
                if number % 3 == 1:
                    # A second one joins and leaves, while the first goes on.
                    joining = installation.launch("accountant")
                    running.append(joining)
                    await joining.until_ready()
                    await joining.terminate()
                running[-1 if number % 3 != 1 else -2].kill()
            running.append(installation.launch("accountant"))
            await load.write(producer, events - load.written)
            await until_booked(installation, timeout_s=_BOOKED_S)
            await running[-1].terminate()
    finally:
        for accountant in running:
            accountant.kill()
    await _check(installation, load)


async def test_frozen_accountant_that_wakes_changes_nothing(installation: Installation) -> None:
    load, running = CostLoad(installation, seed=2), list[WorkerProcess]()
    try:
        async with load.open() as producer:
            running.append(installation.launch("accountant"))
            await load.write(producer, 1_000)
            await _until_some_are_booked(running[0])
            running[0].freeze()
            running.append(installation.launch("accountant"))
            await load.write(producer, 1_000)
            await until_booked(installation, timeout_s=_BOOKED_S)
            running[0].thaw()
            await load.write(producer, 1_000)
            await until_booked(installation, timeout_s=_BOOKED_S)
    finally:
        for accountant in running:
            accountant.kill()
    # It may have been about to tell some when it froze.
    await _check(installation, load, alerts_at_most=2)


async def test_totals_are_rebuilt_from_the_topics_and_other_limits_raise_no_old_alert(
    installation: Installation,
) -> None:
    load = CostLoad(installation, seed=3)
    async with load.open() as producer:
        await load.write(producer, 2_000)
    first = installation.launch("accountant")
    try:
        await until_booked(installation, timeout_s=_BOOKED_S)
        assert await first.terminate() == 0
    finally:
        first.kill()
    before, totals = await alerts(installation), await published(installation)
    again = installation.launch("accountant", LLM_WORKER_BUDGET__ALERT_SHARES="0.5,1")
    try:
        await again.until_ready()
        async with load.open() as producer:
            await load.write(producer, 1)
        await until_booked(installation, timeout_s=_BOOKED_S)
        assert await again.terminate() == 0
    finally:
        again.kill()
    assert await alerts(installation) == before
    assert (await published(installation)).keys() >= totals.keys()
    await _check(installation, load)


async def test_state_that_is_gone_is_rebuilt_from_the_events_alone(
    installation: Installation,
) -> None:
    load = CostLoad(installation, seed=4)
    async with load.open() as producer:
        await load.write(producer, 2_000)
    for _ in range(2):
        accountant = installation.launch("accountant")
        try:
            await accountant.until_ready()
            await until_booked(installation, timeout_s=_BOOKED_S)
            await until(lambda: _is_exact(installation), timeout_s=_BOOKED_S, what="exact totals")
            assert await accountant.terminate() == 0
        finally:
            accountant.kill()
        await _check(installation, load)
        await delete_topic(installation.bootstrap_servers, _state_topic(installation))
        await installation.create()


def _state_topic(installation: Installation) -> str:
    return installation.topic(TopicName.SPEND_STATE)


async def _is_exact(installation: Installation) -> bool:
    return await published(installation) == await expected(installation)


async def _check(installation: Installation, load: CostLoad, *, alerts_at_most: int = 1) -> None:
    assert await published(installation) == await expected(installation)
    assert await dead_letters(installation) == load.bad
    raised = await alerts(installation)
    assert len(raised) >= 3
    assert max(raised.values()) <= alerts_at_most
    history = TopicHistory(installation.options, installation.topics, horizon_ms=HORIZON_MS)
    codec = SpendCodec(installation.topics)
    assert await verify(history, codec, horizon_ms=HORIZON_MS) == []


async def _until_some_are_booked(accountant: WorkerProcess) -> None:
    await accountant.until_ready()
    async with asyncio.timeout(_BOOKED_S):
        while True:
            _, page = await accountant.get("/metrics")
            lines = [line for line in page.splitlines() if 'events_total{result="added"}' in line]
            if float(lines[0].split()[-1]) > 0:
                return
            await asyncio.sleep(0.1)
