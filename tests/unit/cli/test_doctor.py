from __future__ import annotations

import json
import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from llm_worker.adapters.kafka.topic_metadata import Right
from llm_worker.adapters.kafka.topic_state import FoundTopic, Presence, compare_topic
from llm_worker.cli.app import cli
from llm_worker.cli.doctor import Level, clock_finding, right_findings, topic_findings
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from pathlib import Path

    from llm_worker.adapters.kafka.topic_state import TopicState

_NAME = TopicName.COMPARISON_RESULT
_WANTED = load_topics()[_NAME]


def _state(
    *,
    presence: Presence = Presence.PRESENT,
    rights: frozenset[Right] | None = frozenset(Right),
    has_readable_config: bool = True,
) -> TopicState:
    found = FoundTopic(
        presence=presence,
        partitions=_WANTED.partitions,
        config=_WANTED.config() if has_readable_config else None,
        rights=rights,
    )
    return compare_topic(_NAME, "t.result", _WANTED, found)


def test_topics_as_wanted_are_one_good_line() -> None:
    [finding] = topic_findings([_state(), _state()])
    assert (finding.level, finding.words) == (Level.OK, "all 2 are as topics.yaml says")


def test_missing_topic_is_a_fault_with_its_remedy() -> None:
    [finding] = topic_findings([_state(), _state(presence=Presence.MISSING)])
    assert finding.level is Level.FAULT
    assert finding.words == "comparison_result: missing: run `llm-worker topics create`"


def test_what_the_broker_hides_is_a_warning() -> None:
    [finding] = topic_findings([_state(has_readable_config=False)])
    assert finding.level is Level.WARNING
    assert "grant DescribeConfigs on t.result" in finding.words


def test_missing_right_is_a_fault_that_says_what_to_grant() -> None:
    [finding] = right_findings([_state(rights=frozenset({Right.DESCRIBE}))])
    assert finding.level is Level.FAULT
    assert "grant Write on t.result" in finding.words


def test_untold_right_is_a_warning_and_a_granted_one_is_good() -> None:
    [untold] = right_findings([_state(rights=None)])
    assert (untold.level, "comparison_result" in untold.words) == (Level.WARNING, True)
    [granted] = right_findings([_state()])
    assert granted.level is Level.OK


@pytest.mark.parametrize(
    ("difference", "level"),
    [
        (timedelta(seconds=1.9), Level.OK),
        (timedelta(seconds=-1.9), Level.OK),
        (timedelta(seconds=2.1), Level.WARNING),
        (timedelta(seconds=-2.1), Level.WARNING),
    ],
)
def test_clock_far_from_redis_is_a_warning(difference: timedelta, level: Level) -> None:
    assert clock_finding(difference).level is level


def test_clock_that_nothing_can_be_compared_with_says_so() -> None:
    assert clock_finding(None).words.startswith("not checked")


def test_unreachable_broker_is_a_fault_and_missing_redis_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", address)
        monkeypatch.setenv("LLM_WORKER_CACHE__REDIS_URL", f"redis://:hunter2@{address}/0")
        result = CliRunner().invoke(cli, ["doctor", "--json"])
    assert result.exit_code == 1
    levels = {finding["check"]: finding["level"] for finding in json.loads(result.stdout)}
    assert levels == {
        "broker": "fault",
        "provider keys": "ok",
        "Redis": "warning",
        "clock": "ok",
    }
    assert "hunter2" not in result.output
