"""What has once been on the wire is read, and written, the same for ever.

A golden file holds a payload as it came (`wire`) and, where that differs, as this version writes it
(`normal`). The golden records of schemas/examples are held to the same. Add files; a changed one
is a broken neighbour.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from llm_worker.contracts.documents.compatibility import Direction
from llm_worker.contracts.documents.examples import load_examples
from llm_worker.contracts.documents.schemas import ENVELOPE, EVENTS, direction_of, schema_of
from llm_worker.contracts.envelope import EventEnvelope, WireModel
from llm_worker.contracts.topics import load_topics

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = Path(__file__).parent / "golden"

Payload = dict[str, Any]


class Golden(NamedTuple):
    """A payload of an event, or an envelope: as it came, and in its normal form."""

    event: str
    name: str
    wire: Payload
    normal: Payload


def _goldens() -> Iterator[Golden]:
    for file in sorted(GOLDEN.glob("*/*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        wire = document["wire"]
        yield Golden(file.parent.name, file.stem, wire, document.get("normal", wire))
    for example in load_examples():
        if example.data is not None:
            value = example.document["value"]
            yield Golden(example.event, example.name, example.data, example.data)
            yield Golden(ENVELOPE, example.name, value, value)


GOLDENS = list(_goldens())


def _model(event: str, payload: Payload) -> type[WireModel]:
    if event != ENVELOPE:
        return EVENTS[event]
    catalog = load_topics()
    topic = catalog[catalog.names_on_broker()[payload["event_type"]]]
    envelope: Any = EventEnvelope  # its parameter is only known now
    model: type[WireModel] = envelope[EVENTS[topic.event]]
    return model


def _violations(name: str, payload: Payload) -> list[str]:
    validator = Draft202012Validator(schema_of(name), format_checker=FormatChecker(["uuid"]))
    return [error.message for error in validator.iter_errors(payload)]


@pytest.fixture(params=GOLDENS, ids=lambda golden: f"{golden.event}-{golden.name}")
def golden(request: pytest.FixtureRequest) -> Golden:
    found: Golden = request.param
    return found


def test_what_came_is_written_in_its_normal_form(golden: Golden) -> None:
    parsed = _model(golden.event, golden.wire).model_validate_json(json.dumps(golden.wire))

    assert json.loads(parsed.model_dump_json()) == golden.normal


def test_the_normal_form_means_the_same_and_is_written_as_it_was_read(golden: Golden) -> None:
    model = _model(golden.event, golden.wire)

    again = model.model_validate_json(json.dumps(golden.normal))

    assert again == model.model_validate_json(json.dumps(golden.wire))
    assert json.loads(again.model_dump_json()) == golden.normal


def test_both_forms_obey_the_schema(golden: Golden) -> None:
    for payload in (golden.wire, golden.normal):
        assert _violations(golden.event, payload) == []


@pytest.mark.parametrize("name", [ENVELOPE, *EVENTS])
def test_the_goldens_show_every_field_and_leave_out_every_optional_one(name: str) -> None:
    schema = schema_of(name)
    goldens = [set(golden.wire) for golden in GOLDENS if golden.event == name]

    assert set.union(*goldens) >= schema["properties"].keys()
    assert set.intersection(*goldens) == set(schema["required"])


def test_an_unknown_field_is_accepted_by_the_schema_too() -> None:
    for golden in GOLDENS:
        assert _violations(golden.event, golden.wire | {"from_the_future": 1}) == []


@pytest.mark.parametrize("name", [ENVELOPE, *EVENTS])
def test_a_missing_required_field_violates_the_schema(name: str) -> None:
    wire = next(golden.wire for golden in GOLDENS if golden.event == name)

    for field in schema_of(name)["required"]:
        incomplete = {key: value for key, value in wire.items() if key != field}
        assert _violations(name, incomplete) == [f"'{field}' is a required property"]


def test_a_blank_prompt_violates_the_request_schema() -> None:
    assert _violations("LLMComparisonRequestV1", {"user_prompt": " \n"})


def test_requests_come_and_all_else_goes() -> None:
    consumed = {name for name in EVENTS if direction_of(name) is Direction.CONSUMED}

    assert consumed == {"LLMComparisonRequestV1"}
    assert direction_of(ENVELOPE) is Direction.BOTH
