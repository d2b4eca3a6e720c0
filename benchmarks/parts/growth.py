"""Whether a comparison costs more when more requests wait behind it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.bench import Loop
from benchmarks.beside import beside
from benchmarks.report import Section
from benchmarks.window import measure
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from benchmarks.bench import Bench
    from benchmarks.report import Figure
    from benchmarks.window import Window
    from llm_worker.contracts.topics import TopicCatalog

_REQUESTED = TopicName.COMPARISON_REQUESTED
_ESSAY_BYTES = 1_000
_IN_FLIGHT = 50
_TOP_UP_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthPlan:
    """Which backlogs to compare; the first is kept up, the others are there from the start.

    Every run answers `skip` requests first: what the worker remembers of them is memory too.
    """

    rounds: int
    backlogs: tuple[int, ...]
    skip: int
    comparisons: int


async def measure_growth(bench: Bench, plan: GrowthPlan, tell: Callable[[str], None]) -> Section:
    """Measure the same number of comparisons before each backlog, in turn."""
    big = {backlog: await bench.topics(f"growth-{backlog}") for backlog in plan.backlogs[1:]}
    for backlog, topics in big.items():
        tell(f"growth: sending {backlog} requests")
        await bench.fill(topics, _REQUESTED, backlog, essay_bytes=_ESSAY_BYTES)
    seen: dict[int, list[tuple[Window, float]]] = {backlog: [] for backlog in plan.backlogs}
    for number in range(plan.rounds):
        for backlog in plan.backlogs:
            tell(f"growth: {backlog} waiting, round {number + 1}")
            if backlog in big:
                seen[backlog].append(await _run(bench, big[backlog], plan))
            else:
                seen[backlog].append(await _run_kept_up(bench, plan, backlog))
    return Section(
        title="Growth with the backlog",
        rows=[_row(backlog, runs) for backlog, runs in seen.items()],
        remarks=[
            f"{plan.comparisons} comparisons after the first {plan.skip}, {_IN_FLIGHT} in flight",
            f"median of {plan.rounds}",
            f"{plan.backlogs[0]}: topped up as results come; more: all there from the start",
        ],
    )


async def _run(bench: Bench, topics: TopicCatalog, plan: GrowthPlan) -> tuple[Window, float]:
    before = await bench.results(topics)
    with bench.running(Loop.WORKER, topics, in_flight=_IN_FLIGHT) as subject:
        window = await measure(
            bench, subject, topics, skip=plan.skip, count=plan.comparisons, held_before=before
        )
        return window, subject.peak_mb()


async def _run_kept_up(bench: Bench, plan: GrowthPlan, backlog: int) -> tuple[Window, float]:
    topics = await bench.topics(f"growth-{backlog}")
    async with _kept_up(bench, topics, backlog):
        return await _run(bench, topics, plan)


@asynccontextmanager
async def _kept_up(bench: Bench, topics: TopicCatalog, backlog: int) -> AsyncIterator[None]:
    """Keep so many requests waiting, beside those in flight."""

    async def top_up() -> None:
        sent = 0
        while True:
            missing = await bench.results(topics) + backlog + _IN_FLIGHT - sent
            await bench.fill(topics, _REQUESTED, missing, essay_bytes=_ESSAY_BYTES)
            sent += missing
            await asyncio.sleep(_TOP_UP_S)

    async with beside(top_up()):
        yield


def _row(backlog: int, runs: list[tuple[Window, float]]) -> dict[str, Figure]:
    return {
        "waiting": backlog,
        "us CPU each": round(median(window.cpu_us for window, _ in runs)),
        "comparisons/s": round(median(window.per_s for window, _ in runs)),
        "RSS MB": round(median(peak for _, peak in runs)),
    }
