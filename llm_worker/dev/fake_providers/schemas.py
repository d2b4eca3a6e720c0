"""Which JSON schemas an API takes for structured output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNSUPPORTED: Final = frozenset(
    {"minimum", "maximum", "multipleOf", "minLength", "maxLength", "pattern", "maxItems"}
)
"""Refused by Anthropic and, in strict mode, by OpenAI's rules as this project reads them."""


def schema_fault(schema: Mapping[str, Any], *, all_required: bool) -> str | None:
    """Say what is wrong with a schema, or with a part of it; None: nothing."""
    for part in _parts(schema):
        if unsupported := UNSUPPORTED & part.keys():
            return f"property '{min(unsupported)}' is not supported"
        if part.get("type") != "object":
            continue
        if part.get("additionalProperties") is not False:
            return "'additionalProperties' is required to be supplied and to be false"
        if all_required and set(part.get("required", ())) != part.get("properties", {}).keys():
            return "'required' is required to be supplied and to name every key in properties"
    return None


def _parts(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield schema
    below = [*schema.get("anyOf", ()), schema.get("items")]
    for named in ("properties", "$defs"):
        below.extend(schema.get(named, {}).values())
    for part in below:
        if isinstance(part, dict):
            yield from _parts(part)
