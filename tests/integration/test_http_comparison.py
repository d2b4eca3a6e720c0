"""POST /api/v1/comparison on a real worker: through Kafka like any other request."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp
import orjson
import pytest

from llm_worker.client.failures import ComparisonError
from llm_worker.client.http import HttpComparisonClient
from llm_worker.client.judge import new_request
from llm_worker.contracts.vocabulary import TopicName
from tests.support.worker import Installation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.support.worker import WorkerProcess

_PATH = "/api/v1/comparison"
_ADMIN = {"X-API-Key": "planted-admin-key"}


async def _created(kafka: EmbeddedKafka, directory: Path) -> Installation:
    installation = Installation(kafka.bootstrap_servers, directory)
    installation.settings = {
        "LLM_WORKER_CALLBACK_PATTERNS": f"{installation.prefix}*",
        "LLM_WORKER_PROVIDERS__MOCK__JOURNAL": str(directory / "journal.jsonl"),
        "LLM_ADMIN_API_KEY": _ADMIN["X-API-Key"],
    }
    return await installation.create()


@pytest.fixture
async def installation(kafka: EmbeddedKafka, tmp_path: Path) -> Installation:
    """One whose workers the test starts itself."""
    return await _created(kafka, tmp_path)


@pytest.fixture(scope="module")
def running(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Installation, WorkerProcess]]:
    """One with a worker, for the tests that do not stop it."""
    installation = asyncio.run(_created(kafka, tmp_path_factory.mktemp("http")))
    worker = installation.launch()
    try:
        asyncio.run(worker.until_ready())
        yield installation, worker
    finally:
        worker.kill()


@pytest.fixture
def worker(running: tuple[Installation, WorkerProcess]) -> WorkerProcess:
    return running[1]


async def _record_of(installation: Installation, topic: str, correlation_id: str) -> Any:  # noqa: ANN401 - JSON
    """Wait for the record of a request on a topic, and give its envelope."""
    key = correlation_id.encode()
    records = await installation.read(
        topic, until=lambda found: any(record.key == key for record in found)
    )
    return next(orjson.loads(record.value) for record in records if record.key == key)


def _asked(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "user_prompt": "Which is better?",
        "essay_a": f"One {uuid4()}",
        "essay_b": "Two",
        **more,
    }


async def _ask(
    worker: WorkerProcess,
    body: dict[str, Any] | None = None,
    *,
    method: str = "POST",
    path: str = _PATH,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, worker.url + path, json=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


def _calls(installation: Installation) -> int:
    journal = installation.directory / "journal.jsonl"
    return len(journal.read_text().splitlines()) if journal.exists() else 0


async def test_caller_waits_for_the_result_of_a_request_that_stands_on_the_topic(
    running: tuple[Installation, WorkerProcess],
) -> None:
    installation, worker = running
    correlation_id = str(uuid4())
    status, body = await _ask(worker, _asked(correlation_id=correlation_id, metadata={"pair": 7}))
    assert (status, body["correlation_id"], body["provider"]) == (200, correlation_id, "mock")
    assert body["metadata"]["pair"] == 7
    assert await _record_of(installation, installation.request_topic(), correlation_id)


async def test_caller_with_a_reply_topic_gets_202_when_the_broker_has_the_request(
    running: tuple[Installation, WorkerProcess],
) -> None:
    installation, worker = running
    topic = await installation.create_topic(f"{installation.prefix}cj")
    status, body = await _ask(worker, _asked(callback_topic=topic))
    assert (status, body["status"]) == (202, "queued")
    request = await _record_of(installation, installation.request_topic(), body["queue_id"])
    result = await _record_of(installation, topic, body["queue_id"])
    assert request["event_id"] == result["data"]["request_id"] == body["queue_id"]


async def test_reply_topic_that_is_not_there_is_refused_at_once(worker: WorkerProcess) -> None:
    status, body = await _ask(worker, _asked(callback_topic="elsewhere"))
    assert (status, body["error_type"]) == (400, "LLM_INVALID_CALLBACK_TOPIC")


async def test_same_key_again_is_answered_with_what_was_bought(
    running: tuple[Installation, WorkerProcess],
) -> None:
    installation, worker = running
    before = _calls(installation)
    asked, key = _asked(cache_mode="bypass"), str(uuid4())
    first = await _ask(worker, asked, headers={"Idempotency-Key": key})
    again = await _ask(worker, asked, headers={"Idempotency-Key": key})
    assert first == again
    assert _calls(installation) == before + 1
    status, body = await _ask(worker, _asked(), headers={"Idempotency-Key": key})
    assert (status, body["error_type"]) == (400, "VALIDATION_ERROR")


async def test_client_gets_verdicts_and_what_was_bought_for_its_key(
    running: tuple[Installation, WorkerProcess],
) -> None:
    installation, worker = running
    before = _calls(installation)
    async with HttpComparisonClient(worker.url) as client:
        request = new_request(f"One {uuid4()}", "Two", metadata={"pair": 7}, cache_mode="bypass")
        key = str(uuid4())
        judgement = await client.judge(request, idempotency_key=key)
        assert await client.judge(request, idempotency_key=key) == judgement
        assert _calls(installation) == before + 1
        both = await client.compare(f"One {uuid4()}", "Two", both_orders=True)
        with pytest.raises(ComparisonError) as raised:
            await client.compare("One", "Two", provider="openai")
    assert not raised.value.is_retryable
    assert (judgement.provider, judgement.metadata["pair"]) == ("mock", 7)
    assert both.ab.correlation_id != both.ba.correlation_id


async def test_caller_that_goes_loses_nothing_that_was_paid(installation: Installation) -> None:
    asked, key = _asked(cache_mode="bypass"), str(uuid4())
    async with installation.worker(LLM_WORKER_PROVIDERS__MOCK__LATENCY_MS="1500") as worker:
        going = asyncio.ensure_future(_ask(worker, asked, headers={"Idempotency-Key": key}))
        await installation.read(installation.topic(TopicName.REQUEST_STARTED), until=bool)
        going.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await going
        status, body = await _ask(worker, asked, headers={"Idempotency-Key": key})
        assert (status, body["provider"]) == (200, "mock")
    assert _calls(installation) == 1


async def test_caller_that_waits_through_a_shutdown_is_answered(
    installation: Installation,
) -> None:
    async with installation.worker(LLM_WORKER_PROVIDERS__MOCK__LATENCY_MS="1500") as worker:
        waiting = asyncio.ensure_future(_ask(worker, _asked()))
        await installation.read(installation.topic(TopicName.REQUEST_STARTED), until=bool)
        assert await worker.terminate() == 0
        status, body = await waiting
    assert (status, body["provider"]) == (200, "mock")


async def test_setting_that_is_changed_at_one_worker_holds_at_the_other(
    installation: Installation,
) -> None:
    path = "/api/v1/admin/config/retry.attempts"
    async with installation.worker() as one, installation.worker() as other:
        change = {"value": 7, "reason": "a bad evening"}
        status, body = await _ask(one, change, method="PUT", path=path, headers=_ADMIN)
        assert (status, body["value"], body["source"]) == (200, 7, "control")
        async with asyncio.timeout(30):
            while True:
                _, body = await _ask(other, method="GET", path=path, headers=_ADMIN)
                if body["value"] == 7:
                    break
                await asyncio.sleep(0.1)
        assert (body["changed_by"], body["reason"]) == ("admin", "a bad evening")
        audit = [line for line in one.log.splitlines() if '"event":"audit"' in line]
        assert json.loads(audit[0]).items() >= {"by": "admin", "before": 4, "after": 7}.items()
        status, body = await _ask(one, method="DELETE", path=path, headers=_ADMIN)
        assert (status, body["value"], body["previous"]) == (200, 4, 7)


async def test_provider_is_disabled_and_enabled_over_http(worker: WorkerProcess) -> None:
    base = "/api/v1/admin/providers"
    status, body = await _ask(worker, path=f"{base}/openai/enable", headers=_ADMIN)
    assert status == 400
    assert "API_KEY" in body["error"]
    status, body = await _ask(worker, path=f"{base}/mock/disable", headers=_ADMIN)
    assert status == 400
    assert "no provider" in body["error"]
    status, body = await _ask(worker, path="/api/v1/providers/mock/test", headers=_ADMIN)
    assert (status, body["success"]) == (200, True)
    status, body = await _ask(worker, path="/api/v1/providers/openai/test", headers=_ADMIN)
    assert (status, body["error_type"]) == (409, "CONFIGURATION_ERROR")


async def test_page_is_ours_and_fausts_own_pages_are_off(worker: WorkerProcess) -> None:
    status, page = await worker.get("/")
    assert status == 200
    assert page.startswith("<!doctype html>")
    for path in ("/router/", "/table/", "/graph/", "/assignment/", "/stats/"):
        assert (await worker.get(path))[0] == 404


async def test_port_that_is_taken_is_said_and_zero_takes_a_free_one(
    installation: Installation, worker: WorkerProcess
) -> None:
    taken = worker.url.rsplit(":", 1)[1]
    second = installation.launch(LLM_WORKER_WEB__PORT=taken)
    try:
        assert second.process.wait(60) == 1
        assert f"port {taken} (Address already in use): set LLM_WORKER_WEB__PORT" in second.log
        assert "Traceback" not in second.log
    finally:
        second.kill()
    third = installation.launch(LLM_WORKER_WEB__PORT="0")
    try:
        async with asyncio.timeout(60):
            while '"event":"listens"' not in third.log:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        line = next(each for each in third.log.splitlines() if '"event":"listens"' in each)
        third.url = f"http://127.0.0.1:{json.loads(line)['port']}"
        await third.until_alive()
    finally:
        third.kill()
