"""`llm-worker dead-letters` against a whole installation with the mock."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import orjson
import pytest
from click.testing import CliRunner

from llm_worker.adapters.kafka.rendering import EventRenderer
from llm_worker.cli.app import FAILED, WRONG_USE, cli
from llm_worker.cli.dead_letters.replay import replay_id
from llm_worker.client.history import read_at
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.delivery import PulledRecord
from llm_worker.domain.errors import DeadlinePassedError, UnreadableError
from llm_worker.domain.event import DeadLetter
from tests.support.builders import NOW, body_of
from tests.support.environment import forget_settings
from tests.support.pseudo_terminal import run_at_a_terminal
from tests.support.worker import Installation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiokafka import ConsumerRecord
    from click.testing import Result

    from llm_worker.dev.cache import EmbeddedCache
    from llm_worker.dev.kafka import EmbeddedKafka
    from llm_worker.domain.errors import WorkerError

_TWICE = 2


@pytest.fixture
async def installation(
    kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Installation:
    forget_settings(monkeypatch, tmp_path)
    installation = await Installation(kafka.bootstrap_servers, tmp_path).create()
    monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("LLM_WORKER_KAFKA__TOPIC_PREFIX", installation.prefix)
    monkeypatch.setenv("LLM_WORKER_USE_MOCK_LLM", "true")
    return installation


async def set_aside(
    installation: Installation,
    value: bytes | dict[str, Any],
    error: WorkerError,
    *,
    topic: str | None = None,
) -> str:
    """Write a dead letter as a worker does, and give its place."""
    pulled = PulledRecord(
        topic=topic or installation.request_topic(),
        partition=1,
        offset=41,
        key=str(uuid4()).encode(),
        value=orjson.dumps(value) if isinstance(value, dict) else value,
        headers=(("kept", b"as it came"),),
    )
    letter = DeadLetter(delivery=pulled, error=error, attempts=2, spent_usd=None, timestamp=NOW)
    record = EventRenderer(installation.topics).render(letter)
    async with installation.producer() as producer:
        at = await producer.send_and_wait(
            record.topic, record.value, key=record.key, headers=list(record.headers)
        )
    return f"{at.partition}:{at.offset}"


async def run(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli, ["dead-letters", *words])


async def requests_in(installation: Installation, count: int) -> list[ConsumerRecord]:
    return await installation.read(
        installation.request_topic(), until=lambda records: len(records) >= count
    )


async def test_list_shows_what_failed_and_no_text(installation: Installation) -> None:
    body = body_of(user_prompt="SECRET", essay_a="SECRET", organization_id="school")
    late = await set_aside(installation, body, DeadlinePassedError("too late"))
    dogs = await set_aside(installation, b"SECRET dogs", UnreadableError("no JSON"))

    shown = await run("list", "--json")
    table = await run("list", "--code", "timeout", "--since", "1h", "--limit", "5")

    assert shown.exit_code == 0, shown.output
    found = {each["at"]: each for each in json.loads(shown.stdout)}
    assert found.keys() == {late, dogs}
    assert found[late]["error_code"] == "TIMEOUT"
    assert found[late]["organization_id"] == "school"
    assert (found[late]["attempts"], found[late]["spent_usd"]) == (2, None)
    assert found[late]["event_id"] == body["event_id"]
    assert "comparison_requested:1:41" in table.stdout
    assert "no JSON" not in table.stdout
    assert "1 of 1 dead letters" in table.stderr
    assert "SECRET" not in shown.output + table.output


async def test_show_leaves_texts_out_unless_all_is_asked_for(installation: Installation) -> None:
    body = body_of(user_prompt="SECRET?", metadata={"SECRET": "x"}, cache_mode="refresh")
    at = await set_aside(installation, body, DeadlinePassedError("too late"))

    shown, original = await run("show", at), await run("show", at, "--json")

    assert shown.exit_code == 0, shown.output
    words = dict(line.split(maxsplit=1) for line in shown.stdout.splitlines())
    assert words["data.user_prompt"] == "7 characters, shown with --json"
    assert words["data.cache_mode"] == "refresh"
    assert words["data.metadata"] == "1 items"
    assert "dlq.reason" in shown.stdout
    assert "SECRET" not in shown.output
    assert json.loads(original.stdout)["value"] == body
    gone = await run("show", "2:999")
    assert gone.exit_code == FAILED
    assert "no dead letter at 2:999" in gone.stderr


async def test_only_the_records_that_are_asked_for_are_read(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    installation = Installation(kafka.bootstrap_servers, tmp_path)
    topic = await installation.create_topic(f"{installation.prefix}one")
    async with installation.producer() as producer:
        for value in (b"0", b"1", b"2", b"3"):
            await producer.send_and_wait(topic, value, key=b"k")

    for places, values in [
        ([(0, 2), (0, 0), (0, 9), (5, 0)], [b"0", b"2"]),
        ([(0, 3)], [b"3"]),
        ([(0, 4)], []),
        ([(5, 0)], []),
    ]:
        found = [each async for each in read_at(installation.options, topic, places)]
        assert [each.value for each in found] == values


async def test_dry_run_prices_what_can_be_sent_and_says_why_others_cannot(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_WORKER_USE_MOCK_LLM", "false")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    pinned = {"llm_config_overrides": {"provider_override": "anthropic"}}
    for body in (body_of(), body_of(not_after="2026-11-23T10:00:00Z"), body_of(**pinned)):
        await set_aside(installation, body, DeadlinePassedError("too late"))
    dogs = await set_aside(installation, b"dogs", UnreadableError("no JSON"))
    cost = installation.topic(TopicName.COST_TRACKING)
    event = await set_aside(installation, b"{}", UnreadableError("no event"), topic=cost)

    shown = await run("replay", "--dry-run", "--json")
    table = await run("replay", "--dry-run")
    named = await run("replay", "--dry-run", dogs, "7:1")

    assert shown.exit_code == 0, shown.output
    plan = json.loads(shown.stdout)
    assert plan["codes"] == {"TIMEOUT": 3}
    assert plan["sent"] is None
    assert plan["without_deadline"] == 1
    nobody, openai = plan["estimates"]
    assert (nobody["provider"], nobody["requests"], nobody["about_usd"]) == (None, 1, None)
    assert (openai["provider"], openai["requests"]) == ("openai", 2)
    assert 0 < float(openai["about_usd"]) < float(openai["at_most_usd"])
    assert {each["at"] for each in plan["not_sent"]} == {dogs, event}
    assert f"{event} is not sent: it came from {cost}, which is no request topic" in table.stderr
    assert "3 to send: 3 TIMEOUT" in table.stdout
    assert "unknown" in table.stdout
    assert named.exit_code == FAILED
    assert "7:1 is not sent: there is no dead letter" in named.stderr
    assert not any((await installation.ends(installation.request_topic())).values())


async def test_without_a_terminal_nothing_is_sent_unless_told(installation: Installation) -> None:
    await set_aside(installation, body_of(), DeadlinePassedError("too late"))

    shown = await run("replay")

    assert shown.exit_code == WRONG_USE
    assert "--yes" in shown.stderr


async def test_at_a_terminal_it_asks_after_the_price_and_no_is_no(
    installation: Installation,
) -> None:
    await set_aside(installation, body_of(), DeadlinePassedError("too late"))
    shown = await asyncio.to_thread(run_at_a_terminal, "dead-letters", "replay", answer=b"n\n")

    assert b"1 to send: 1 TIMEOUT" in shown.stdout
    assert b"Send 1 requests?" in shown.stderr
    assert shown.returncode == FAILED
    assert not any((await installation.ends(installation.request_topic())).values())


@pytest.fixture
async def _worker(installation: Installation, cache_server: EmbeddedCache) -> AsyncIterator[None]:
    settings = {
        "LLM_WORKER_CACHE__REDIS_URL": cache_server.url,
        "LLM_WORKER_CACHE__KEY_PREFIX": installation.prefix,
        "LLM_WORKER_USE_MOCK_LLM": "true",
    }
    async with installation.worker(**settings):
        yield


@pytest.mark.usefixtures("_worker")
async def test_replay_is_answered_once_however_often_it_is_sent(installation: Installation) -> None:
    body = body_of(not_after="2026-11-23T10:00:00Z", cache_mode="bypass")
    costs, results = TopicName.COST_TRACKING, TopicName.COMPARISON_RESULT
    at = await set_aside(installation, body, DeadlinePassedError("too late"))
    # The same request may fail twice, and lie there twice.
    again = await set_aside(installation, body, DeadlinePassedError("too late"))

    both = await run("replay", "--yes", "--json")
    second = await run("replay", "--yes", at)

    assert both.exit_code == 0, both.output
    assert json.loads(both.stdout)["sent"] == 1
    assert [each["at"] for each in json.loads(both.stdout)["not_sent"]] == [again]
    assert "sent 1 requests" in second.stdout
    await installation.until_committed()
    sent = await requests_in(installation, 2)
    event_id = str(replay_id(UUID(body["event_id"])))
    assert {orjson.loads(record.value)["event_id"] for record in sent} == {event_id}
    assert {dict(record.headers)["replay_of"] for record in sent} == {body["event_id"].encode()}
    assert dict(sent[0].headers)["kept"] == b"as it came"
    answers = await installation.read(
        installation.topic(results), until=lambda records: len(records) >= _TWICE
    )
    first, repeated = (orjson.loads(record.value)["data"] for record in answers)
    assert first == repeated
    assert first["request_id"] == event_id
    assert first["correlation_id"] == body["correlation_id"]
    assert first["winner"]
    [paid] = await installation.read(installation.topic(costs), until=bool)
    assert orjson.loads(paid.value)["data"]["cost_known"]
