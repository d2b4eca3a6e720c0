"""From settings to the hard limits of spend."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from llm_worker.adapters.cache.budget import HardBudget
from llm_worker.adapters.cache.budget_sums import NoSums, RedisSums
from llm_worker.adapters.cache.seeding import Seeding

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_worker.adapters.cache.budget_sums import Sums
    from llm_worker.bootstrap.worker.parts import WorkerParts
    from llm_worker.settings import Settings

_NOTED_WITHIN_S: Final = 60.0
"""Before and after a call: to note and announce it, and until Redis hears of its end."""


def build_budget(
    settings: Settings, parts: WorkerParts, *, share: Callable[[], float]
) -> HardBudget:
    """Wire the hard limits. Nothing is opened before the first attempt.

    Args:
        settings: Those of the cache.
        parts: The way to Redis, the prices, the limits, and what was spent.
        share: Gives this process's part, 0..1, of what it may spend without asking Redis.
    """
    memory, providers, spending = parts.memory, parts.providers, parts.spending
    sums: Sums = NoSums()
    if memory.link is not None and memory.outbox is not None:
        longest_s = max((each.timeout_s for each in providers.values()), default=0.0)
        sums = RedisSums(
            memory.link,
            memory.outbox,
            key_prefix=settings.cache.key_prefix,
            lifetime_s=longest_s + _NOTED_WITHIN_S,
        )
    return HardBudget(
        budgets=spending.budgets,
        spend=spending.feed.view,
        clock=parts.clock,
        providers=providers,
        sums=sums,
        seeding=Seeding(
            sums,
            spending.known_spend,
            parts.clock,
            on_fault=partial(parts.telemetry.faulted, None),
        ),
        share=share,
        observer=parts.metrics,
    )
