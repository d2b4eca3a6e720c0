from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

from llm_worker.contracts.documents.schemas import ENVELOPE, EVENTS, check, export, schema_of, stale
from llm_worker.contracts.topics import load_topics, shipped

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def schemas_dir(tmp_path: Path) -> Path:
    """A directory as the gate wants it."""
    export(tmp_path)
    export(tmp_path / "released")
    return tmp_path


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_the_shipped_schemas_are_current_and_break_no_release() -> None:
    assert check(shipped("schemas")) == []


def test_every_topic_carries_an_event_with_a_schema_or_the_original() -> None:
    carried = {topic.event for topic in load_topics().topics.values()}

    assert carried == EVENTS.keys() | {"original"}


@pytest.mark.parametrize("name", [ENVELOPE, *EVENTS])
def test_a_schema_is_valid_and_names_itself(name: str) -> None:
    schema = schema_of(name)

    Draft202012Validator.check_schema(schema)
    assert list(schema)[:4] == ["$schema", "$id", "title", "description"]
    assert (schema["title"], schema["$id"].rpartition(":")[2]) == (name, name)


@pytest.mark.parametrize("name", [ENVELOPE, *EVENTS])
def test_one_schema_describes_what_is_read_and_what_is_written(name: str) -> None:
    assert schema_of(name, mode="validation") == schema_of(name, mode="serialization")


def test_an_unknown_name_has_no_schema() -> None:
    with pytest.raises(KeyError, match="LLMTeapotV1"):
        schema_of("LLMTeapotV1")


def test_export_writes_one_file_an_event_and_one_for_the_envelope(tmp_path: Path) -> None:
    files = export(tmp_path / "made" / "here")

    assert {file.name for file in files} == {f"{name}.json" for name in (ENVELOPE, *EVENTS)}
    assert all(json.loads(file.read_text(encoding="utf-8")) for file in files)
    assert stale(tmp_path / "made" / "here") == []


def test_stale_files_are_named_with_the_remedy(schemas_dir: Path) -> None:
    _edit(schemas_dir / "LLMControlV1.json", "setting", "sitting")
    (schemas_dir / "LLMCacheHitV1.json").unlink()
    (schemas_dir / "LLMTeapotV1.json").write_text("{}", encoding="utf-8")

    assert sorted(check(schemas_dir)) == [
        "LLMCacheHitV1.json is missing; run `llm-worker schemas export`",
        "LLMControlV1.json differs from its model; run `llm-worker schemas export`",
        "LLMTeapotV1.json belongs to no event; delete it",
    ]


def test_a_break_with_the_release_is_named_with_its_event(schemas_dir: Path) -> None:
    released = schemas_dir / "released"
    _edit(released / "LLMComparisonResultV1.json", '"maxLength": 500', '"maxLength": 300')
    _edit(released / "LLMCacheMissV1.json", '"type": "object"', '"type": "array"')
    (released / "LLMTeapotV1.json").write_text("{}", encoding="utf-8")

    assert check(schemas_dir) == [
        "LLMCacheMissV1: the event: type array -> object",
        "LLMComparisonResultV1: justification: maxLength 300 -> 500",
        "LLMTeapotV1: the event was removed",
    ]


def test_an_event_that_was_never_released_breaks_nobody(schemas_dir: Path) -> None:
    (schemas_dir / "released" / "LLMCacheMissV1.json").unlink()

    assert check(schemas_dir) == []


def test_without_a_release_the_gate_does_not_pass(tmp_path: Path) -> None:
    export(tmp_path)

    (finding,) = check(tmp_path)

    assert "holds no schemas to compare with" in finding
