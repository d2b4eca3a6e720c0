"""The fields of an event as a table has them: nested ones by their path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llm_worker.contracts.documents.compatibility import UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_worker.contracts.documents.compatibility import Schema

_FORMATS: Final = {"uuid": "UUID", "date-time": "time"}
_LIMITS: Final = {
    "minimum": "{} or more",
    "exclusiveMinimum": "more than {}",
    "maximum": "{} or less",
    "minLength": "{} characters or more",
    "maxLength": "up to {} characters",
    "pattern": "matches `{}`",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRow:
    """One field. `path` has a `*` for any key; `values` is empty where the list is not closed."""

    path: str
    type: str
    is_required: bool
    unit: str
    limits: tuple[str, ...]
    values: tuple[Any, ...]
    meaning: str
    example: Any


def rows_of(schema: Schema) -> list[FieldRow]:
    """Give every field of an event, each before those inside it."""
    return list(_rows("", schema, schema.get("$defs", {})))


def _rows(prefix: str, schema: Schema, definitions: dict[str, Schema]) -> Iterator[FieldRow]:
    for name, field in schema.get("properties", {}).items():
        options = list(_options(field, definitions))
        main = options[0]
        yield FieldRow(
            path=prefix + name,
            type=" or ".join(dict.fromkeys(map(_type, options))),
            is_required=name in schema.get("required", ()),
            unit=field.get(UNIT) or _inside(main).get(UNIT, ""),
            limits=tuple(_limits(main)),
            values=tuple(main.get("enum", ())),
            meaning=field.get("description", ""),
            example=next(iter(field.get("examples", ())), None),
        )
        yield from _rows(f"{prefix}{name}.", main, definitions)
        for each in _options(_inside(main), definitions):
            yield from _rows(f"{prefix}{name}.*.", each, definitions)


def _limits(schema: Schema) -> Iterator[str]:
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    if lowest is not None and highest is not None:
        yield str(lowest) if lowest == highest else f"{lowest} to {highest}"
        schema = {k: v for k, v in schema.items() if k not in {"minimum", "maximum"}}
    if schema.get("minLength") == 1:
        yield "not empty"
        schema = {k: v for k, v in schema.items() if k != "minLength"}
    yield from (text.format(schema[k]) for k, text in _LIMITS.items() if k in schema)


def _options(field: Schema, definitions: dict[str, Schema]) -> Iterator[Schema]:
    """Give what a field may be, one by one, each with what its definition says."""
    if "anyOf" in field:
        for option in field["anyOf"]:
            yield from _options(option, definitions)
    elif "$ref" in field:
        yield definitions[field["$ref"].removeprefix("#/$defs/")]
    else:
        yield field


def _inside(schema: Schema) -> Schema:
    """Describe what an object holds under any key, or a list holds."""
    inside = schema.get("additionalProperties", schema.get("items", {}))
    return inside if isinstance(inside, dict) else {}


def _type(option: Schema) -> str:
    if option.get("type") == "array":
        return f"list of {_type(_inside(option))}"
    kind: str = option.get("type", "any")
    return _FORMATS.get(option.get("format", ""), kind)
