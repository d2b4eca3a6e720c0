"""What /metrics of real processes have, at work and while they stop."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.telemetry import gauges
from llm_worker.adapters.telemetry.accountant_catalog import ACCOUNTANT_METRICS
from llm_worker.adapters.telemetry.catalog import METRICS, PUBLISH_RETRIES
from tests.support.builders import body_of
from tests.support.worker import Installation, send_all

if TYPE_CHECKING:
    from pathlib import Path

    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.support.worker import WorkerProcess

_IN_BOTH = {
    PUBLISH_RETRIES,
    gauges.BUILD_INFO,
    gauges.READY,
    gauges.HEALTH,
    gauges.LOOP_LAG,
    gauges.DRAINING,
    gauges.OLDEST_DELIVERY_OVERDUE,
    gauges.CONSUMER_LAG,
}


@pytest.fixture
async def installation(kafka: EmbeddedKafka, tmp_path: Path) -> Installation:
    return await Installation(kafka.bootstrap_servers, tmp_path).create()


async def test_pages_have_every_metric_that_is_documented(installation: Installation) -> None:
    accountant = installation.launch("accountant")
    try:
        async with installation.worker() as worker:
            page = await _page(worker)
        assert _described(page) >= {metric.name for metric in METRICS}
        assert 'llm_worker_build_info{environment="development",process="worker"' in page
        unhappy = 'model="mock-judge-1",outcome="timeout",provider="mock"'
        assert f"llm_worker_provider_attempts_total{{{unhappy}}} 0.0" in page
        await accountant.until_alive()
        page = await _page(accountant)
        assert _described(page) >= {metric.name for metric in (*ACCOUNTANT_METRICS, *_IN_BOTH)}
        assert 'llm_worker_build_info{environment="development",process="accountant"' in page
    finally:
        accountant.kill()


async def test_worker_that_drains_says_so(installation: Installation) -> None:
    async with (
        installation.worker(LLM_WORKER_PROVIDERS__MOCK__LATENCY_MS="20000") as worker,
        installation.producer() as producer,
    ):
        page = await _page(worker)
        assert "llm_worker_draining_seconds 0.0" in page
        assert "llm_worker_ready 1.0" in page
        await send_all(producer, installation.request_topic(), [body_of()])
        while 'llm_worker_running_calls{lane="normal"} 1.0' not in await _page(worker):  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.05)
        worker.process.send_signal(signal.SIGTERM)
        while "llm_worker_draining_seconds 0.0" in (page := await _page(worker)):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
        assert "llm_worker_ready 0.0" in page


async def _page(process: WorkerProcess) -> str:
    status, page = await process.get("/metrics")
    assert status == 200
    return page


def _described(page: str) -> set[str]:
    return {line.split()[2] for line in page.splitlines() if line.startswith("# HELP")}
