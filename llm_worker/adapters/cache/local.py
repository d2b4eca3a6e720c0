"""What this process remembers of requests: their data's hash, and their events."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from llm_worker.application.ports import KnownOutcome

if TYPE_CHECKING:
    from uuid import UUID

    from llm_worker.domain.delivery import Record

_ENTRY_BYTES = 1_000
"""What an entry's own objects take, beside its records; measured, rounded up."""


class LocalOutcomes:
    """A bounded memory of outcomes: the least recently used go first.

    It answers what comes again to this process. Another process, or this one after a restart, does
    not know it: that takes a shared store.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._known: OrderedDict[UUID, tuple[KnownOutcome, int]] = OrderedDict()

    @property
    def size_bytes(self) -> int:
        """Bytes held, about."""
        return self._size_bytes

    async def find(self, request_id: UUID) -> KnownOutcome | None:
        """Tell what is known of the request."""
        found = self._known.get(request_id)
        if found is None:
            return None
        self._known.move_to_end(request_id)
        return found[0]

    async def keep(
        self, request_id: UUID, data_hash: bytes, records: tuple[Record, ...] | None
    ) -> None:
        """Remember the request, and its events once they are rendered."""
        self._drop(request_id)
        size = _ENTRY_BYTES + sum(len(record.value or b"") for record in records or ())
        self._known[request_id] = (KnownOutcome(data_hash=data_hash, records=records), size)
        self._size_bytes += size
        while self._size_bytes > self._max_bytes and self._known:
            self._drop(next(iter(self._known)))

    def _drop(self, request_id: UUID) -> None:
        _, size = self._known.pop(request_id, (None, 0))
        self._size_bytes -= size
