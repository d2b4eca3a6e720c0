"""What has once been on the wire is read, and written, the same for ever.

A golden file holds a payload as it came (`wire`) and, where that differs, as this version writes it
(`normal`). Add files; a changed one is a broken neighbour.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from llm_worker.contracts.compatibility import Direction
from llm_worker.contracts.envelope import EventEnvelope, WireModel
from llm_worker.contracts.schemas import ENVELOPE, EVENTS, direction_of, schema_of
from llm_worker.contracts.topics import load_topics

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*/*.json"))

Payload = dict[str, Any]


def _read(file: Path) -> tuple[Payload, Payload]:
    document = json.loads(file.read_text(encoding="utf-8"))
    return document["wire"], document.get("normal", document["wire"])


def _model(file: Path, payload: Payload) -> type[WireModel]:
    if file.parent.name != ENVELOPE:
        return EVENTS[file.parent.name]
    catalog = load_topics()
    topic = catalog[catalog.names_on_broker()[payload["event_type"]]]
    envelope: Any = EventEnvelope  # its parameter is only known now
    model: type[WireModel] = envelope[EVENTS[topic.event]]
    return model


def _violations(name: str, payload: Payload) -> list[str]:
    validator = Draft202012Validator(schema_of(name), format_checker=FormatChecker(["uuid"]))
    return [error.message for error in validator.iter_errors(payload)]


@pytest.fixture(params=FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def golden(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_what_came_is_written_in_its_normal_form(golden: Path) -> None:
    wire, normal = _read(golden)

    parsed = _model(golden, wire).model_validate_json(json.dumps(wire))

    assert json.loads(parsed.model_dump_json()) == normal


def test_the_normal_form_means_the_same_and_is_written_as_it_was_read(golden: Path) -> None:
    wire, normal = _read(golden)
    model = _model(golden, wire)

    again = model.model_validate_json(json.dumps(normal))

    assert again == model.model_validate_json(json.dumps(wire))
    assert json.loads(again.model_dump_json()) == normal


def test_both_forms_obey_the_schema(golden: Path) -> None:
    for payload in _read(golden):
        assert _violations(golden.parent.name, payload) == []


@pytest.mark.parametrize("name", [ENVELOPE, *EVENTS])
def test_the_goldens_show_every_field_and_leave_out_every_optional_one(name: str) -> None:
    schema = schema_of(name)
    goldens = [set(_read(file)[0]) for file in FILES if file.parent.name == name]

    assert set.union(*goldens) >= schema["properties"].keys()
    assert set.intersection(*goldens) == set(schema["required"])


def test_an_unknown_field_is_accepted_by_the_schema_too() -> None:
    for file in FILES:
        assert _violations(file.parent.name, _read(file)[0] | {"from_the_future": 1}) == []


@pytest.mark.parametrize("name", [ENVELOPE, *EVENTS])
def test_a_missing_required_field_violates_the_schema(name: str) -> None:
    file = next(file for file in FILES if file.parent.name == name)
    wire, _ = _read(file)

    for field in schema_of(name)["required"]:
        incomplete = {key: value for key, value in wire.items() if key != field}
        assert _violations(name, incomplete) == [f"'{field}' is a required property"]


def test_a_blank_prompt_violates_the_request_schema() -> None:
    assert _violations("LLMComparisonRequestV1", {"user_prompt": " \n"})


def test_requests_come_and_all_else_goes() -> None:
    consumed = {name for name in EVENTS if direction_of(name) is Direction.CONSUMED}

    assert consumed == {"LLMComparisonRequestV1"}
    assert direction_of(ENVELOPE) is Direction.BOTH
