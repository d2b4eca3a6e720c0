from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from click.testing import CliRunner

from llm_worker.cli.app import cli
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from pathlib import Path

    from llm_worker.dev.cache import EmbeddedCache
    from llm_worker.dev.kafka import EmbeddedKafka


@pytest.fixture(autouse=True)
def _settings(
    kafka: EmbeddedKafka,
    cache_server: EmbeddedCache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("LLM_WORKER_KAFKA__TOPIC_PREFIX", f"{uuid4().hex}.")
    monkeypatch.setenv("LLM_WORKER_CACHE__REDIS_URL", cache_server.url)
    monkeypatch.setenv("LLM_WORKER_USE_MOCK_LLM", "true")


def test_dry_run_then_create_then_check_and_doctor() -> None:
    run = CliRunner().invoke
    names = [name.value for name in TopicName]

    assert run(cli, ["topics", "check"]).exit_code == 1
    assert run(cli, ["doctor"]).exit_code == 1
    wanted = json.loads(run(cli, ["topics", "create", "--dry-run", "--json"]).stdout)
    assert len(wanted) == len(names)

    created = run(cli, ["topics", "create", "--replication", "1"])
    assert (created.exit_code, created.stdout.splitlines()) == (0, wanted)
    assert json.loads(run(cli, ["topics", "create", "--json"]).stdout) == []

    check = run(cli, ["topics", "check", "--json"])
    assert check.exit_code == 0
    assert [state["name"] for state in json.loads(check.stdout)] == names
    doctor = run(cli, ["doctor", "--json"])
    assert doctor.exit_code == 0
    assert {finding["level"] for finding in json.loads(doctor.stdout)} == {"ok"}


def test_check_names_each_missing_topic_with_its_remedy() -> None:
    result = CliRunner().invoke(cli, ["topics", "check"])
    assert result.exit_code == 1
    for name in TopicName:
        assert f"{name}: missing: run `llm-worker topics create`" in result.stdout
