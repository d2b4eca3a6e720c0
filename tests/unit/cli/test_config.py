"""`llm-worker config` over a control topic in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from llm_worker.cli import control_topic
from llm_worker.cli.app import FAILED, WRONG_USE, cli
from llm_worker.cli.config import in_words
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.delivery import PlacedRecord
from tests.support.environment import forget_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from click.testing import Result

    from llm_worker.domain.delivery import Record


class ControlLog:
    """What the client's reader and writer do, on a list."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def read_to_end(self, _kafka: object, topics: list[str]) -> AsyncIterator[PlacedRecord]:
        for offset, record in enumerate(self.records):
            assert [record.topic] == topics
            yield PlacedRecord(
                topic=record.topic,
                partition=0,
                offset=offset,
                key=record.key,
                value=record.value,
                headers=record.headers,
                at_ms=0,
            )

    async def publish(self, _kafka: object, record: Record) -> None:
        self.records.append(record)

    @property
    def last(self) -> dict[str, Any]:
        envelope: dict[str, Any] = json.loads(self.records[-1].value or b"")
        return envelope


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch, tmp_path)
    monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("LLM_WORKER_BUDGET__MONTHLY_USD", "50")
    monkeypatch.setenv("LOGNAME", "ada")


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> ControlLog:
    log = ControlLog()
    monkeypatch.setattr(control_topic, "read_to_end", log.read_to_end)
    monkeypatch.setattr(control_topic, "publish", log.publish)
    return log


def run(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["config", *words])


def done(*words: str) -> str:
    shown = run(*words)
    assert shown.exit_code == 0, shown.output
    return shown.stdout


def listed() -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(done("list", "--json"))}


# By name: a value as it is typed, as the topic has it, and as it is shown.
_VALUES: dict[str, tuple[str, Any, str]] = {
    **{f"providers.{name}.enabled": ("off", False, "false") for name in ProviderName},
    "routing.strategy": ("LEAST_COST", "least_cost", "least_cost"),
    "retry.attempts": ("7", 7, "7"),
    "retry.backoff_s": ("1.5", 1.5, "1.5"),
    "retry.backoff_max_s": ("30", 30.0, "30.0"),
    "breaker.failure_threshold": ("3", 3, "3"),
    "breaker.recovery_timeout_s": ("10", 10.0, "10.0"),
    "budget.daily_usd": ("7.50", "7.50", "7.50"),
    "budget.monthly_usd": ("", None, "none"),
    "budget.alert_shares": ("0.5,1", ["0.5", "1"], "0.5,1"),
    "budget.hard": ("true", True, "true"),
    "budget.organizations": (
        '{"a": {"hard": true}}',
        {"a": {"hard": True}},
        '{"a": {"hard": true}}',
    ),
    "budget.providers": ("{}", {}, "none"),
    "budget.when_over": ("next_target", "next_target", "next_target"),
    "budget.spike_factor": ("0", "0", "0"),
    "max_in_flight": ("20", 20, "20"),
    "log.level": ("debug", "DEBUG", "DEBUG"),
}


@pytest.mark.parametrize("name", _VALUES)
def test_every_runtime_setting_can_be_set_shown_and_unset(topic: ControlLog, name: str) -> None:
    typed, value, shown = _VALUES[name]
    own = done("get", name).strip()

    assert done("set", name, typed) == f"{name}: {shown} (before: {own})\n"
    assert topic.last["data"]["value"] == value
    assert done("get", name) == f"{shown}\n"
    assert listed()[name]["value"] == value
    assert done("unset", name).startswith(f"{name}: {own}, by ")
    assert done("get", name).strip() == own


@pytest.mark.usefixtures("topic")
def test_list_has_every_runtime_setting() -> None:
    assert listed().keys() == _VALUES.keys()


