"""A worker on a real broker whose providers fail: what comes out, and who is asked."""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from llm_worker.contracts.vocabulary import ProviderName, TopicName
from llm_worker.dev.fake_providers import (
    FakeProviderServer,
    Hang,
    MalformedJson,
    Overloaded,
    RateLimited,
    Reset,
    Truncated,
    Verdict,
)
from tests.support.builders import body_of
from tests.support.fake_worker import pointing_at
from tests.support.wire import data_of, read_event
from tests.support.worker import Installation, answered, send_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from aiokafka import ConsumerRecord

    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.support.worker import WorkerProcess

_ANTHROPIC, _OPENAI = ProviderName.ANTHROPIC, ProviderName.OPENAI
_PINNED = {"llm_config_overrides": {"provider_override": "anthropic"}}


@pytest.fixture
async def fake() -> AsyncIterator[FakeProviderServer]:
    async with FakeProviderServer() as fake:
        yield fake


@pytest.fixture
async def installation(
    kafka: EmbeddedKafka, tmp_path: Path, fake: FakeProviderServer
) -> Installation:
    settings = pointing_at(fake, _ANTHROPIC, _OPENAI) | {
        "LLM_WORKER_BREAKER__FAILURE_THRESHOLD": "3",
        "LLM_WORKER_BREAKER__RECOVERY_TIMEOUT_S": "1",
        "LLM_WORKER_RETRY__BACKOFF_S": "0.05",
    }
    return await Installation(kafka.bootstrap_servers, tmp_path, settings=settings).create()


async def _send(installation: Installation, count: int = 1, **data: Any) -> set[str]:  # noqa: ANN401 - any field of a request
    bodies = [body_of(**{"cache_mode": "bypass"} | data) for _ in range(count)]
    async with installation.producer() as producer:
        await send_all(producer, installation.request_topic(), bodies)
    return {body["correlation_id"] for body in bodies}


async def _results(installation: Installation, wanted: set[str]) -> list[dict[str, Any]]:
    records = await installation.read(
        installation.topic(TopicName.COMPARISON_RESULT),
        until=lambda records: wanted <= answered(records),
    )
    found = [record for record in records if record.key.decode() in wanted]
    assert len(found) == len(wanted), "one result a request"
    return [data_of(record.value) for record in found]


async def _events(installation: Installation, topic: TopicName) -> list[dict[str, Any]]:
    """Read what stands in a topic now; the result comes last, so all of a request's is there."""
    name = installation.topic(topic)
    count = sum((await installation.ends(name)).values())
    records = await installation.read(name, until=lambda records: len(records) >= count)
    return [data_of(record.value) for record in records]


async def test_dead_provider_is_replaced_found_out_and_taken_back(
    installation: Installation, fake: FakeProviderServer
) -> None:
    anthropic = fake.provider(_ANTHROPIC)
    anthropic.always(Overloaded())
    async with installation.worker() as worker:
        results = [await _one_more(installation) for _ in range(3)]
        results += await _results(installation, await _send(installation, 20))
        assert {result["provider"] for result in results} == {"openai"}
        calls_when_dead = anthropic.calls
        assert calls_when_dead < 20, "an open breaker saves the calls, but for probes"
        failures = await _events(installation, TopicName.PROVIDER_FAILURE)
        assert len(failures) == calls_when_dead
        assert [f for f in failures if f["circuit_breaker_opened"]]
        assert {f["failure_type"] for f in failures} == {"service_unavailable"}
        assert {f["metadata"]["http_status"] for f in failures} == {529}
        assert all(f["metadata"]["provider_request_id"] for f in failures)

        anthropic.always(Verdict())
        while (await _one_more(installation))["provider"] != "anthropic":
            pass
        assert (await _health(worker))["providers"]["anthropic"]["circuit_breaker_state"] == (
            "closed"
        )
        assert '"state":"open"' in worker.log
        assert '"state":"half_open"' in worker.log
        assert '"state":"closed"' in worker.log
    started = await _events(installation, TopicName.REQUEST_STARTED)
    assert [s for s in started if s["metadata"].get("circuit_breaker") == "half_open"]
    completed = await _events(installation, TopicName.REQUEST_COMPLETED)
    assert len([c for c in completed if c["metadata"].get("circuit_breaker_closed")]) == 1


async def _one_more(installation: Installation) -> dict[str, Any]:
    [result] = await _results(installation, await _send(installation))
    return result


