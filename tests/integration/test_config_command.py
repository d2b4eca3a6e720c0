"""`llm-worker config` on a broker, and a process that follows it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from llm_worker import bootstrap
from llm_worker.bootstrap.runtime.settings import RuntimeSettings, follow_control
from llm_worker.cli.app import WRONG_USE, cli
from tests.support.environment import forget_settings

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from llm_worker.dev.kafka import EmbeddedKafka

DAILY = "budget.daily_usd"
TIMEOUT_S = 30


@pytest.fixture(autouse=True)
def _settings(kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch, tmp_path)
    monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("LLM_WORKER_KAFKA__TOPIC_PREFIX", f"{uuid4().hex}.")
    monkeypatch.setenv("LLM_WORKER_BUDGET__DAILY_USD", "5")


@pytest.fixture
def _topics() -> None:
    assert CliRunner().invoke(cli, ["topics", "create"]).exit_code == 0


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["config", *words])


def daily() -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(run("list", "--json").stdout)
    return next(each for each in found if each["name"] == DAILY)


@pytest.mark.usefixtures("_topics")
def test_set_is_shown_a_wrong_value_is_refused_and_unset_takes_it_away() -> None:
    assert (daily()["value"], daily()["source"]) == ("5", "environment")

    changed = run("set", DAILY, "7.50", "--reason", "exam week")
    assert (changed.exit_code, changed.stdout) == (0, f"{DAILY}: 7.50 (before: 5)\n")
    assert (daily()["value"], daily()["source"], daily()["reason"]) == (
        "7.50",
        "control",
        "exam week",
    )

    refused = run("set", DAILY, "a lot")
    assert (refused.exit_code, refused.stdout) == (WRONG_USE, "")
    assert "is no plain decimal" in refused.stderr
    assert daily()["value"] == "7.50"

    assert run("unset", DAILY).stdout == f"{DAILY}: 5, by environment (before: 7.50)\n"
    assert (daily()["value"], daily()["source"]) == ("5", "environment")
    told = [run(*words, "--json").stdout for words in (("set", DAILY, "6"), ("unset", DAILY))]
    assert [json.loads(words) for words in told] == [
        {"name": DAILY, "value": "6", "before": "5"},
        {"name": DAILY, "value": "5", "source": "environment", "before": "6"},
    ]


@pytest.mark.usefixtures("_topics")
async def test_process_that_follows_has_the_change_while_it_runs() -> None:
    settings = bootstrap.load_settings()
    changed = asyncio.Event()
    runtime = RuntimeSettings(settings, on_change=lambda _: changed.set())
    topic = follow_control(bootstrap.kafka_options(settings), bootstrap.catalog(settings), runtime)
    assert (await asyncio.to_thread(run, "set", "budget.hard", "true")).exit_code == 0

    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as tasks:
        following = tasks.create_task(topic.follow())
        assert await topic.read()
        assert runtime.budgets.overall.is_hard
        for words, limit in ((("set", DAILY, "7"), 7), (("unset", DAILY), 5)):
            changed.clear()
            await asyncio.to_thread(run, *words)
            await changed.wait()
            assert runtime.budgets.overall.daily_usd == limit
        following.cancel()


def test_topic_that_is_missing_is_told_with_its_remedy() -> None:
    shown = run("set", DAILY, "7")

    assert shown.exit_code == 1
    assert "not on the broker" in shown.stderr
    assert "llm-worker topics create" in shown.stderr
