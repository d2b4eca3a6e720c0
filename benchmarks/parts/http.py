"""From Kafka to Kafka with a call over HTTP for each request: our worker, and a bare loop."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.over_http import OverHttp
from benchmarks.report import Section
from benchmarks.window import measure
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from benchmarks.bench import Bench
    from benchmarks.report import Figure
    from benchmarks.subject import Subject
    from benchmarks.window import Window
    from llm_worker.contracts.topics import TopicCatalog

CALLS = 50
ESSAY_BYTES = (1_000, 8_000)
_SKIP = 500
_BEHIND = 1_000
"""Requests left waiting at the end of a window, so that its last comparisons are not idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPlan:
    """How much to measure."""

    rounds: int
    comparisons: int


@dataclass(frozen=True, slots=True)
class _Round:
    bare: Window
    worker: Window


async def measure_http(bench: Bench, plan: HttpPlan, tell: Callable[[str], None]) -> Section:
    """Run both loops in turn, so that a noisy minute hits both."""
    rows: list[dict[str, Figure]] = []
    for essay_bytes in ESSAY_BYTES:
        topics = await bench.topics(f"http-{essay_bytes}")
        count = _SKIP + plan.comparisons + _BEHIND
        await bench.fill(topics, TopicName.COMPARISON_REQUESTED, count, essay_bytes=essay_bytes)
        loops = await OverHttp.on(bench, calls=CALLS, essay_bytes=essay_bytes)
        tell(f"http: {essay_bytes} bytes an essay, {CALLS} calls at once")
        rounds = [
            _Round(
                await _run(bench, topics, plan, loops.bare),
                await _run(bench, topics, plan, loops.worker),
            )
            for _ in range(plan.rounds)
        ]
        rows.append({"essay bytes": essay_bytes} | _row(rounds))
    return Section(
        title="Over HTTP, microseconds of CPU per comparison",
        rows=rows,
        remarks=[
            f"median of {plan.rounds} interleaved rounds of {plan.comparisons} comparisons",
            f"{CALLS} in flight; the fake provider answers at 0 ms, on the other core",
            "scaled to the core's full speed; slowness: how far it was from that meanwhile",
        ],
    )


async def _run(
    bench: Bench,
    topics: TopicCatalog,
    plan: HttpPlan,
    loop: Callable[[TopicCatalog], AbstractContextManager[Subject]],
) -> Window:
    before = await bench.results(topics)
    with loop(topics) as subject:
        return await measure(
            bench, subject, topics, skip=_SKIP, count=plan.comparisons, held_before=before
        )


def _row(rounds: list[_Round]) -> dict[str, Figure]:
    return {
        "d aiokafka + httpx": round(median(each.bare.cpu_us for each in rounds)),
        "e worker": round(median(each.worker.cpu_us for each in rounds)),
        "e/d": median(each.worker.cpu_us / each.bare.cpu_us for each in rounds),
        "d/s": round(median(each.bare.per_s for each in rounds)),
        "e/s": round(median(each.worker.per_s for each in rounds)),
        "core of d": median(each.bare.core_share for each in rounds),
        "core of e": median(each.worker.core_share for each in rounds),
        "slowness": median(
            window.slowness for each in rounds for window in (each.bare, each.worker)
        ),
    }
