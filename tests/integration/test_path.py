"""One request through a real worker on a real broker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4, uuid5

import orjson
import pytest

from llm_worker.adapters.kafka.group_members import describe_group
from llm_worker.contracts.vocabulary import TopicName
from tests.support.builders import RESULT_TOPIC, body_of
from tests.support.wire import data_of, read_event
from tests.support.worker import Installation, answered, send_all

if TYPE_CHECKING:
    from pathlib import Path

    from aiokafka import ConsumerRecord

    from llm_worker.dev.cache import EmbeddedCache
    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.support.worker import WorkerProcess

_EVENTS = (
    TopicName.REQUEST_STARTED,
    TopicName.COST_TRACKING,
    TopicName.REQUEST_COMPLETED,
    TopicName.COMPARISON_RESULT,
)
_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def installation(kafka: EmbeddedKafka, tmp_path: Path) -> Installation:
    return await Installation(kafka.bootstrap_servers, tmp_path).create()


async def _send(installation: Installation, *bodies: dict[str, Any]) -> None:
    async with installation.producer() as producer:
        await send_all(producer, installation.request_topic(), bodies)


async def _results(installation: Installation, count: int) -> list[ConsumerRecord]:
    topic = installation.topic(TopicName.COMPARISON_RESULT)
    return await installation.read(topic, until=lambda records: len(records) >= count)


async def test_request_is_answered_with_all_its_events_and_the_worker_ends_well(
    installation: Installation,
) -> None:
    body = body_of(metadata={"batch": 7}, user_id="u") | {"metadata": {"traceparent": _TRACEPARENT}}
    async with installation.worker() as worker:
        await _send(installation, body)
        records = await installation.read(
            *map(installation.topic, _EVENTS), until=lambda records: len(records) >= len(_EVENTS)
        )
        await installation.until_committed()
        await _check_pages(worker.get)
        assert await worker.terminate() == 0

    by_topic = {record.topic: record for record in records}
    assert set(by_topic) == set(map(installation.topic, _EVENTS))
    for record in records:
        envelope = read_event(record.value)
        assert record.key == body["correlation_id"].encode()
        assert envelope["correlation_id"] == body["correlation_id"]
        assert dict(record.headers) == {
            "correlation_id": record.key,
            "event_type": envelope["event_type"].encode(),
            "traceparent": _TRACEPARENT.encode(),
        }
        assert installation.prefix + envelope["event_type"] == record.topic
    result = read_event(by_topic[installation.topic(TopicName.COMPARISON_RESULT)].value)
    assert result["event_id"] == str(uuid5(UUID(body["event_id"]), "comparison_result"))
    assert result["data"]["request_id"] == body["event_id"]
    assert result["data"]["request_metadata"]["batch"] == 7
    assert result["data"]["trace_id"] == _TRACEPARENT.split("-")[1]


async def _check_pages(get: Any) -> None:  # noqa: ANN401 - the worker's get
    for path in ("/livez", "/readyz", "/healthz"):
        status, text = await get(path)
        assert status == 200, text
    async with asyncio.timeout(30):
        health = orjson.loads((await get("/healthz"))[1])
        while (health["status"], health["warnings"]) != ("healthy", []):
            await asyncio.sleep(0.2)  # a busy machine makes it late for a moment
            health = orjson.loads((await get("/healthz"))[1])
    metrics = (await get("/metrics"))[1]
    assert "llm_worker_provider_attempts_total{" in metrics
    assert 'llm_worker_running_calls{lane="normal"} 0.0' in metrics
    assert (await get("/router/"))[0] == 404  # Faust's own pages are off


async def test_same_seed_and_request_give_the_same_verdict_in_another_worker(
    installation: Installation,
) -> None:
    bodies = [body_of(essay_a=f"A careful argument, number {n}.") for n in range(20)]
    again = [body | {"event_id": str(uuid4()), "correlation_id": str(uuid4())} for body in bodies]
    async with installation.worker():
        await _send(installation, *bodies)
        await _results(installation, 20)
        await installation.until_committed()
    async with installation.worker():
        await _send(installation, *again)
        results = await _results(installation, 40)

    verdicts = {record.key.decode(): data_of(record.value) for record in results}
    for first, second in zip(bodies, again, strict=True):
        one, other = verdicts[first["correlation_id"]], verdicts[second["correlation_id"]]
        for field in ("winner", "justification", "confidence"):
            assert one[field] == other[field]


async def test_reply_goes_to_the_callers_topic(installation: Installation) -> None:
    topic = await installation.create_topic(f"huleedu.test.{uuid4().hex}")
    body = body_of(callback_topic=topic)
    async with installation.worker():
        await _send(installation, body)
        [record] = await installation.read(topic, until=bool)
    assert answered([record]) == {body["correlation_id"]}
    assert read_event(record.value)["event_type"] == RESULT_TOPIC


async def test_redelivered_request_is_answered_with_the_same_bytes(
    installation: Installation,
) -> None:
    body = body_of()
    async with installation.worker():
        await _send(installation, body)
        await _results(installation, 1)
        await _send(installation, body)
        first, again = await _results(installation, 2)
    assert first.value == again.value
    assert first.headers == again.headers


async def test_records_that_were_there_before_the_first_worker_are_answered(
    installation: Installation,
) -> None:
    bodies = [body_of() for _ in range(50)]
    await _send(installation, *bodies)
    async with installation.worker():
        results = await _results(installation, 50)
    assert answered(results) == {body["correlation_id"] for body in bodies}


_LONG = {"LLM_WORKER_KAFKA__SESSION_TIMEOUT_S": "240"}
_PROMPT_S = 45
"""Less than the join takes: a frozen member is waited for, for the drain's time and 30 s."""


