"""What a JSON Schema tells beside what is allowed: titles, and examples from the golden records."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from llm_worker.contracts.documents.compatibility import Schema

_MOST_EXAMPLES: Final = 2
_UPPER_CASE: Final = re.compile(r"\b(id|uri|usd|sha256)\b")


class WireJsonSchema(GenerateJsonSchema):
    """Leaves the fields' titles to `annotated`: pydantic gives none to those with a `$ref`."""

    @override
    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def annotated(schema: Schema, examples: Sequence[dict[str, Any]]) -> Schema:
    """Give every field its title and, where the examples have them, values; changes `schema`."""
    schema["examples"] = list(examples)
    _annotate(schema, examples, schema.get("$defs", {}))
    return schema


def _annotate(schema: Schema, values: Sequence[Any], definitions: dict[str, Schema]) -> None:
    """Go through a schema and the values that stand at its place in the examples."""
    for name, field in schema.get("properties", {}).items():
        found = [value[name] for value in values if isinstance(value, dict) and name in value]
        field.setdefault("title", _title(name))
        if distinct := _distinct(found):
            field.setdefault("examples", distinct)
        for part, inner in _parts(field, found, definitions):
            _annotate(part, inner, definitions)


def _parts(
    field: Schema, values: Sequence[Any], definitions: dict[str, Schema]
) -> Iterator[tuple[Schema, Sequence[Any]]]:
    """Give the models that a field may hold, itself or by name, with their values."""
    if "$ref" in field:
        yield definitions[field["$ref"].removeprefix("#/$defs/")], values
    for option in field.get("anyOf", ()):
        yield from _parts(option, values, definitions)
    if isinstance(each := field.get("additionalProperties"), dict):
        inside = [item for value in values if isinstance(value, dict) for item in value.values()]
        yield from _parts(each, inside, definitions)


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value is not None and value not in found:
            found.append(value)
    return found[:_MOST_EXAMPLES]


def _title(name: str) -> str:
    """Write a field's name out: `request_id` is Request ID."""
    words = name.replace("_", " ")
    words = _UPPER_CASE.sub(lambda found: found[0].upper(), words)
    return words[0].upper() + words[1:]
