"""The ids of a partition's events: which are new, and which stand there once more."""

from __future__ import annotations

from collections import deque
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

    Args:
        horizon_ms: How much older than the newest record one may be and still be known.
    """

    def __init__(self, horizon_ms: int) -> None:
        self._horizon_ms = horizon_ms
        self._offsets: dict[UUID, int] = {}
        # Not every record's time, but enough of them to forget in good time.
        self._marks: deque[tuple[int, int]] = deque()

    def __len__(self) -> int:
        return len(self._offsets)

    def note(self, event_id: UUID, offset: int, at_ms: int) -> int:
        """Remember an id, and give the lowest offset that has it."""
        if not self._marks or at_ms >= self._marks[-1][0] + self._horizon_ms // _MARKS:
            self._marks.append((at_ms, offset))
            while len(self._marks) > 1 and self._marks[1][0] <= at_ms - self._horizon_ms:
                self._marks.popleft()
                self._forget_below(self._marks[0][1])
        return self._offsets.setdefault(event_id, offset)

    def _forget_below(self, offset: int) -> None:
        while self._offsets:
            event_id = next(iter(self._offsets))
            if self._offsets[event_id] >= offset:
                return
            del self._offsets[event_id]


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
