"""Whatever happens in whatever order, what was granted stays within the limit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.adapters.cache.connect import RedisAddress
from llm_worker.application.ports import BudgetBusyError
from llm_worker.domain.errors import OverBudgetError
from tests.support.budgets import DAY, Worker, budget_on, cost, daily

if TYPE_CHECKING:
    from llm_worker.dev.cache import EmbeddedCache
    from llm_worker.domain.outcome import Attempt

_LIMIT_USD = 3
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "settle", "release", "unknown", "expire", "seed"]),
        st.integers(0, 1),
        st.integers(0, 9),
        st.sampled_from(["0", "0.1", "0.5", "0.999999999", "1"]),
    ),
    max_size=25,
)


@dataclass
class _Run:
    workers: list[Worker]
    open: list[tuple[Worker, Attempt]] = field(default_factory=list)
    paid: Decimal = Decimal(0)

    async def step(self, what: str, who: int, which: int, usd: str) -> None:
        worker = self.workers[who]
        if what == "reserve":
            worker.clock.advance(1)
            try:
                self.open.append((worker, await worker.reserved()))
            except (OverBudgetError, BudgetBusyError):
                return
        elif what == "seed":
            await worker.sums.seed({}, DAY)
        elif self.open:
            await self._end(what, which, usd)

    async def _end(self, what: str, which: int, usd: str) -> None:
        owner, made = self.open.pop(which % len(self.open))
        if what == "expire":
            key = f"{owner.prefix}{{budget}}:expiries"
            await owner.ask("ZADD", key, 0, made.attempt_id.bytes)
            usd = "1"
        billing = {"settle": cost(usd), "release": None, "unknown": cost(None)}
        if what != "expire":
            owner.budget.settle(made, billing[what])
            await owner.sent()
        self.paid += {"release": Decimal(0), "settle": Decimal(usd)}.get(what, Decimal(1))

    async def check(self) -> None:
        key = f"{self.workers[0].prefix}{{budget}}:{DAY}"
        spent, held = [
            Decimal(int(await self.workers[0].ask("HGET", key, name) or 0)) / 10**9
            for name in ("spent:all", "held:all")
        ]
        assert spent + held == self.paid + len(self.open)
        assert spent + held <= _LIMIT_USD


@given(_STEPS)
@settings(max_examples=60, deadline=None)
def test_spent_and_held_never_exceed_the_limit(
    cache_server: EmbeddedCache, steps: list[tuple[str, int, int, str]]
) -> None:
    async def run() -> None:
        address = RedisAddress(url=cache_server.url.removesuffix("/0") + "/6")
        prefix = f"property-{uuid4().hex}:"
        async with (
            budget_on(address, prefix=prefix, budgets=daily(_LIMIT_USD)) as one,
            budget_on(address, prefix=prefix, budgets=daily(_LIMIT_USD)) as other,
        ):
            await one.sums.seed({}, DAY)
            story = _Run([one, other])
            for step in steps:
                await story.step(*step)
                await story.check()

    asyncio.run(run())
