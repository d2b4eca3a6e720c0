"""The caller's W3C trace context, out of a request's envelope or its record's headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_worker.domain.delivery import Delivery

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_MEMBER: Final = re.compile(
    r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_LONGEST_STATE: Final = 512
_MOST_MEMBERS: Final = 32


def trace_of(metadata: object, delivery: Delivery) -> dict[str, str]:
    """Give `traceparent` and, where it is a sound one, `tracestate`; empty without a trace.

    The envelope's metadata is asked first: a relay between the caller and us may have written
    headers of its own. Both values come from the same place.
    """
    said = metadata if isinstance(metadata, dict) else {}
    return _sound(said.get) or _sound(lambda name: _text(delivery.header(name)))


def _sound(value_of: Callable[[str], object]) -> dict[str, str]:
    parent = value_of("traceparent")
    if not isinstance(parent, str) or not _TRACEPARENT.fullmatch(parent):
        return {}
    state = value_of("tracestate")
    if not isinstance(state, str) or not _is_state(state):
        return {"traceparent": parent}
    return {"traceparent": parent, "tracestate": state}


def _text(header: bytes | None) -> str | None:
    return header.decode("ascii", errors="replace") if header else None


def _is_state(state: str) -> bool:
    """Say whether it is a list of members by the standard, and short enough to be handed on."""
    if not state or len(state) > _LONGEST_STATE:
        return False
    members = [member for each in state.split(",") if (member := each.strip(" \t"))]
    return 0 < len(members) <= _MOST_MEMBERS and all(map(_MEMBER.fullmatch, members))
