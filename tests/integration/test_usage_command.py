"""`llm-worker usage` on a broker."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from click.testing import CliRunner

from llm_worker import bootstrap
from llm_worker.cli.app import FAILED, cli
from llm_worker.client.history import read_to_end
from llm_worker.client.publishing import writer
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.spend import EVERYTHING, SOURCES, AccountKey
from tests.support.environment import forget_settings
from tests.support.spend import COSTS, DAY, completion_value, cost_of
from tests.support.usage import state_records, totals_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from click.testing import Result

    from llm_worker.dev.kafka import EmbeddedKafka
    from llm_worker.domain.delivery import PlacedRecord
    from llm_worker.domain.ledger import Account

_EVERYTHING = AccountKey(EVERYTHING, DAY, COSTS)


@pytest.fixture(autouse=True)
def _settings(kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch, tmp_path)
    monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("LLM_WORKER_KAFKA__TOPIC_PREFIX", f"{uuid4().hex}.")
    monkeypatch.setenv("LLM_WORKER_BUDGET__DAILY_USD", "1")


@pytest.fixture
def _topics() -> None:
    assert CliRunner().invoke(cli, ["topics", "create"]).exit_code == 0


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["usage", *words])


async def spend() -> None:
    """Let two schools buy, one of them once for an unknown price."""
    settings = bootstrap.load_settings()
    topics = bootstrap.catalog(settings)
    costs, requests = map(topics.on_broker, SOURCES)
    values = {
        costs: [
            cost_of(usd=0.25, token_usage={"total_tokens": 100}),
            cost_of(usd=None),
            cost_of(usd=0.125, organization_id="college", provider="google", model="gemini"),
        ],
        requests: [completion_value(), completion_value(success=False)],
    }
    async with writer(bootstrap.kafka_options(settings), values) as producer:
        for topic, each in values.items():
            for value in each:
                await producer.send_and_wait(topic, value=value, key=uuid4().bytes)


async def events() -> list[PlacedRecord]:
    settings = bootstrap.load_settings()
    names = list(map(bootstrap.catalog(settings).on_broker, SOURCES))
    async with aclosing(read_to_end(bootstrap.kafka_options(settings), names)) as records:
        return [record async for record in records]


async def publish(totals: Mapping[AccountKey, Account]) -> None:
    settings = bootstrap.load_settings()
    topics = bootstrap.catalog(settings)
    topic = topics.on_broker(TopicName.SPEND_STATE)
    async with writer(bootstrap.kafka_options(settings), [topic]) as producer:
        for record in state_records(totals, topics):
            await producer.send_and_wait(
                record.topic, value=record.value, key=record.key, headers=list(record.headers)
            )


async def add_up() -> dict[AccountKey, Account]:
    """Publish the totals of all events, as an accountant would."""
    totals = totals_of(await events(), bootstrap.catalog(bootstrap.load_settings()))
    await publish(totals)
    return totals


@pytest.mark.usefixtures("_topics")
async def test_published_totals_are_shown_and_a_wrong_one_is_found() -> None:
    await spend()
    totals = await add_up()

    shown = piped("--period", DAY)
    assert (shown.returncode, shown.stderr) == (0, "")
    _, _, school, college, total, _, limit = map(str.split, shown.stdout.splitlines())
    assert school == ["openai", "gpt-5", "2", "1", "0", "100", "0.25", "1", "0"]
    assert college == ["google", "gemini", "0", "0", "0", "0", "0.125", "0", "0"]
    assert total == ["total", "2", "1", "0", "100", "0.375", "1", "0"]
    assert limit == ["all", "1", "0.375", "+", "unknown", "at", "least", "37.5%"]

    [month] = json.loads(piped("--period", "2026-11", "--by", "organization", "--json").stdout)[
        "periods"
    ]
    costs = {each["organization"]: each["cost_usd"] for each in month["groups"]}
    assert costs == {"school": "0.25", "college": "0.125"}
    assert (month["total"]["unknown_costs"], month["limits"]) == (1, [])

    verified = piped("--verify")
    assert (verified.returncode, verified.stdout) == (
        0,
        f"{len(totals)} totals agree with their events\n",
    )
    assert "5 events read" in verified.stderr

    await publish({_EVERYTHING: replace(totals[_EVERYTHING], cost_usd=Decimal("0.38"))})
    verified = piped("--verify")
    assert verified.returncode == FAILED
    [_, row] = map(str.split, verified.stdout.splitlines())
    assert row == ["all", DAY, "cost_tracking/0", "cost", "usd", "0.38", "0.375"]
    assert f"1 of {len(totals)} totals differ" in verified.stderr


def piped(*words: str) -> subprocess.CompletedProcess[str]:
    return alone("usage", *words)


def alone(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own, with nobody to look at it."""
    command = [sys.executable, "-m", "llm_worker", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command


@pytest.mark.usefixtures("_topics")
async def test_nothing_is_added_up_before_an_accountant_runs() -> None:
    await spend()

    for shown in (piped(), piped("--verify")):
        assert (shown.returncode, shown.stdout) == (0, "")
        assert "nothing was added up yet" in shown.stderr
    [spent] = [
        each for each in json.loads(alone("doctor", "--json").stdout) if each["check"] == "spend"
    ]
    assert spent["level"] == "warning"
    assert "run `llm-worker accountant`" in spent["words"]


@pytest.mark.parametrize("words", [[], ["--json"], ["--verify"]], ids=" ".join)
def test_topic_that_is_missing_is_told_with_its_remedy(words: list[str]) -> None:
    shown = run(*words)

    assert (shown.exit_code, shown.stdout) == (FAILED, "")
    assert "not on the broker" in shown.stderr
    assert "llm-worker topics create" in shown.stderr
