"""The JSON Schemas of the wire: made from the models, kept in `schemas/`, gated by the released.

`schemas/` has one file an event and one for the envelope; `schemas/released/` has them as they were
at the last release. Whoever releases runs `export(shipped("schemas") / "released")`.
"""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import WithJsonSchema

from llm_worker.contracts.documents.annotations import WireJsonSchema, annotated
from llm_worker.contracts.documents.compatibility import Direction, Schema, breaking_changes
from llm_worker.contracts.documents.examples import load_examples
from llm_worker.contracts.envelope import EventEnvelope, WireModel
from llm_worker.contracts.events import (
    LLMCacheHitV1,
    LLMCacheMissV1,
    LLMControlV1,
    LLMCostAlertV1,
    LLMCostTrackingV1,
    LLMProviderFailureV1,
    LLMRequestCompletedV1,
    LLMRequestStartedV1,
    LLMSpendStateV1,
    LLMUsageAnalyticsV1,
)
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.contracts.result import LLMComparisonResultV1

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic.json_schema import JsonSchemaMode

EVENTS: dict[str, type[WireModel]] = {
    model.__name__: model
    for model in (
        LLMComparisonRequestV1,
        LLMComparisonResultV1,
        LLMRequestStartedV1,
        LLMRequestCompletedV1,
        LLMProviderFailureV1,
        LLMCacheHitV1,
        LLMCacheMissV1,
        LLMCostTrackingV1,
        LLMUsageAnalyticsV1,
        LLMCostAlertV1,
        LLMSpendStateV1,
        LLMControlV1,
    )
}
"""The model of each event by its name, which is also `event` in topics.yaml."""

ENVELOPE = "EventEnvelope"
"""The envelope has a schema of its own, in which `data` is any object."""

_CONSUMED = {LLMComparisonRequestV1.__name__}
# Read again by the client, the accountant or every worker, also as an earlier version wrote them.
_READ_BACK = {
    ENVELOPE,
    LLMComparisonResultV1.__name__,
    LLMRequestCompletedV1.__name__,
    LLMProviderFailureV1.__name__,
    LLMCostTrackingV1.__name__,
    LLMSpendStateV1.__name__,
    LLMControlV1.__name__,
}


def schema_of(name: str, *, mode: JsonSchemaMode = "serialization") -> Schema:
    """Describe an event, or the envelope, as it stands on the wire.

    What we accept (mode validation) and what we write have one description, so that it can be held
    to both sides. `required` holds what has no default: a reader must do without the rest, though
    we do write it. Raises KeyError for an unknown name.
    """
    model = _ENVELOPE_OF_ANY if name == ENVELOPE else EVENTS[name]
    schema = annotated(
        model.model_json_schema(mode=mode, schema_generator=WireJsonSchema), _examples_of(name)
    )
    head = {
        "$schema": WireJsonSchema.schema_dialect,
        "$id": f"urn:llm-worker:schema:{name}",
        "title": name,
        "description": inspect.getdoc(model),
    }
    # At the end the definitions, so that a reader meets the event first.
    definitions = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
    return head | {key: value for key, value in schema.items() if key not in head} | definitions


def direction_of(name: str) -> Direction:
    """Tell which way an event travels, and so which of its changes would break somebody."""
    if name in _CONSUMED:
        return Direction.CONSUMED
    return Direction.BOTH if name in _READ_BACK else Direction.PRODUCED


def export(directory: Path) -> list[Path]:
    """Write every schema into a directory, made if need be, and return the files."""
    directory.mkdir(parents=True, exist_ok=True)
    files = [directory / f"{name}.json" for name in _names()]
    for file in files:
        file.write_text(_text(file.stem), encoding="utf-8")
    return files


def check(schemas_dir: Path) -> list[str]:
    """Say what is stale, and what breaks the released schemas; empty when all is well.

    A breaking change belongs into a new version of the event, on a new topic beside the old one.
    """
    return stale(schemas_dir) + _broken(schemas_dir / "released")


def stale(directory: Path) -> list[str]:
    """Name the files that are missing, differ from their models, or belong to no event."""
    findings = []
    for name in _names():
        file = directory / f"{name}.json"
        if not file.is_file():
            findings.append(f"{file.name} is missing; run `llm-worker schemas export`")
        elif file.read_text(encoding="utf-8") != _text(name):
            findings.append(f"{file.name} differs from its model; run `llm-worker schemas export`")
    return findings + [
        f"{file.name} belongs to no event; delete it"
        for file in sorted(directory.glob("*.json"))
        if file.stem not in _names()
    ]


def _broken(released_dir: Path) -> list[str]:
    released = sorted(released_dir.glob("*.json"))
    if not released:
        return [
            f"{released_dir} holds no schemas to compare with; restore it from the last release"
        ]
    return [finding for file in released for finding in _broken_event(file)]


def _broken_event(released: Path) -> list[str]:
    name = released.stem
    if name not in _names():
        return [f"{name}: the event was removed"]
    before = json.loads(released.read_text(encoding="utf-8"))
    changes = breaking_changes(before, schema_of(name), direction=direction_of(name))
    return [f"{name}: {words}" for words in changes]


def _names() -> list[str]:
    return [ENVELOPE, *EVENTS]


def _text(name: str) -> str:
    return json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n"


def _examples_of(name: str) -> list[dict[str, Any]]:
    if name == ENVELOPE:
        return [example.document["value"] for example in load_examples() if example.data][:1]
    return [data for example in load_examples() if example.event == name and (data := example.data)]


_ENVELOPE_OF_ANY = EventEnvelope[Annotated[WireModel, WithJsonSchema({"type": "object"})]]
