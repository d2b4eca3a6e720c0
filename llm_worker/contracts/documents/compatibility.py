"""Which changes of a JSON Schema break the other side of the wire.

Compares schemas as pydantic writes them (draft 2020-12, references into `$defs`, no recursive
models). A keyword that is not understood here counts as breaking whenever it changes: better that
a person looks once too often.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]


class Direction(StrEnum):
    """Which way an event travels, seen from this product."""

    CONSUMED = "consumed"
    """We read it: all that could be sent under the released schema must still be accepted."""

    PRODUCED = "produced"
    """We write it: readers of the released schema, who ignore unknown fields, must cope with it."""

    BOTH = "both"
    """We write it, and also read what earlier versions wrote."""


def breaking_changes(released: Schema, current: Schema, *, direction: Direction) -> list[str]:
    """Say in words what in `current` breaks those who rely on `released`; empty when nothing does.

    An added field never breaks a reader, and a sender only when it is required: what a sender may
    already be sending under that name is not considered. A removed field breaks both: a sender's
    wish would be ignored in silence.
    """
    changes = _changes("", _inlined(released), _inlined(current))
    return list(dict.fromkeys(change.words for change in changes if direction in change.breaks))


class _Change(NamedTuple):
    words: str
    breaks: frozenset[Direction]


_NARROWS = frozenset({Direction.CONSUMED, Direction.BOTH})
_WIDENS = frozenset({Direction.PRODUCED, Direction.BOTH})
_ALWAYS = _NARROWS | _WIDENS

UNIT = "x-unit"
"""Keyword of ours: what a number counts."""

_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
_LOWER_BOUNDS = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_UPPER_BOUNDS = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
_ANNOTATIONS = {"$schema", "$id", "$comment", "title", "description", "examples", "deprecated"}
_COMPARED_ELSEWHERE = {"type", "properties", "required", "enum", "const", "default"}
_SUBSCHEMAS = {"items": "[]", "additionalProperties": ".*"}


def _changes(path: str, released: Schema, current: Schema) -> Iterator[_Change]:
    old, new = _by_type(released), _by_type(current)
    yield from _type_changes(path, old, new)
    for kind, branch in old.items():
        counterpart = new.get(
            kind, new.get({"integer": "number", "number": "integer"}.get(kind, ""))
        )
        if counterpart is not None:
            yield from _field_changes(path, branch, counterpart)
            yield from _value_changes(path, branch, counterpart)
            yield from _keyword_changes(path, branch, counterpart)


def _type_changes(path: str, old: dict[str, Schema], new: dict[str, Schema]) -> Iterator[_Change]:
    lost = {kind for kind in old if kind not in new and not (kind == "integer" and "number" in new)}
    gained = {
        kind for kind in new if kind not in old and not (kind == "integer" and "number" in old)
    }
    if lost or gained:
        breaks = (_NARROWS if lost else frozenset()) | (_WIDENS if gained else frozenset())
        yield _Change(f"{_named(path)}: type {_types(old)} -> {_types(new)}", breaks)


def _field_changes(path: str, old: Schema, new: Schema) -> Iterator[_Change]:
    before, after = old.get("properties", {}), new.get("properties", {})
    was_required, is_required = set(old.get("required", ())), set(new.get("required", ()))
    for name in before:
        field = f"{path}.{name}".removeprefix(".")
        if name not in after:
            yield _Change(f"{field} was removed", _ALWAYS)
            continue
        if name in is_required - was_required:
            yield _Change(f"{field} became required", _NARROWS)
        if name in was_required - is_required:
            yield _Change(f"{field} became optional", _WIDENS)
        yield from _changes(field, before[name], after[name])
    for name in after:
        if name not in before and name in is_required:
            yield _Change(f"{path}.{name} is new and required".removeprefix("."), _NARROWS)


def _value_changes(path: str, old: Schema, new: Schema) -> Iterator[_Change]:
    before, after = _values(old), _values(new)
    if before is None and after is not None:
        yield _Change(f"{_named(path)} allows only {after} now", _NARROWS)
    elif before is not None and after is None:
        yield _Change(f"{_named(path)} allows more than {before} now", _WIDENS)
    elif before is not None and after is not None:
        lost = [value for value in before if value not in after]
        gained = [value for value in after if value not in before]
        yield from (_Change(f"{_named(path)} lost the value {v!r}", _NARROWS) for v in lost)
        yield from (_Change(f"{_named(path)} gained the value {v!r}", _WIDENS) for v in gained)
    # Who leaves the field out relies on its default: the meaning of what is sent has changed.
    if "default" in old and "default" in new and old["default"] != new["default"]:
        yield _Change(f"{_named(path)}: default {old['default']!r} -> {new['default']!r}", _NARROWS)


def _keyword_changes(path: str, old: Schema, new: Schema) -> Iterator[_Change]:
    for keyword in sorted((old.keys() | new.keys()) - _ANNOTATIONS - _COMPARED_ELSEWHERE):
        if keyword in _SUBSCHEMAS:
            inner = f"{path}{_SUBSCHEMAS[keyword]}".removeprefix(".")
            yield from _changes(inner, _subschema(old, keyword), _subschema(new, keyword))
            continue
        before, after = old.get(keyword), new.get(keyword)
        if keyword == UNIT and None in (before, after):
            continue  # the same number, told better or worse; another unit is another number
        if before != after:
            words = f"{_named(path)}: {keyword} {_shown(before)} -> {_shown(after)}"
            yield _Change(words, _effect(keyword, before, after))


def _effect(keyword: str, before: Any, after: Any) -> frozenset[Direction]:  # noqa: ANN401 - JSON
    """Tell what a changed restriction does; None is its absence."""
    if before is None:
        return _NARROWS
    if after is None:
        return _WIDENS
    if keyword in _LOWER_BOUNDS:
        return _NARROWS if after > before else _WIDENS
    if keyword in _UPPER_BOUNDS:
        return _NARROWS if after < before else _WIDENS
    return _ALWAYS


def _by_type(schema: Schema) -> dict[str, Schema]:
    """Split a schema into what it allows of each JSON type; two of one type go by position."""
    union = next((keyword for keyword in ("anyOf", "oneOf") if keyword in schema), None)
    if union is None:
        types = schema.get("type", _TYPES)
        return dict.fromkeys([types] if isinstance(types, str) else types, schema)
    shared = {keyword: value for keyword, value in schema.items() if keyword != union}
    branches: dict[str, Schema] = {}
    for option in schema[union]:
        for kind, branch in _by_type(option).items():
            again = sum(taken.split(" ")[0] == kind for taken in branches)
            branches[f"{kind} {again + 1}" if again else kind] = branch | shared
    return branches


def _subschema(schema: Schema, keyword: str) -> Schema:
    subschema = schema.get(keyword, True)
    if isinstance(subschema, bool):
        return {} if subschema else {"type": []}
    return cast("Schema", subschema)


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _inlined(schema: Schema) -> Schema:
    """Put what each `$ref` means in its place."""
    definitions = schema.get("$defs", {})

    def inline(node: object) -> object:
        if isinstance(node, list):
            return [inline(part) for part in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            beside = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
            return inline(definitions[node["$ref"].removeprefix("#/$defs/")] | beside)
        return {keyword: inline(value) for keyword, value in node.items() if keyword != "$defs"}

    return cast("Schema", inline(schema))


def _named(path: str) -> str:
    return path or "the event"


def _types(branches: dict[str, Schema]) -> str:
    return "any" if set(_TYPES) <= branches.keys() else " or ".join(branches) or "nothing"


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