async def _health(worker: WorkerProcess) -> dict[str, Any]:
    health: dict[str, Any] = orjson.loads((await worker.get("/healthz"))[1])
    return health


async def test_rate_limit_with_a_long_retry_after_slows_and_loses_nothing(
    installation: Installation, fake: FakeProviderServer
) -> None:
    anthropic = fake.provider(_ANTHROPIC)
    anthropic.next(*[RateLimited(retry_after_s=5)] * 10)
    limit = {"LLM_WORKER_PROVIDERS__ANTHROPIC__MAX_IN_FLIGHT": "10"}
    async with installation.worker(**limit) as worker:
        wanted = await _send(installation, 60, **_PINNED)
        await anthropic.until_calls(10)
        results = await _results(installation, wanted)
        assert all(result["winner"] for result in results)
        assert anthropic.calls == 70, "each was asked once more at most: nobody stormed"
        assert worker.is_running
    slowest_ms = max(result["response_time_ms"] for result in results)
    assert slowest_ms >= 5_000
    failures = await _events(installation, TopicName.PROVIDER_FAILURE)
    assert [f["metadata"]["retry_after"] for f in failures] == [5.0] * 10
    assert not any(f["circuit_breaker_opened"] for f in failures)


async def test_provider_that_hangs_holds_its_own_limit_and_nobody_else(
    installation: Installation, fake: FakeProviderServer
) -> None:
    anthropic = fake.provider(_ANTHROPIC)
    anthropic.always(Hang())
    limits = {
        "LLM_WORKER_MAX_IN_FLIGHT": "100",  # so the window holds those behind a slow head, too
        "LLM_WORKER_PROVIDERS__ANTHROPIC__MAX_IN_FLIGHT": "8",  # a quarter is the other lane's
    }
    elsewhere = {"llm_config_overrides": {"provider_override": "openai"}}
    async with installation.worker(**limits):
        await _send(installation, 40, **_PINNED)
        await anthropic.until_in_flight(6)
        results = await _results(installation, await _send(installation, 100, **elsewhere))
        assert {result["provider"] for result in results} == {"openai"}
        assert anthropic.in_flight == 6
    assert anthropic.max_in_flight == 6


async def test_load_that_nobody_can_serve_waits_on_kafka_and_is_served_later(
    installation: Installation, fake: FakeProviderServer
) -> None:
    anthropic = fake.provider(_ANTHROPIC)
    anthropic.always(Overloaded())
    few = {"LLM_WORKER_MAX_IN_FLIGHT": "20"}  # a window of 100 a lane
    async with installation.worker(**few) as worker:
        wanted = await _send(installation, 1_000, **_PINNED)
        await _until_metric(worker, 'window_deliveries{lane="normal"}', 100)
        calls_at_first = anthropic.calls
        assert calls_at_first <= 20, "as many as may be in flight, and a probe"
        await anthropic.until_calls(calls_at_first + 3)
        _, page = await worker.get("/metrics")
        assert _metric(page, 'window_deliveries{lane="normal"}') == 100
        assert _metric(page, 'provider_running_calls{provider="anthropic"}') <= 20
        anthropic.always(Verdict())
        results = await _results(installation, wanted)
    verdicts = [result for result in results if result["winner"]]
    assert len(verdicts) == 1_000, "nobody lost, nobody failed"


async def _until_metric(worker: WorkerProcess, name: str, value: float) -> None:
    while _metric((await worker.get("/metrics"))[1], name) != value:  # noqa: ASYNC110 - another process has no event
        await asyncio.sleep(0.05)


def _metric(page: str, name: str) -> float:
    found = re.search(rf"^llm_worker_{re.escape(name)} (.+)$", page, re.MULTILINE)
    assert found, name
    return float(found[1])


async def test_what_each_attempt_cost_is_told_and_the_result_has_the_sum(
    installation: Installation, fake: FakeProviderServer
) -> None:
    fake.provider(_ANTHROPIC).next(
        MalformedJson(prompt_tokens=1000, completion_tokens=100),
        Truncated(prompt_tokens=1200, completion_tokens=200),
    )
    fake.provider(_OPENAI).next(Verdict(prompt_tokens=1000, completion_tokens=50))
    async with installation.worker():
        result = await _one_more(installation)
    costs = await _events(installation, TopicName.COST_TRACKING)
    said = [(c["provider"], c["attempt"], c["outcome"], c["cost_estimate_usd"]) for c in costs]
    # Haiku 5.5 and GPT-6 Luna both: 0.1 USD a million tokens in, 0.5 out.
    assert said == [
        ("anthropic", 1, "failure", 0.00015),
        ("anthropic", 2, "failure", 0.00022),
        ("openai", 3, "success", 0.000125),
    ]
    assert costs[1]["metadata"]["repair"] is True
    assert (result["provider"], result["attempts"]) == ("openai", 3)
    assert result["cost_known"] is True
    assert Decimal(str(result["cost_estimate"])) == Decimal("0.000495")
    assert result["token_usage"]["total_tokens"] == 3550


