"""A memory bounded by entries, bytes and age: the least recently used go first."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_worker.application.ports import Clock

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Lru(Generic[_Key, _Value]):
    """Keeps what was used last. Sizes are what the caller says, in bytes; ages are in seconds."""

    def __init__(
        self,
        *,
        max_bytes: int,
        clock: Clock,
        max_entries: float = math.inf,
        ttl_s: float = math.inf,
        on_evict: Callable[[], None] = lambda: None,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._ttl_s = ttl_s
        self._clock = clock
        self._on_evict = on_evict
        self._entries: OrderedDict[_Key, tuple[_Value, int, float]] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: _Key) -> _Value | None:
        """Give what is kept and not too old, and count it as used."""
        found = self._entries.get(key)
        if found is None:
            return None
        value, _, kept_s = found
        if self._clock.monotonic() - kept_s >= self._ttl_s:
            self.drop(key)
            return None
        self._entries.move_to_end(key)
        return value

    def keep(self, key: _Key, value: _Value, size_bytes: int) -> None:
        """Keep a value; what is larger than the whole memory is not kept."""
        self.drop(key)
        if size_bytes > self._max_bytes:
            return
        self._entries[key] = (value, size_bytes, self._clock.monotonic())
        self.size_bytes += size_bytes
        while self.size_bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self.drop(next(iter(self._entries)))
            self._on_evict()

    def drop(self, key: _Key) -> None:
        """Forget a value."""
        _, size_bytes, _ = self._entries.pop(key, (None, 0, 0.0))
        self.size_bytes -= size_bytes
