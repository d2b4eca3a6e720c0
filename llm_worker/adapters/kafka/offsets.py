"""The ordered gate: what may be acked, and so committed, partition by partition."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

HeldT = TypeVar("HeldT")

Place = tuple[str, int]
"""A topic and a partition."""


@dataclass(slots=True)
class _Entry(Generic[HeldT]):
    offset: int
    held: HeldT
    is_done: bool = False


class OrderedGate(Generic[HeldT]):
    """Lets what is done pass in offset order, per partition and group generation.

    A partition's queue belongs to one generation; what an older one left behind is forgotten
    when the partition is pulled again, since its records come again.
    """

    def __init__(self) -> None:
        self._queues: dict[Place, tuple[int, deque[_Entry[HeldT]]]] = {}
        self._entries: dict[tuple[Place, int, int], _Entry[HeldT]] = {}

    def add(self, place: Place, generation: int, offset: int, held: HeldT) -> None:
        """Enter a record, in the order in which its partition was pulled."""
        known = self._queues.get(place)
        if known is None or known[0] != generation:
            self.forget(place)
            known = self._queues[place] = (generation, deque())
        entry = _Entry(offset, held)
        known[1].append(entry)
        self._entries[place, generation, offset] = entry

    def finish(self, place: Place, generation: int, offset: int) -> list[HeldT]:
        """Mark a record done; give, in order, everything that may pass now."""
        entry = self._entries.get((place, generation, offset))
        if entry is None:
            return []
        entry.is_done = True
        queue = self._queues[place][1]
        passed = []
        while queue and queue[0].is_done:
            head = queue.popleft()
            del self._entries[place, generation, head.offset]
            passed.append(head.held)
        return passed

    def forget(self, place: Place) -> list[HeldT]:
        """Drop a partition that was taken away; give what had not passed."""
        generation, queue = self._queues.pop(place, (0, deque()))
        for entry in queue:
            del self._entries[place, generation, entry.offset]
        return [entry.held for entry in queue]

    def places(self) -> list[Place]:
        """Every partition that has a queue."""
        return list(self._queues)

    def heads(self) -> list[HeldT]:
        """Give what each partition waits for."""
        return [queue[0].held for _, queue in self._queues.values() if queue]

    def depth(self) -> int:
        """Count what has not passed."""
        return len(self._entries)
