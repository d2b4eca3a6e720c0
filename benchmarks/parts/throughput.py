"""Comparisons a second of one worker, and of two that share the machine."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks.bench import MOCK, WINDOW_PER_LANE
from benchmarks.over_http import environment_of, slots_for
from benchmarks.report import Section
from benchmarks.subject import OTHER_CORE, SUBJECT_CORE, until_ready
from benchmarks.window import measure
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.report import Figure
    from benchmarks.window import Window

IN_FLIGHT = (50, 500)
_ESSAY_BYTES = 1_000
_SKIP = 1_500
"""More than they do while the topic is filled."""
_BEHIND = 1_000
_CORES = {1: (SUBJECT_CORE,), 2: (SUBJECT_CORE, OTHER_CORE)}
"""By the number of workers; the second core is also everybody else's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputPlan:
    """How much to measure."""

    rounds: int
    comparisons: int


async def measure_throughput(
    bench: Bench, plan: ThroughputPlan, tell: Callable[[str], None]
) -> Section:
    """Run one worker and two in turn, so that a noisy minute hits both."""
    rows: list[dict[str, Figure]] = []
    for answered_by, in_flight in product(("mock", "HTTP"), IN_FLIGHT):
        tell(f"throughput: {answered_by}, {in_flight} in flight")
        rounds = [
            {
                workers: await _run(bench, plan, answered_by, in_flight, workers)
                for workers in _CORES
            }
            for _ in range(plan.rounds)
        ]
        rows.append({"calls": answered_by, "in flight": in_flight, **_row(rounds)})
    return Section(
        title="Throughput, comparisons a second",
        rows=rows,
        remarks=[
            (
                f"median of {plan.rounds} interleaved rounds of {plan.comparisons} comparisons; "
                f"{_ESSAY_BYTES} bytes an essay, no Redis, calls of 0 ms; in flight: of each worker"
            ),
            (
                "one worker has a core of its own; the broker, the fake provider and the measuring "
                "process share the other"
            ),
            (
                "the second worker shares that other core with all of them: the ratio says what "
                "this machine has left, not how workers scale"
            ),
        ],
    )


async def _run(
    bench: Bench, plan: ThroughputPlan, answered_by: str, in_flight: int, workers: int
) -> Window:
    topics = await bench.topics("throughput")
    is_mock = answered_by == "mock"
    # Calls of 0 ms: with the mock it is the window that limits, over HTTP the slots.
    slots = max(2, in_flight // WINDOW_PER_LANE) if is_mock else slots_for(in_flight)
    providers = MOCK if is_mock else environment_of(bench.fakes, calls=slots)
    settings = {"KAFKA__GROUP": f"bench-{uuid4()}"}
    with ExitStack() as stack:
        subjects = []
        for core in _CORES[workers]:
            subject, address = stack.enter_context(
                bench.worker(topics, slots=slots, providers=providers, settings=settings)
            )
            subject.process.cpu_affinity([core])
            subjects.append((subject, address))
        for subject, address in subjects:
            await until_ready(subject, address)
        count = _SKIP + plan.comparisons + _BEHIND
        await bench.fill(topics, TopicName.COMPARISON_REQUESTED, count, essay_bytes=_ESSAY_BYTES)
        return await measure(
            bench,
            subjects[0][0],
            topics,
            skip=_SKIP,
            count=plan.comparisons,
            held_before=0,
        )


def _row(rounds: list[dict[int, Window]]) -> dict[str, Figure]:
    return {
        "one worker": round(median(each[1].per_s for each in rounds)),
        "two workers": round(median(each[2].per_s for each in rounds)),
        "two/one": median(each[2].per_s / each[1].per_s for each in rounds),
        "core of one": median(each[1].core_share for each in rounds),
        "slowness": median(window.slowness for each in rounds for window in each.values()),
    }
