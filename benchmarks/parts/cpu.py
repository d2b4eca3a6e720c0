"""CPU per comparison and comparisons per second, of the three loops in turn."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.bench import Loop
from benchmarks.report import Section
from benchmarks.window import measure
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.report import Figure
    from benchmarks.window import Window
    from llm_worker.contracts.topics import TopicCatalog

IN_FLIGHT = (50, 500)
ESSAY_BYTES = (1_000, 8_000)
_SKIP = 500
_BEHIND = 1_000
"""Requests left waiting at the end of a window, so that its last comparisons are not idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuPlan:
    """How much to measure."""

    rounds: int
    comparisons: int


async def measure_cpu(bench: Bench, plan: CpuPlan, tell: Callable[[str], None]) -> Section:
    """Run the loops interleaved, so that a noisy minute hits them all."""
    rows: list[dict[str, Figure]] = []
    for essay_bytes in ESSAY_BYTES:
        topics = await bench.topics(f"cpu-{essay_bytes}")
        await bench.fill(
            topics,
            TopicName.COMPARISON_REQUESTED,
            _SKIP + plan.comparisons + _BEHIND,
            essay_bytes=essay_bytes,
        )
        for in_flight in IN_FLIGHT:
            tell(f"cpu: {essay_bytes} bytes an essay, {in_flight} in flight")
            rounds = [await _round(bench, topics, in_flight, plan) for _ in range(plan.rounds)]
            rows.append({"essay bytes": essay_bytes, "in flight": in_flight} | _row(rounds))
    return Section(
        title="CPU, microseconds per comparison",
        rows=rows,
        remarks=[
            f"median of {plan.rounds} interleaved rounds of {plan.comparisons} comparisons",
            "scaled to the core's full speed; slowness: how far it was from that meanwhile",
        ],
    )


async def run_once(
    bench: Bench, loop: Loop, topics: TopicCatalog, *, in_flight: int, comparisons: int
) -> Window:
    """Run one loop over the topics once."""
    before = await bench.results(topics)
    with bench.running(loop, topics, in_flight=in_flight) as subject:
        return await measure(
            bench, subject, topics, skip=_SKIP, count=comparisons, held_before=before
        )


async def _round(
    bench: Bench, topics: TopicCatalog, in_flight: int, plan: CpuPlan
) -> dict[Loop, Window]:
    return {
        loop: await run_once(bench, loop, topics, in_flight=in_flight, comparisons=plan.comparisons)
        for loop in Loop
    }


def _row(rounds: list[dict[Loop, Window]]) -> dict[str, Figure]:
    def ratio(loop: Loop, to: Loop) -> float:
        return median(each[loop].cpu_us / each[to].cpu_us for each in rounds)

    return {
        **{loop: round(median(each[loop].cpu_us for each in rounds)) for loop in Loop},
        "b/a": ratio(Loop.FAUST, Loop.BARE),
        "c/b": ratio(Loop.WORKER, Loop.FAUST),
        "c INFO/b": ratio(Loop.WORKER_INFO, Loop.FAUST),
        **{
            f"{loop[:1]}/s": round(median(each[loop].per_s for each in rounds))
            for loop in (Loop.BARE, Loop.FAUST, Loop.WORKER)
        },
        "core of c": median(each[Loop.WORKER].core_share for each in rounds),
        "slowness": median(window.slowness for each in rounds for window in each.values()),
    }
