"""After Redis was flushed: what was spent is told to it again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from llm_worker.adapters.cache.link import CacheAwayError
from llm_worker.domain.spend import day_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from decimal import Decimal

    from llm_worker.adapters.cache.budget_sums import Sums
    from llm_worker.application.ports import Clock
    from llm_worker.domain.local_budget import Place

    KnownSpend = Callable[[], Awaitable[Mapping[Place, Decimal]]]
    """Gives what was spent by all, to the last event; may take its time, and fail."""

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0


class Seeding:
    """Seeds once at a time, in the background, until it succeeds.

    Args:
        sums: What is seeded.
        known_spend: Where from.
        clock: Says which day it is.
        on_fault: Is told why it failed.
    """

    def __init__(
        self,
        sums: Sums,
        known_spend: KnownSpend,
        clock: Clock,
        *,
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._sums = sums
        self._known_spend = known_spend
        self._clock = clock
        self._on_fault = on_fault
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, unless it is under way."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._seed())  # noqa: TID251 -- owned by this object, which cancels it

    async def aclose(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _seed(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not await self._is_seeded():
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _is_seeded(self) -> bool:
        try:
            spent = await self._known_spend()
            await self._sums.seed(spent, day_of(self._clock.now()))
        except CacheAwayError:
            return False
        except Exception as error:  # noqa: BLE001 - it is told, and tried again
            self._on_fault(error)
            return False
        return True
