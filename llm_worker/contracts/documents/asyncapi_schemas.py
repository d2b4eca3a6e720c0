"""The events' schemas as AsyncAPI has them: draft 7, in one place, referring to one another."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from llm_worker.contracts.documents.annotations import WireJsonSchema, annotated
from llm_worker.contracts.documents.examples import ORIGINAL, load_examples
from llm_worker.contracts.documents.schemas import ENVELOPE, EVENTS, schema_of
from llm_worker.contracts.headers import DeadLetterHeaders, EventHeaders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_worker.contracts.documents.compatibility import Schema
    from llm_worker.contracts.envelope import WireModel
    from llm_worker.contracts.topics import Topic

_SCHEMAS: Final = "#/components/schemas/"
_OF_THE_FILE: Final = ("$schema", "$id", "$defs")


def component_schemas() -> dict[str, Schema]:
    """Give every schema that the document refers to, by name."""
    found: dict[str, Schema] = {}
    for name, schema in _standing_alone():
        for part, definition in schema.get("$defs", {}).items():
            found.setdefault(part, _referring(definition))
        own = {keyword: value for keyword, value in schema.items() if keyword not in _OF_THE_FILE}
        found[name] = _referring(own)
    return dict(sorted(found.items()))


def payload_of(topic: Topic) -> Schema:
    """Describe the values of a topic: the envelope around its event, or anything."""
    if topic.event == ORIGINAL:
        return {"description": "The value as it came."}
    envelope: Schema = {
        "type": "object",
        "properties": {
            "event_type": {"const": topic.name},
            "data": {"$ref": _SCHEMAS + topic.event},
        },
    }
    return {"allOf": [{"$ref": _SCHEMAS + ENVELOPE}, envelope]}


def _standing_alone() -> Iterator[tuple[str, Schema]]:
    for name in (ENVELOPE, *EVENTS):
        yield name, schema_of(name)
    for model in (EventHeaders, DeadLetterHeaders):
        is_dead_letter = model is DeadLetterHeaders
        examples = [
            example.document["headers"]
            for example in load_examples()
            if (example.event == ORIGINAL) is is_dead_letter and example.document["headers"]
        ]
        yield model.__name__, annotated(_described(model), examples[:1])


def _described(headers: type[WireModel]) -> Schema:
    schema = headers.model_json_schema(schema_generator=WireJsonSchema)
    return {"title": headers.__name__, "description": inspect.getdoc(headers), **schema}


def _referring(node: Any) -> Any:  # noqa: ANN401 - JSON
    """Refer to components; in draft 7 what stands beside a `$ref` would be ignored."""
    if isinstance(node, list):
        return [_referring(part) for part in node]
    if not isinstance(node, dict):
        return node
    if "$ref" not in node:
        return {keyword: _referring(value) for keyword, value in node.items()}
    reference = {"$ref": node["$ref"].replace("#/$defs/", _SCHEMAS)}
    beside = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
    return {"allOf": [reference], **beside} if beside else reference
