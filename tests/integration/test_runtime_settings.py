"""Settings that change while real workers run on a real broker."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from llm_worker.adapters.kafka.topics import create_topics
from llm_worker.contracts.vocabulary import ProviderName, TopicName
from llm_worker.dev.fake_providers import FakeProviderServer
from tests.support.builders import body_of
from tests.support.control import change
from tests.support.fake_worker import pointing_at
from tests.support.wire import data_of
from tests.support.worker import Installation, answered, send_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.support.worker import WorkerProcess

_ANTHROPIC, _OPENAI = ProviderName.ANTHROPIC, ProviderName.OPENAI
_SWITCH = "providers.anthropic.enabled"
_PINNED = {"llm_config_overrides": {"provider_override": "anthropic"}}
_PATIENCE_S = 60


@pytest.fixture
async def fake() -> AsyncIterator[FakeProviderServer]:
    async with FakeProviderServer() as fake:
        yield fake


@pytest.fixture
def installation(kafka: EmbeddedKafka, tmp_path: Path, fake: FakeProviderServer) -> Installation:
    settings = pointing_at(fake, _ANTHROPIC, _OPENAI) | {"LLM_WORKER_MAX_IN_FLIGHT": "100"}
    return Installation(kafka.bootstrap_servers, tmp_path, settings=settings)


@asynccontextmanager
async def _running(*processes: WorkerProcess) -> AsyncIterator[None]:
    try:
        await asyncio.gather(*(each.until_ready() for each in processes))
        yield
    finally:
        for each in processes:
            each.kill()


async def _set(installation: Installation, name: str, value: Any) -> None:  # noqa: ANN401 - each setting has a type of its own
    """Write a record whatever its value is, as `llm-worker config set` does."""
    await _write(installation, name, change(name, value, topics=installation.topics).value)


async def _write(installation: Installation, name: str, value: bytes | None) -> None:
    async with installation.producer() as producer:
        topic = installation.topic(TopicName.CONTROL)
        await producer.send_and_wait(topic, value, key=name.encode())


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.1)


async def _until_all(
    workers: tuple[WorkerProcess, ...], *, calls: int, strategy: str, anthropic: bool
) -> None:
    """Wait until each worker goes by these settings, as it tells over HTTP."""
    wanted = {"calls": calls, "strategy": strategy, "anthropic": anthropic}
    for worker in workers:
        async with asyncio.timeout(_PATIENCE_S):
            while (found := await _told(worker)) != wanted:
                assert worker.is_running, found
                await asyncio.sleep(0.1)


async def _told(worker: WorkerProcess) -> dict[str, Any]:
    state, providers, health = [
        orjson.loads((await worker.get(path))[1])
        for path in ("/api/v1/state", "/api/v1/providers", "/healthz")
    ]
    [anthropic] = [each for each in providers["providers"] if each["name"] == "anthropic"]
    assert anthropic["enabled"] == anthropic["available"]
    return {
        "calls": state["flow"]["max_in_flight"],
        "strategy": providers["selection_strategy"],
        "anthropic": anthropic["enabled"] and health["providers"]["anthropic"]["enabled"],
    }


async def _answers(installation: Installation, count: int, **data: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any field of a request
    bodies = [body_of(**{"cache_mode": "bypass"} | data) for _ in range(count)]
    wanted = {body["correlation_id"] for body in bodies}
    async with installation.producer() as producer:
        await send_all(producer, installation.request_topic(), bodies)
    records = await installation.read(
        installation.topic(TopicName.COMPARISON_RESULT),
        until=lambda records: wanted <= answered(records),
    )
    return [data_of(each.value) for each in records if each.key.decode() in wanted]


def _events(process: WorkerProcess, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in process.log.splitlines() if f'"{event}"' in line]
    return [line for line in lines if line["event"] == event]


async def test_every_worker_follows_a_change_and_one_that_starts_later_has_it_too(
    installation: Installation, fake: FakeProviderServer
) -> None:
    await installation.create()
    workers = installation.launch(), installation.launch()
    async with _running(*workers):
        await _until_all(workers, calls=100, strategy="priority", anthropic=True)
        await _set(installation, "max_in_flight", 8)
        await _set(installation, "routing.strategy", "round_robin")
        await _set(installation, _SWITCH, value=False)
        await _until_all(workers, calls=8, strategy="round_robin", anthropic=False)

        results = await _answers(installation, 10)
        assert {each["provider"] for each in results} == {"openai"}
        [refused] = await _answers(installation, 1, **_PINNED)
        assert refused["error_detail"]["error_code"] == "CONFIGURATION_ERROR"
        assert fake.provider(_ANTHROPIC).calls == 0

        # What cannot be used, by nobody or by these, is told by each and changes nothing.
        await _set(installation, "max_in_flight", "lots")
        await _set(installation, "budget.retired", 1)
        await _set(installation, "providers.google.enabled", value=True)
        ignored = {"max_in_flight", "budget.retired", "providers.google.enabled"}
        for worker in workers:
            await _until(
                lambda worker=worker: (  # type: ignore[misc] # mypy infers no default's type
                    {each["setting"] for each in _events(worker, "runtime_setting_ignored")}
                    == ignored
                )
            )
        await _until_all(workers, calls=8, strategy="round_robin", anthropic=False)

        assert await workers[0].terminate() == 0
        later = installation.launch()
        async with _running(later):
            await _until_all((later, workers[1]), calls=8, strategy="round_robin", anthropic=False)
            for name in ("max_in_flight", "routing.strategy", _SWITCH):
                await _write(installation, name, None)
            await _until_all((later, workers[1]), calls=100, strategy="priority", anthropic=True)
            results = await _answers(installation, 4)
            assert {each["provider"] for each in results} == {"anthropic"}


async def test_worker_that_cannot_read_the_topic_says_so_works_by_its_own_and_follows_later(
    installation: Installation,
) -> None:
    await installation.create()
    admin = AIOKafkaAdminClient(**installation.options)
    await admin.start()
    await admin.delete_topics([installation.topic(TopicName.CONTROL)])
    await admin.close()
    async with installation.worker() as worker:
        [result] = await _answers(installation, 1)
        assert result["winner"]
        assert len(_events(worker, "begins_with_own_settings")) == 1

        await create_topics(installation.options, installation.topics, replication_factor=1)
        await _set(installation, "max_in_flight", 8)
        await _until_all((worker,), calls=8, strategy="priority", anthropic=True)


async def test_accountant_has_the_limits_that_the_topic_sets(installation: Installation) -> None:
    await installation.create()
    await _set(installation, "budget.daily_usd", "0.000001")
    accountant = installation.launch("accountant")
    async with _running(accountant), installation.worker():
        await _answers(installation, 2)
        alerts = await installation.read(
            installation.topic(TopicName.COST_ALERT), until=lambda records: len(records) >= 1
        )
        assert data_of(alerts[0].value)["alert_type"] in {"daily_limit", "budget_threshold"}
