"""/api/v1/state of real workers on a real broker: what they do, and who else is in the group."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from llm_worker.contracts.state import StateV1
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, TopicName
from tests.support.builders import body_of
from tests.support.worker import Installation, send_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.support.worker import WorkerProcess

_PLANTED = "Zwiebelkuchen"
_VERDICTS = 6


@pytest.fixture
async def installation(kafka: EmbeddedKafka, tmp_path: Path) -> Installation:
    return await Installation(
        kafka.bootstrap_servers,
        tmp_path,
        settings={
            "LLM_WORKER_PROVIDERS__OPENAI__ENABLED": "false",
            "LLM_WORKER_PROVIDERS__OPENAI__API_KEY": _PLANTED,
            "LLM_WORKER_PROVIDERS__GOOGLE__BASE_URL": f"https://me:{_PLANTED}@127.0.0.1:1/v1",
            "LLM_WORKER_BUDGET__DAILY_USD": "12.50",
        },
    ).create()


async def _until(
    worker: WorkerProcess, is_there: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Look, as the page does, until something shows."""
    async with asyncio.timeout(60):
        while True:
            status, text = await worker.get("/api/v1/state")
            assert status == 200, text
            assert _PLANTED not in text
            StateV1.model_validate_json(text)
            state: dict[str, Any] = orjson.loads(text)
            if is_there(state):
                return state
            await asyncio.sleep(0.2)


def _essays(**data: object) -> dict[str, Any]:
    return body_of(essay_a=f"{_PLANTED} one.", essay_b=f"{_PLANTED} two.", **data)


async def _have_answered(installation: Installation, *bodies: dict[str, Any]) -> None:
    async with installation.producer() as producer:
        await send_all(producer, installation.request_topic(), bodies)
    await installation.until_committed()


async def test_state_tells_of_verdicts_failures_and_duplicates_and_of_no_text(
    installation: Installation,
) -> None:
    async with installation.worker() as worker:
        asked = [_essays(replicate=n) for n in range(_VERDICTS)]
        nobody = _essays(llm_config_overrides={"provider_override": "anthropic"})
        not_allowed = _essays(callback_topic=f"elsewhere.{_PLANTED}")
        await _have_answered(installation, *asked, nobody, not_allowed)
        await _have_answered(installation, asked[0])
        state = await _until(
            worker,
            lambda state: (
                state["flow"]["duplicates_answered"] == 1
                # A busy machine makes it late for a moment.
                and state["health"]["status"] == "healthy"
                and sum(count or 0 for count in state["history"]["verdicts"]) == _VERDICTS
            ),
        )

    flow = state["flow"]
    assert (flow["running_calls"], flow["in_hand"], flow["oldest_s"]) == (0, 0, 0)
    assert [(lag["records"], lag["drains_in_s"]) for lag in flow["lag"]] == [(0, 0), (0, 0)]
    assert sum(lag["partitions"] for lag in flow["lag"]) == state["kafka"]["assigned_partitions"]
    assert len({len(steps) for steps in state["history"].values() if isinstance(steps, list)}) == 1
    failures = {failure["correlation_id"]: failure for failure in state["failures"]}
    assert set(failures) == {nobody["correlation_id"], not_allowed["correlation_id"]}
    failed, rejected = (failures[each["correlation_id"]] for each in (nobody, not_allowed))
    assert (failed["kind"], failed["error_code"], failed["dead_letter"]) == (
        "failed",
        "CONFIGURATION_ERROR",
        True,
    )
    assert failed["request_id"] == nobody["event_id"]
    assert (rejected["kind"], rejected["error_code"], rejected["dead_letter"]) == (
        "rejected",
        "LLM_INVALID_CALLBACK_TOPIC",
        False,
    )
    mock, *others = state["providers"]
    assert (mock["name"], mock["attempts"], mock["success_rate"]) == ("mock", _VERDICTS, 1)
    assert all(other["remedy"] for other in others)
    settings = {setting["name"]: setting["value"] for setting in state["settings"]}
    assert settings["providers.openai.api_key"] == "set"
    assert settings["providers.google.base_url"] == "https://***@127.0.0.1:1/v1"
    assert state["budget"]["today"]["limit_usd"] == "12.50"
    assert (state["health"]["status"], state["health"]["ready"]) == ("healthy", True)


async def test_workers_of_the_group_show_with_all_partitions_between_them(
    installation: Installation,
) -> None:
    async with installation.worker() as first, installation.worker() as second:
        seen = [
            await _until(worker, lambda state: _partitions(state) == _wanted(installation))
            for worker in (first, second)
        ]
    for state in seen:
        assert len(state["workers"]) == 2
        [own] = [worker for worker in state["workers"] if worker["is_this"]]
        assert own["host"] == "127.0.0.1"
        assert sum(map(len, own["partitions"].values())) == state["kafka"]["assigned_partitions"]
    ids = [[each["id"] for each in state["workers"] if each["is_this"]] for state in seen]
    assert ids[0] != ids[1]


def _partitions(state: dict[str, Any]) -> set[tuple[str, int]]:
    """Give the group's partitions, once two workers share them."""
    workers = state["workers"] or []
    found = [
        (topic, number)
        for worker in workers
        for topic, numbers in worker["partitions"].items()
        for number in numbers
    ]
    assert len(found) == len(set(found)), "no partition is two workers'"
    return set(found) if len([worker for worker in workers if worker["partitions"]]) == 2 else set()


def _wanted(installation: Installation) -> set[tuple[str, int]]:
    names: list[TopicName] = list(REQUEST_TOPICS.values())
    return {
        (installation.topic(name), number)
        for name in names
        for number in range(installation.topics[name].partitions)
    }
