"""Bytes to documents, and what is wrong with them in words that quote nothing of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from llm_worker.domain.errors import UnreadableError

if TYPE_CHECKING:
    from pydantic import ValidationError

_FAULTS_SHOWN = 5


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


def faults_in_words(error: ValidationError) -> str:
    """Name the first fields at fault, and what is wrong with each."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'the envelope'}: "
        f"{fault['msg'].removeprefix('Value error, ')}"
        for fault in faults[:_FAULTS_SHOWN]
    )