async def test_connection_that_breaks_after_sending_may_have_cost_something(
    installation: Installation, fake: FakeProviderServer
) -> None:
    fake.provider(_ANTHROPIC).next(Reset())
    async with installation.worker():
        result = await _one_more(installation)
    first, second = await _events(installation, TopicName.COST_TRACKING)
    assert (first["provider"], first["cost_known"], first["outcome"]) == (
        "anthropic",
        False,
        "failure",
    )
    assert first["metadata"]["sent"] is True
    assert (second["provider"], second["cost_known"]) == ("openai", True)
    assert result["cost_known"] is False, "a part is unknown, so the sum is"


async def test_errors_of_all_targets_are_in_the_answer_and_no_key_is_anywhere(
    installation: Installation, fake: FakeProviderServer
) -> None:
    fake.provider(_ANTHROPIC).always(Overloaded())
    fake.provider(_OPENAI).always(RateLimited(retry_after_s=900))
    attempts = {"LLM_WORKER_RETRY__ATTEMPTS": "2"}
    async with installation.worker(**attempts) as worker:
        result = await _one_more(installation)
        log = worker.log
    errors = result["error_detail"]["details"]["errors"]
    assert [(e["provider"], e["error_code"], e["http_status"]) for e in errors] == [
        ("anthropic", "SERVICE_UNAVAILABLE", 529),
        ("openai", "RATE_LIMIT", 429),
    ]
    assert result["error_detail"]["details"]["is_retryable"] is True
    everything = log + orjson.dumps(result).decode()
    assert "key-anthropic" not in everything
    assert "Dogs are loyal" not in everything


async def test_wrong_model_is_answered_with_the_nearest_names(
    installation: Installation, fake: FakeProviderServer
) -> None:
    async with installation.worker():
        wanted = await _send(
            installation,
            llm_config_overrides={"provider_override": "openai", "model_override": "gpt-6-lunna"},
        )
        [result] = await _results(installation, wanted)
    assert result["error_detail"]["error_code"] == "INVALID_REQUEST"
    assert "gpt-6-luna" in result["error_detail"]["message"]
    assert fake.provider(_OPENAI).calls == 0


async def test_parameter_that_a_model_refuses_is_left_out_and_said(
    installation: Installation, fake: FakeProviderServer
) -> None:
    async with installation.worker():
        wanted = await _send(
            installation,
            llm_config_overrides={"provider_override": "anthropic", "temperature_override": 0.2},
        )
        [result] = await _results(installation, wanted)
    assert result["winner"]
    [words] = result["request_metadata"]["adjustments"]
    assert "temperature_override" in words
    [call] = fake.provider(_ANTHROPIC).seen
    assert "temperature" not in call.body


async def test_every_provider_answers_through_its_own_wire_format(
    installation: Installation, fake: FakeProviderServer
) -> None:
    names = [name for name in ProviderName if name is not ProviderName.MOCK]
    async with installation.worker(**pointing_at(fake, *names)):
        for name in names:
            wanted = await _send(installation, llm_config_overrides={"provider_override": name})
            [result] = await _results(installation, wanted)
            assert (result["provider"], result["cost_known"]) == (name, True), result
            assert result["token_usage"]["total_tokens"] > 0
    _check(await _records(installation))


async def _records(installation: Installation) -> list[ConsumerRecord]:
    names = [
        installation.topic(topic)
        for topic in (
            TopicName.REQUEST_STARTED,
            TopicName.COST_TRACKING,
            TopicName.REQUEST_COMPLETED,
            TopicName.COMPARISON_RESULT,
        )
    ]
    count = sum((await installation.ends(*names)).values())
    return await installation.read(*names, until=lambda records: len(records) >= count)


def _check(records: Iterable[ConsumerRecord]) -> None:
    for record in records:
        read_event(record.value)
