"""Where `cache warm` puts what it finds, and how it counts it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llm_worker.adapters.cache.inventory import Inventory
    from llm_worker.domain.cached import CachedVerdict

_AT_ONCE: Final = 200


class Shelf:
    """Puts verdicts into Redis, many at once; `flush` after the last one."""

    def __init__(self, inventory: Inventory, *, ttl_s: float) -> None:
        self.kept = 0
        self.already_there = 0
        self.skipped: Final[Counter[str]] = Counter()
        """How often for which reason."""
        self._inventory = inventory
        self._ttl_s = ttl_s
        self._waiting: list[tuple[str, CachedVerdict]] = []

    async def keep(self, fingerprint: str, verdict: CachedVerdict) -> None:
        """Keep a verdict, soon, unless there is one."""
        self._waiting.append((fingerprint, verdict))
        if len(self._waiting) >= _AT_ONCE:
            await self.flush()

    async def flush(self) -> None:
        """Keep what waits."""
        waiting, self._waiting = self._waiting, []
        kept = await self._inventory.keep(waiting, ttl_s=self._ttl_s)
        self.kept += kept
        self.already_there += len(waiting) - kept
