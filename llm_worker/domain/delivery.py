"""Records in, records out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llm_worker.contracts.vocabulary import Lane

Header = tuple[str, bytes | None]
"""Name and value; Kafka allows a null value, and a name more than once."""


def size_of(key: bytes | None, value: bytes | None, headers: Iterable[Header]) -> int:
    """Count the bytes that a record holds, wherever in it they are."""
    return sum(
        (len(key or b""), len(value or b""), *(len(name) + len(it or b"") for name, it in headers))
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PulledRecord:
    """One record as it lies on its topic; two pulls of it are two, compared by identity."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]

    @property
    def size_bytes(self) -> int:
        """Bytes of key, value and headers."""
        return size_of(self.key, self.value, self.headers)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlacedRecord(PulledRecord):
    """A record with its own time, in milliseconds since 1970.

    `generation` is the consumer group's at the pull; 0 where no group pulled it.
    """

    at_ms: int
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delivery(PulledRecord):
    """One record of a request topic, in the hands of one worker.

    `generation` is the consumer group's at the pull; `received_s` is monotonic.
    """

    lane: Lane
    generation: int
    received_s: float

    @property
    def record_id(self) -> str:
        """Name the record; deliveries of the same one share it."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    def header(self, name: str) -> bytes | None:
        """Give the first header of that name; None when it is absent or null."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record to publish. `is_own` says that its topic stands in topics.yaml."""

    topic: str
    key: bytes
    value: bytes | None
    headers: tuple[Header, ...]
    is_own: bool = True

    @property
    def size_bytes(self) -> int:
        """Bytes of key, value and headers."""
        return size_of(self.key, self.value, self.headers)