async def _until_members(installation: Installation, count: int) -> None:
    async with asyncio.timeout(60):
        while len(await describe_group(installation.options, installation.group)) != count:  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.1)


async def test_worker_that_waits_to_join_its_group_ends_when_it_is_told_to_and_leaves(
    installation: Installation,
) -> None:
    """Red with aiokafka's own: it waits for the join, and leaves on a connection that waits too."""
    async with installation.worker(**_LONG) as first:
        first.freeze()  # so that the group cannot settle
        second = installation.launch(**_LONG)
        try:
            await _until_members(installation, 2)
            assert (await second.get("/readyz"))[0] == 503
            async with asyncio.timeout(_PROMPT_S):
                assert await second.terminate() == 0
        finally:
            second.kill()
        assert len(await describe_group(installation.options, installation.group)) == 1


async def test_worker_whose_calls_end_while_its_group_is_joined_ends_when_it_is_told_to(
    installation: Installation, cache_server: EmbeddedCache
) -> None:
    """Red with aiokafka's own: a commit waits behind the join, and the end for the commit."""
    busy = {
        "LLM_WORKER_CACHE__REDIS_URL": cache_server.url,
        "LLM_WORKER_PROVIDERS__MOCK__LATENCY_MS": "6000",
        "LLM_WORKER_PROVIDERS__MOCK__TIMEOUT_S": "30",
    }
    bodies = [body_of(essay_a=f"A careful argument, number {n}.") for n in range(40)]
    async with (
        installation.worker(**_LONG) as first,
        installation.worker(**busy) as second,
    ):
        await _until_members(installation, 2)
        await _send(installation, *bodies)
        await _until_running(second)
        first.freeze()
        third = installation.launch(**_LONG)
        try:
            await _until_members(installation, 3)
            async with asyncio.timeout(60):
                while (await second.get("/readyz"))[0] == 200:  # noqa: ASYNC110 - the same
                    await asyncio.sleep(0.1)
                # A rebalance does not wait for its calls: they end while it joins.
                while await _running(second):  # noqa: ASYNC110 - the same
                    await asyncio.sleep(0.1)
            async with asyncio.timeout(_PROMPT_S):
                assert await second.terminate() == 0
        finally:
            third.kill()


async def _running(worker: WorkerProcess) -> int:
    return int(orjson.loads((await worker.get("/api/v1/state"))[1])["flow"]["running_calls"])


async def _until_running(worker: WorkerProcess) -> None:
    async with asyncio.timeout(60):
        while not await _running(worker):  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.1)
