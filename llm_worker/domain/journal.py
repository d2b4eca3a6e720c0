"""The ids of a partition's events: which are new, and which stand there once more."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llm_worker.domain.spend import entry_of

if TYPE_CHECKING:
    from uuid import UUID

    from llm_worker.contracts.envelope import EventEnvelope
    from llm_worker.domain.delivery import PlacedRecord
    from llm_worker.domain.spend import Entry

_MARKS: Final = 100
"""Parts of the horizon in which ids are forgotten."""
_PROVISIONAL_AT_MOST: Final = 10_000
_BUCKETS: Final = 1 << 12
_ID_BYTES: Final = 16
_BYTES: Final = _ID_BYTES + 8
"""Of an id and its offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An event and where it lies: its offset, and the record's time in milliseconds."""

    offset: int
    at_ms: int
    entry: Entry


def placed_entry(record: PlacedRecord, event: EventEnvelope[Any]) -> Placed | None:
    """Give what an event adds to the accounts, at its place; None where it adds nothing."""
    entry = entry_of(event)
    if entry is None:
        return None
    return Placed(offset=record.offset, at_ms=record.at_ms, entry=entry)


class SeenIds:
    """The ids of one partition within a horizon, noted in the order of their offsets.

    As bytes, found by a scan of one bucket: a day may have millions, and as objects in a dict each
    takes 200 bytes.

    Args:
        horizon_ms: How much older than the newest record one may be and still be known.
    """

    def __init__(self, horizon_ms: int) -> None:
        self._horizon_ms = horizon_ms
        self._buckets: defaultdict[int, bytearray] = defaultdict(bytearray)
        # Not every record's time, but enough of them to forget in good time.
        self._marks: deque[tuple[int, int]] = deque()

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values())) // _BYTES

    def note(self, event_id: UUID, offset: int, at_ms: int) -> int:
        """Remember an id, and give the lowest offset that has it."""
        if not self._marks or at_ms >= self._marks[-1][0] + self._horizon_ms // _MARKS:
            self._marks.append((at_ms, offset))
            while len(self._marks) > 1 and self._marks[1][0] <= at_ms - self._horizon_ms:
                self._marks.popleft()
                self._forget_below(self._marks[0][1])
        bucket, wanted = self._buckets[event_id.int % _BUCKETS], event_id.bytes
        at = bucket.find(wanted)
        while at > 0 and at % _BYTES:  # across the edge of two
            at = bucket.find(wanted, at + 1)
        if at >= 0:
            return _offset_at(bucket, at)
        bucket += wanted + offset.to_bytes(_BYTES - _ID_BYTES)
        return offset

    def _forget_below(self, offset: int) -> None:
        for number, bucket in list(self._buckets.items()):
            end = 0
            while end < len(bucket) and _offset_at(bucket, end) < offset:
                end += _BYTES
            del bucket[:end]
            if not bucket:
                del self._buckets[number]


def _offset_at(bucket: bytearray, at: int) -> int:
    return int.from_bytes(bucket[at + _ID_BYTES : at + _BYTES])


@dataclass(slots=True)
class _Provisional:
    offset: int
    entry: Entry
    replaced_at: int | None = None


class Journal:
    """What the events of one partition add, each once; those that come again may be noted again."""

    def __init__(self, horizon_ms: int) -> None:
        self._seen = SeenIds(horizon_ms)
        self._provisional: dict[UUID, _Provisional] = {}

    def note(self, placed: Placed) -> tuple[Entry, ...] | None:
        """Give what the event replaces; None: its id is known, and it adds nothing."""
        entry, offset = placed.entry, placed.offset
        first = self._seen.note(entry.event_id, offset, placed.at_ms)
        if first == offset:
            self._keep_if_provisional(placed)
            return ()
        provisional = self._provisional.get(entry.event_id)
        if provisional is None or entry.is_provisional:
            return None
        if provisional.replaced_at is None:
            provisional.replaced_at = offset
        return (provisional.entry,) if provisional.replaced_at == offset else None

    def _keep_if_provisional(self, placed: Placed) -> None:
        event_id = placed.entry.event_id
        known = self._provisional.get(event_id)
        if known is not None and known.offset != placed.offset:
            del self._provisional[event_id]  # its id was forgotten: nothing replaces it any more
        if not placed.entry.is_provisional:
            return
        self._provisional.setdefault(event_id, _Provisional(placed.offset, placed.entry))
        if len(self._provisional) > _PROVISIONAL_AT_MOST:
            del self._provisional[next(iter(self._provisional))]
