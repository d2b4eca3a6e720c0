"""A caller that is killed among thousands of requests, and goes on with its journal."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llm_worker.dev.kafka import EmbeddedKafka
from tests.chaos.harness import FULL, sized
from tests.chaos.watch import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.harness import NewScenario, Scenario

pytestmark = pytest.mark.timeout(3600 if FULL else 240)

_REQUESTS = sized(small=1_000, full=5_000)


async def test_requests_of_a_killed_client_are_each_resolved_once_and_bought_once(
    tmp_path: Path, new_scenario: NewScenario
) -> None:
    journal = tmp_path / "results.jsonl"
    with await asyncio.to_thread(EmbeddedKafka(tmp_path / "broker").__enter__) as kafka:
        async with new_scenario(
            "client-killed",
            bootstrap_servers=kafka.bootstrap_servers,
            max_in_flight=100,
            providers__mock__latency_ms=100,
            providers__mock__error_rate=0,
        ) as scenario:
            await scenario.start_worker()
            with _client(scenario, kafka, journal):
                await _until_resolved(journal, _REQUESTS // 5)
                await asyncio.to_thread(kafka.kill)
                await asyncio.to_thread(kafka.restart)
                await _until_resolved(journal, _REQUESTS // 2)
            with _client(scenario, kafka, journal) as client:
                said, _ = await asyncio.to_thread(client.communicate)
            calls = Counter(call.request_id for call in scenario.watch.calls())

    assert json.loads(said) == {"given": _REQUESTS, "distinct": _REQUESTS}
    kept = [json.loads(line) for line in journal.read_text().splitlines()]
    assert sorted(result["request_metadata"]["n"] for result in kept) == list(range(_REQUESTS))
    assert set(calls) == {result["request_id"] for result in kept}
    assert set(calls.values()) == {1}


@contextmanager
def _client(
    scenario: Scenario, kafka: EmbeddedKafka, journal: Path
) -> Iterator[subprocess.Popen[bytes]]:
    arguments = (kafka.bootstrap_servers, scenario.catalog.prefix, str(_REQUESTS), str(journal))
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, str(Path(__file__).with_name("client_process.py")), *arguments],
        stdout=subprocess.PIPE,
    ) as client:
        try:
            yield client
        finally:
            client.kill()


async def _until_resolved(journal: Path, number: int) -> None:
    await until(
        lambda: journal.exists() and journal.read_bytes().count(b"\n") >= number,
        timeout_s=120,
        what=f"{number} requests are resolved",
    )
