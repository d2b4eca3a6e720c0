"""CPU and round trips that hard limits add to a request that is bought."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks.bench import MOCK, WINDOW_PER_LANE
from benchmarks.metrics_page import MetricsPage
from benchmarks.parts.cache_trips import TripsPlan, count_trips
from benchmarks.redis_side import ask
from benchmarks.report import Section
from benchmarks.window import measure
from llm_worker.adapters.telemetry import catalog
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.cache import EmbeddedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.bench import Bench
    from benchmarks.report import Figure
    from benchmarks.window import Window
    from llm_worker.contracts.topics import TopicCatalog

_ESSAY_BYTES = 1_000
_IN_FLIGHT = 50
_SKIP = 3_000
"""More than are judged alone after a start under load, until the sums in Redis are seeded."""
_BEHIND = 1_000
PRICED_MOCK = MOCK | {
    "LLM_WORKER_PROVIDERS__MOCK__INPUT_USD_PER_MTOK": "1",
    "LLM_WORKER_PROVIDERS__MOCK__OUTPUT_USD_PER_MTOK": "5",
}
"""Of a call that costs nothing, nothing is set aside."""


class Case(StrEnum):
    """How many hard limits a request must fit into."""

    NONE = "no limits"
    OF_ALL = "2 limits: a day and a month"
    OF_ORGANIZATION = "4 limits: and two of its organisation"


_OF_ALL = {
    "BUDGET__HARD": "true",
    "BUDGET__DAILY_USD": "1000000",
    "BUDGET__MONTHLY_USD": "10000000",
}
_LIMITS: Mapping[Case, Mapping[str, str]] = {
    Case.NONE: {},
    Case.OF_ALL: _OF_ALL,
    Case.OF_ORGANIZATION: _OF_ALL
    | {"BUDGET__ORGANIZATIONS": '{"*": {"daily_usd": "500000", "monthly_usd": "5000000"}}'},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPlan:
    """How much to measure, and over how many requests the round trips are counted."""

    rounds: int
    comparisons: int
    counted: int


@dataclass(frozen=True, slots=True)
class _Run:
    """What a case cost, and how many attempts were judged alone before."""

    window: Window
    alone: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    bench: Bench
    plan: BudgetPlan
    topics: TopicCatalog
    url: str

    async def run(self, case: Case) -> _Run:
        """Run one case once; raises RuntimeError where the limits were not kept in Redis."""
        before, prefix = await self.bench.results(self.topics), f"{uuid4()}:"
        settings = settings_with(case, self.url, prefix)
        slots = max(2, _IN_FLIGHT // WINDOW_PER_LANE)
        with self.bench.worker(
            self.topics, slots=slots, providers=PRICED_MOCK, settings=settings
        ) as (subject, address):
            window = await measure(
                self.bench,
                subject,
                self.topics,
                skip=_SKIP,
                count=self.plan.comparisons,
                held_before=before,
            )
            alone = await self._alone(case, prefix, await MetricsPage.of(address))
        await asyncio.to_thread(ask, self.url, "FLUSHALL")
        return _Run(window, alone)

    async def _alone(self, case: Case, prefix: str, page: MetricsPage) -> float:
        """Check the run; give how many attempts were judged without Redis, all in the warm-up."""
        settled = await asyncio.to_thread(ask, self.url, "ZCARD", f"{prefix}{{budget}}:ended")
        faults = {
            metric.name: page.total(metric)
            for metric in (catalog.REDIS_FAILURES, catalog.BUDGET_REFUSALS, catalog.BUDGET_WAITS)
        }
        alone = page.total(catalog.BUDGET_UNSHARED)
        is_kept = settled >= self.plan.comparisons if case is not Case.NONE else not settled
        if any(faults.values()) or not is_kept or alone > _SKIP:
            raise RuntimeError(f"{case}: {faults}, {alone:.0f} judged alone, {settled} settled")
        return alone


async def measure_budget(bench: Bench, plan: BudgetPlan, tell: Callable[[str], None]) -> Section:
    """Run every case in turn over requests that each ask something else; another one begins."""
    topics = await bench.topics("budget")
    await bench.fill(
        topics,
        TopicName.COMPARISON_REQUESTED,
        _SKIP + plan.comparisons + _BEHIND,
        essay_bytes=_ESSAY_BYTES,
    )
    rounds: list[dict[Case, _Run]] = []
    cases = list(Case)
    with EmbeddedCache(bench.directory / "budget") as cache:
        stage = _Stage(bench=bench, plan=plan, topics=topics, url=cache.url)
        for number in range(plan.rounds):
            tell(f"budget: round {number + 1}")
            first = number % len(cases)
            order = cases[first:] + cases[:first]
            rounds.append({case: await stage.run(case) for case in order})
    counted = {case: await _count(bench, plan, case, tell) for case in Case}
    return Section(
        title="Hard limits, microseconds of CPU per comparison",
        rows=[_row(case, rounds, counted[case]) for case in Case],
        remarks=[
            f"median of {plan.rounds} interleaved rounds of {plan.comparisons} comparisons",
            f"{_IN_FLIGHT} in flight, all misses; the mock at 0 ms, and its calls have a price",
            "more: median of the rounds' differences (lowest to highest)",
            f"trips, scripts, commands: mean of {plan.counted} misses, one in flight",
            f"judged alone: of the first {_SKIP}, until the sums in Redis are seeded",
            "scaled to the core's full speed; slowness: how far it was from that meanwhile",
        ],
    )


async def _count(
    bench: Bench, plan: BudgetPlan, case: Case, tell: Callable[[str], None]
) -> dict[str, Figure]:
    tell(f"budget: round trips with {case}")
    with EmbeddedCache(bench.directory / "budget-trips") as cache:
        return await count_trips(
            bench,
            TripsPlan(comparisons=plan.counted),
            settings_with(case, cache.url, f"{uuid4()}:"),
            providers=PRICED_MOCK,
        )


def settings_with(case: Case, url: str, prefix: str) -> dict[str, str]:
    """Give the settings of a worker with these limits, over Redis; names without LLM_WORKER_."""
    return {
        "CACHE__REDIS_URL": url,
        "CACHE__KEY_PREFIX": prefix,
        # What is measured is the way over Redis, however busy its core is.
        "CACHE__BUDGET_MS": "1000",
        **_LIMITS[case],
    }


def _row(
    case: Case, rounds: list[dict[Case, _Run]], counted: dict[str, Figure]
) -> dict[str, Figure]:
    more = [each[case].window.cpu_us - each[Case.NONE].window.cpu_us for each in rounds]
    spread = f"{median(more):.0f} ({min(more):.0f} to {max(more):.0f})"
    return {
        "": case,
        "us CPU": round(median(each[case].window.cpu_us for each in rounds)),
        "more": "-" if case is Case.NONE else spread,
        "comparisons/s": round(median(each[case].window.per_s for each in rounds)),
        **counted,
        "judged alone": round(median(each[case].alone for each in rounds)),
        "slowness": median(each[case].window.slowness for each in rounds),
    }
