"""Bytes to documents."""

from __future__ import annotations

import orjson

from llm_worker.domain.errors import UnreadableError


def required(value: bytes | None) -> bytes:
    """Give a record's value. Raises UnreadableError where it has none."""
    if value is None:
        raise UnreadableError("the record has no value; send the event as UTF-8 JSON")
    return value


def parsed(value: bytes | None) -> object:
    """Read a record's value. Raises UnreadableError where it is no JSON."""
    try:
        return orjson.loads(required(value))
    except orjson.JSONDecodeError as error:
        # The decoder's own message quotes nothing of the document but a position.
        raise UnreadableError(
            f"the value is not UTF-8 JSON ({error.msg}); send a JSON object"
        ) from None
