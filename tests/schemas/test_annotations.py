"""Every field says what it is: title, meaning, unit, and a value that obeys the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from llm_worker.contracts.documents.compatibility import UNIT, Direction, breaking_changes
from llm_worker.contracts.documents.examples import load_examples
from llm_worker.contracts.documents.schemas import ENVELOPE, EVENTS, schema_of
from llm_worker.contracts.headers import DeadLetterHeaders, EventHeaders

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS = {"integer", "number"}
# They count nothing: positions, versions, scales.
_WITHOUT_UNIT = {
    "schema_version", "temperature_override", "replicate", "confidence", "attempt", "partition",
    "last_offset",
}  # fmt: skip
# Null in every golden record.
_WITHOUT_EXAMPLE = {"stack_trace", "data_schema_uri"}


def _fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every field of an event and of the models inside it."""
    for owner in (schema, *schema.get("$defs", {}).values()):
        yield from owner.get("properties", {}).items()


def _types(field: dict[str, Any]) -> set[str]:
    return {option.get("type", "") for option in field.get("anyOf", [field])}


@pytest.mark.parametrize("name", [ENVELOPE, *EVENTS])
def test_every_event_and_every_field_has_a_title_and_a_meaning(name: str) -> None:
    schema = schema_of(name)

    for owner in (schema, *schema.get("$defs", {}).values()):
        assert owner["title"]
        assert owner["description"]
    for path, field in _fields(schema):
        assert field.get("title"), path
        assert field.get("description", "").endswith("."), path


@pytest.mark.parametrize("model", [EventHeaders, DeadLetterHeaders])
def test_every_header_has_a_meaning(model: type[EventHeaders | DeadLetterHeaders]) -> None:
    for path, field in _fields(model.model_json_schema()):
        assert field.get("description"), path


@pytest.mark.parametrize("name", [ENVELOPE, *EVENTS])
def test_every_number_that_counts_something_says_what(name: str) -> None:
    for path, field in _fields(schema_of(name)):
        if _types(field) & _NUMBERS:
            assert (UNIT in field) is (path not in _WITHOUT_UNIT), path


@pytest.mark.parametrize("name", [ENVELOPE, *EVENTS])
def test_every_example_obeys_its_schema(name: str) -> None:
    schema = schema_of(name)
    root = {key: value for key, value in schema.items() if key in {"$schema", "$defs"}}

    assert schema["examples"]
    for example in schema["examples"]:
        Draft202012Validator(schema).validate(example)
    for path, field in _fields(schema):
        assert field.get("examples") or path in _WITHOUT_EXAMPLE, path
        for example in field.get("examples", ()):
            Draft202012Validator(root | field).validate(example)


def test_every_event_has_a_golden_record() -> None:
    assert {example.event for example in load_examples()} == EVENTS.keys() | {"original"}


@pytest.mark.parametrize("direction", Direction)
def test_a_unit_may_be_added_but_not_changed(direction: Direction) -> None:
    def schema(unit: dict[str, str]) -> dict[str, Any]:
        return {"type": "object", "properties": {"time": {"type": "integer"} | unit}}

    bare, ms, s = schema({}), schema({UNIT: "ms"}), schema({UNIT: "s"})

    assert breaking_changes(bare, ms, direction=direction) == []
    assert breaking_changes(ms, s, direction=direction) == ["time: x-unit ms -> s"]