@pytest.mark.usefixtures("topic")
def test_settings_that_do_not_go_together_are_refused_by_what_the_topic_holds() -> None:
    refused = run("set", "retry.backoff_s", "30")
    assert (refused.exit_code, refused.stdout) == (WRONG_USE, "")
    assert "LLM_WORKER_RETRY__BACKOFF_S is more than" in refused.stderr

    done("set", "retry.backoff_max_s", "60")
    done("set", "retry.backoff_s", "30")
    refused = run("unset", "retry.backoff_max_s")
    assert (refused.exit_code, refused.stdout) == (WRONG_USE, "")
    assert "as long as retry.backoff_s is" in refused.stderr
    done("unset", "retry.backoff_s")
    done("unset", "retry.backoff_max_s")


@pytest.mark.usefixtures("topic")
def test_provider_is_enabled_without_a_key_here_since_the_workers_may_have_it() -> None:
    assert done("set", "providers.openai.enabled", "true").startswith("providers.openai.enabled")
    assert run("list").stderr == ""


def test_change_that_does_not_hold_is_told_with_the_reason(
    topic: ControlLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    done("set", "retry.backoff_s", "15")
    monkeypatch.setenv("LLM_WORKER_RETRY__BACKOFF_MAX_S", "10")

    shown = run("list", "--json")

    assert "ignored retry.backoff_s: LLM_WORKER_RETRY__BACKOFF_S is more than" in shown.stderr
    backoff = {each["name"]: each for each in json.loads(shown.stdout)}["retry.backoff_s"]
    assert (backoff["value"], backoff["source"], backoff["changed_by"]) == (0.5, "default", None)
    assert topic.last["data"]["value"] == 15


@pytest.mark.usefixtures("topic")
def test_list_says_what_holds_and_where_it_is_from() -> None:
    settings = listed()

    assert settings["budget.daily_usd"] == {
        "name": "budget.daily_usd",
        "value": None,
        "source": "default",
        "changed_by": None,
        "changed_at": None,
        "reason": None,
    }
    monthly = settings["budget.monthly_usd"]
    assert (monthly["value"], monthly["source"]) == ("50", "environment")


def test_set_publishes_the_change_and_list_shows_it(topic: ControlLog) -> None:
    said = done("set", "budget.daily_usd", "7.50", "--reason", "exam week")

    assert said == "budget.daily_usd: 7.50 (before: none)\n"
    data = topic.last["data"]
    assert data["changed_at"] == topic.last["event_timestamp"]
    del data["changed_at"]
    assert data == {
        "setting": "budget.daily_usd",
        "value": "7.50",
        "changed_by": "cli:ada",
        "reason": "exam week",
        "previous": None,
    }
    assert topic.records[0].key == b"budget.daily_usd"
    daily = listed()["budget.daily_usd"]
    assert (daily["value"], daily["source"]) == ("7.50", "control")
    assert (daily["changed_by"], daily["reason"]) == ("cli:ada", "exam week")
    [line] = [line for line in done("list").splitlines() if "daily" in line]
    for part in ("7.50", "control", "cli:ada", "exam week"):
        assert part in line


def test_previous_is_what_the_topic_set_before(topic: ControlLog) -> None:
    done("set", "budget.monthly_usd", "60")
    assert topic.last["data"]["previous"] is None
    assert done("set", "budget.monthly_usd", "") == "budget.monthly_usd: none (before: 60)\n"
    assert topic.last["data"]["value"] is None
    assert topic.last["data"]["previous"] == "60"


def test_get_gives_the_value_alone(topic: ControlLog) -> None:
    assert done("get", "budget.monthly_usd") == "50\n"
    done("set", "budget.alert_shares", "0.9,1")
    assert done("get", "budget.alert_shares") == "0.9,1\n"
    assert json.loads(done("get", "budget.alert_shares", "--json"))["value"] == ["0.9", "1"]
    assert len(topic.records) == 1


def test_unset_publishes_a_tombstone_and_says_what_holds_again(topic: ControlLog) -> None:
    done("set", "budget.monthly_usd", "60")

    said = done("unset", "budget.monthly_usd")

    assert said == "budget.monthly_usd: 50, by environment (before: 60)\n"
    assert (topic.records[-1].key, topic.records[-1].value) == (b"budget.monthly_usd", None)
    assert listed()["budget.monthly_usd"]["source"] == "environment"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["set", "budget.daily_usd", "much"], "LLM_WORKER_BUDGET__DAILY_USD: is no plain decimal"),
        (["set", "budget.providers", '{"acme": {}}'], "'acme' is no provider"),
        (["set", "budget.dayly_usd", "1"], "did you mean budget.daily_usd?"),
        (["set", "kafka.group", "g"], "cannot be changed at run time"),
        (["set", "max_in_flight", "1"], "LLM_WORKER_MAX_IN_FLIGHT: Input should be greater"),
        (["set", "routing.strategy", "x"], "'priority', 'round_robin'"),
        (["set", "providers.openai.enabled", "x"], "LLM_WORKER_PROVIDERS__OPENAI__ENABLED: "),
        (["set", "providers.acme.enabled", "true"], "is no runtime setting: did you mean"),
        (["set", "budget.daily_usd"], "Missing argument 'VALUE'"),
        (["get", "budget.dayly_usd"], "did you mean budget.daily_usd?"),
        (["unset", "budget.dayly_usd"], "did you mean budget.daily_usd?"),
    ],
)
def test_wrong_use_is_told_before_a_broker_is_looked_for(words: list[str], complaint: str) -> None:
    shown = run(*words)

    assert (shown.exit_code, shown.stdout) == (WRONG_USE, "")
    assert complaint in shown.stderr


