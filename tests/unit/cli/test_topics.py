from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from llm_worker.cli.app import cli
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No .env or llm-worker.toml of the developer is read."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def dead_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", address)
        yield address


def test_list_names_every_topic_with_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_WORKER_KAFKA__TOPIC_PREFIX", "tenant.")
    result = CliRunner().invoke(cli, ["topics", "list", "--json"])
    assert result.exit_code == 0
    topics = {topic["name"]: topic for topic in json.loads(result.stdout)}
    assert topics.keys() == {name.value for name in TopicName}
    requests = topics["comparison_requested"]
    assert requests["topic"] == "tenant.huleedu.llm_provider.comparison_requested.v1"
    assert requests["partitions"] == 12


def test_list_for_people_has_a_line_for_every_topic() -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["topics", "list"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [name.value for name in TopicName]
    assert "3 days" in lines[1]


@pytest.mark.parametrize("command", [["check"], ["create"], ["create", "--dry-run"]])
def test_unreachable_broker_is_one_error_on_stderr(command: list[str], dead_broker: str) -> None:
    result = CliRunner().invoke(cli, ["topics", *command])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"Error: Kafka at {dead_broker} cannot be used" in result.stderr


def test_replication_below_one_is_wrong_use() -> None:
    result = CliRunner().invoke(cli, ["topics", "create", "--replication", "0"])
    assert result.exit_code == 2
    assert "--replication" in result.stderr
