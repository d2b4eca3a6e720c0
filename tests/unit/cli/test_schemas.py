from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner

from llm_worker.cli import schemas as command
from llm_worker.cli.app import cli
from llm_worker.contracts.documents.schemas import EVENTS, export

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_export_writes_every_event_and_prints_the_files(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["schemas", "export", str(tmp_path / "new")])
    assert result.exit_code == 0
    files = result.stdout.splitlines()
    assert str(tmp_path / "new" / "LLMComparisonRequestV1.json") in files
    assert str(tmp_path / "new" / "asyncapi.yaml") in files
    assert len(files) == len(EVENTS) + 2


def test_shipped_schemas_pass_the_check() -> None:
    result = CliRunner().invoke(cli, ["schemas", "check"])
    assert (result.exit_code, result.stdout) == (0, "")


def test_check_lists_stale_files_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(tmp_path)
    export(tmp_path / "released")
    (tmp_path / "LLMControlV1.json").unlink()
    monkeypatch.setattr(command, "shipped", lambda _name: tmp_path)
    result = CliRunner().invoke(cli, ["schemas", "check"])
    assert result.exit_code == 1
    assert [line.partition(";")[0] for line in result.stdout.splitlines()] == [
        "LLMControlV1.json is missing",
        "asyncapi.yaml is missing",
    ]
