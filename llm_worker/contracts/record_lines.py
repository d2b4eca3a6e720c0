"""Records as JSON, one a line: `topic`, `key`, `headers`, `value`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ConfigDict, Field

from llm_worker.contracts.envelope import WireModel


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRecord:
    """A record as it lies on its topic; `topic` is the name on the broker."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class _Line(WireModel):
    model_config = ConfigDict(strict=True)

    topic: str = ""
    key: str | None = None
    headers: dict[str, str | None] = Field(default_factory=dict)
    value: Any = None


def read_record(line: bytes | str) -> WireRecord:
    """Read a record; a value that is text is taken as it is, anything else as its JSON.

    Raises JSONDecodeError or ValidationError where it is none, and JSONEncodeError where its value
    is nested too deeply.
    """
    said = _Line.model_validate(orjson.loads(line))
    value = said.value if said.value is None or isinstance(said.value, str) else _json(said.value)
    return WireRecord(
        topic=said.topic,
        key=_bytes(said.key),
        value=_bytes(value),
        headers=tuple((name, _bytes(text)) for name, text in said.headers.items()),
    )


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
