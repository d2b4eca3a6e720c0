"""The ordered gate: what may be acked, and so committed, partition by partition."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

HeldT = TypeVar("HeldT")

Place = tuple[str, int]
"""A topic and a partition."""


@dataclass(slots=True)
class _Entry(Generic[HeldT]):
    offset: int
    held: HeldT
    is_done: bool = False


@dataclass(slots=True)
class _Queue(Generic[HeldT]):
    generation: int
    next_offset: int
    entries: deque[_Entry[HeldT]] = field(default_factory=deque)


class OrderedGate(Generic[HeldT]):
    """Lets what is done pass in offset order, per partition and group generation.

    A partition's queue belongs to one generation; what an older one left behind is forgotten
    when the partition is pulled again, since its records come again.
    """

    def __init__(self) -> None:
        self._queues: dict[Place, _Queue[HeldT]] = {}
        self._entries: dict[tuple[Place, int, int], _Entry[HeldT]] = {}

    def add(self, place: Place, generation: int, offset: int, held: HeldT) -> list[HeldT] | None:
        """Enter a record, in the order in which its partition was pulled.

        Gives what another generation had left behind, and is forgotten. None: the record has been
        here in this generation; it came twice, and is taken once.
        """
        queue, forgotten = self._queues.get(place), list[HeldT]()
        if queue is None or queue.generation != generation:
            forgotten = self.forget(place)
            queue = self._queues[place] = _Queue(generation, offset)
        if offset < queue.next_offset:
            return None
        entry = _Entry(offset, held)
        queue.entries.append(entry)
        queue.next_offset = offset + 1
        self._entries[place, generation, offset] = entry
        return forgotten

    def finish(self, place: Place, generation: int, offset: int) -> list[HeldT]:
        """Mark a record done; give, in order, everything that may pass now."""
        entry = self._entries.get((place, generation, offset))
        if entry is None:
            return []
        entry.is_done = True
        entries = self._queues[place].entries
        passed = []
        while entries and entries[0].is_done:
            head = entries.popleft()
            del self._entries[place, generation, head.offset]
            passed.append(head.held)
        return passed

    def forget(self, place: Place) -> list[HeldT]:
        """Drop a partition that was taken away; give what had not passed."""
        queue = self._queues.pop(place, None)
        if queue is None:
            return []
        for entry in queue.entries:
            del self._entries[place, queue.generation, entry.offset]
        return [entry.held for entry in queue.entries]

    def next_offset(self, place: Place) -> int | None:
        """Give the offset after the last one pulled; None before the first."""
        queue = self._queues.get(place)
        return None if queue is None else queue.next_offset

    def places(self) -> list[Place]:
        """Every partition that has a queue."""
        return list(self._queues)

    def heads(self) -> list[HeldT]:
        """Give what each partition waits for."""
        return [queue.entries[0].held for queue in self._queues.values() if queue.entries]

    def depth(self) -> int:
        """Count what has not passed."""
        return len(self._entries)