@pytest.mark.parametrize(
    "words",
    [["list"], ["get", "budget.hard"], ["set", "budget.hard", "true"], ["unset", "budget.hard"]],
    ids=" ".join,
)
def test_broker_that_is_not_there_is_said_in_plain_words(words: list[str]) -> None:
    shown = run(*words)

    assert (shown.exit_code, shown.stdout) == (FAILED, "")
    assert "Error: no Kafka broker answers at 127.0.0.1:1" in shown.stderr


def test_record_that_processes_ignore_is_told_until_it_is_replaced(topic: ControlLog) -> None:
    done("set", "budget.hard", "true")
    good = topic.records.pop()
    topic.records.append(type(good)(topic=good.topic, key=good.key, value=b"{}", headers=()))

    shown = run("list", "--json")
    assert shown.exit_code == 0
    assert "ignored budget.hard has a record that cannot be read" in shown.stderr
    assert {each["source"] for each in json.loads(shown.stdout)} == {"default", "environment"}

    done("set", "budget.hard", "true")
    assert run("list", "--json").stderr == ""


def test_key_of_a_foreign_record_is_told_as_plain_text(topic: ControlLog) -> None:
    done("set", "budget.hard", "true")
    good = topic.records.pop()
    topic.records.append(type(good)(topic=good.topic, key=b"[red]\x1bx", value=b"{}", headers=()))

    assert "ignored [red]?x is no runtime setting" in run("list").stderr


def test_reason_cannot_move_the_cursor_or_paint(topic: ControlLog) -> None:
    done("set", "budget.hard", "true", "--reason", "\x1b[2J[red]x")

    shown = done("list")

    assert topic.last["data"]["reason"] == "\x1b[2J[red]x"
    assert "\x1b" not in shown
    assert "?[2J[red]x" in shown


def test_user_without_a_name_is_the_command_alone(
    topic: ControlLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError(1000)

    monkeypatch.setattr("getpass.getuser", nobody)
    done("set", "budget.hard", "true")

    assert topic.last["data"]["changed_by"] == "cli"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "none"),
        ([], "none"),
        ({}, "none"),
        (False, "false"),
        ("refuse", "refuse"),
        (["0.5", "1"], "0.5,1"),
        ({"a": {"hard": True}}, '{"a": {"hard": true}}'),
    ],
)
def test_value_is_shown_as_it_could_be_set(value: object, words: str) -> None:
    assert in_words(value) == words
