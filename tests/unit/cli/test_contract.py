from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from llm_worker.cli.app import cli
from llm_worker.contracts.documents.examples import load_examples

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

_ESSAY = "Nobody may read this."


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _verify(lines: str, *options: str) -> Result:
    return CliRunner().invoke(cli, ["contract", "verify", "--file", "-", *options], input=lines)


def _request(**changes: object) -> dict[str, Any]:
    first = load_examples()[0].document
    return dict(first) | changes


def test_golden_records_are_printed_as_verify_reads_them() -> None:
    printed = CliRunner().invoke(cli, ["contract", "examples"])
    assert len(printed.stdout.splitlines()) == len(load_examples())

    result = _verify(printed.stdout)

    assert (result.exit_code, result.stdout) == (0, "")
    assert f"{len(load_examples())} records checked, 0 with faults" in result.stderr


def test_golden_records_of_one_event_can_be_asked_for() -> None:
    printed = CliRunner().invoke(cli, ["contract", "examples", "--event", "LLMCostTrackingV1"])

    records = [json.loads(line) for line in printed.stdout.splitlines()]

    assert {record["value"]["data"]["outcome"] for record in records} == {
        "success", "cached", "unknown",
    }  # fmt: skip


def test_a_fault_is_told_with_line_field_and_remedy_and_without_the_essay() -> None:
    record = _request(key=_ESSAY)
    record["value"] = record["value"] | {"data": {"user_prompt": "?", "essay_a": _ESSAY}}

    result = _verify(f"\n{json.dumps(record)}\n")

    assert result.exit_code == 1
    assert result.stdout.startswith("line 2  data: ")
    assert "send both, or neither" in result.stdout
    assert _ESSAY not in result.output
    assert "1 records checked, 1 with faults" in result.stderr


def test_a_line_that_is_no_record_is_a_fault() -> None:
    result = _verify('{"key": 1}\nnonsense\n')

    assert result.exit_code == 1
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == [
        "line 1  the line",
        "line 2  the line",
    ]


def test_a_program_gets_every_fault_as_json() -> None:
    result = _verify(json.dumps(_request(key=None)), "--json")

    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["records"] == 1
    [fault] = report["faults"]
    assert (fault["place"], fault["field"]) == ("line 1", "key")
    assert fault["offset"] is None


def test_a_file_and_topics_together_are_wrong_use() -> None:
    result = _verify("", "comparison_result")

    assert result.exit_code == 2
    assert "leave TOPIC out" in result.stderr


def test_asyncapi_is_printed_or_written(tmp_path: Path) -> None:
    printed = CliRunner().invoke(cli, ["asyncapi"])
    CliRunner().invoke(cli, ["asyncapi", "--out", "here.yaml"])

    assert yaml.safe_load(printed.stdout)["asyncapi"] == "3.0.0"
    assert (tmp_path / "here.yaml").read_text(encoding="utf-8") == printed.stdout


def test_value_that_is_nested_too_deeply_is_a_fault() -> None:
    record = _request(value=None)
    line = json.dumps(record).replace('"value": null', f'"value": {"[" * 300}{"]" * 300}')

    result = _verify(f"{line}\n")

    assert result.exit_code == 1
    assert "nested too deeply" in result.output
