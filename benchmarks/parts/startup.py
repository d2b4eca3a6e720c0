"""How long the worker takes from its start until it polls, and where; and to its first result."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

import aiohttp
import orjson

from benchmarks.bench import MOCK
from benchmarks.loops.started import NOTES, STEPS
from benchmarks.report import Section
from benchmarks.subject import is_ready
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from benchmarks.bench import Bench
    from benchmarks.report import Figure
    from benchmarks.subject import Subject
    from llm_worker.contracts.topics import TopicCatalog

_POLL_S = 0.02
_TIMEOUT_S = 60.0
_WHAT = {
    "interpreter": "Python itself",
    "imports": "our modules and the libraries",
    "settings": "read and checked",
    "wiring": "every part built, nothing opened",
    "servers and broker": "web server, Faust's services, connections, coordinator found",
    "join": "Kafka's: join, assignment, sync",
    "first poll": "offsets committed so far asked for; records asked for",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupPlan:
    """How often to start it."""

    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """Seconds from the start of the process; `cpu_s` of CPU until the first result."""

    steps_s: Mapping[str, float]
    ready_s: float
    result_s: float
    cpu_s: float


async def measure_startup(bench: Bench, plan: StartupPlan, tell: Callable[[str], None]) -> Section:
    """Start the worker with one request waiting, a few times."""
    topics = await bench.topics("startup")
    await bench.fill(topics, TopicName.COMPARISON_REQUESTED, 1, essay_bytes=1_000)
    tell(f"startup: {plan.times} times")
    starts = [await _start(bench, topics) for _ in range(plan.times)]
    return Section(
        title="Start-up, seconds from the start of the process",
        rows=_rows(starts),
        remarks=[
            f"median of {plan.times}, on one core; each step's own time beside the moment it ends",
            f"CPU until the first result: {median(start.cpu_s for start in starts):.2f} s",
            (
                "the embedded broker answers a join at once; by default Kafka waits 3 s for more "
                "members of an empty group (group.initial.rebalance.delay.ms)"
            ),
        ],
    )


def _rows(starts: list[_Start]) -> list[dict[str, Figure]]:
    began: list[Mapping[str, float]] = [{"": 0.0} | dict(start.steps_s) for start in starts]
    rows: list[dict[str, Figure]] = [
        {
            "step": step,
            "s": float(median(each[step] for each in began)),
            "of it": float(median(each[step] - each[before] for each in began)),
            "": _WHAT[step],
        }
        for before, step in pairwise(("", *STEPS))
    ]
    for step, moments in (
        ("/readyz says 200", [start.ready_s for start in starts]),
        ("first result", [start.result_s for start in starts]),
    ):
        rows.append(
            {"step": step, "s": float(median(moments)), "of it": "-", "": "seen from outside"}
        )
    return rows


async def _start(bench: Bench, topics: TopicCatalog) -> _Start:
    before = await bench.results(topics)
    notes = bench.directory / f"{uuid4()}.notes"

    async def has_result() -> bool:
        return await bench.results(topics) > before

    started_s = time.monotonic()
    async with aiohttp.ClientSession() as session:
        with bench.worker(
            topics,
            slots=10,
            providers=MOCK | {NOTES: str(notes)},
            module="benchmarks.loops.started",
        ) as (subject, address):
            ready_s, result_s = await asyncio.gather(
                _moment(lambda: is_ready(session, address), subject),
                _moment(has_result, subject),
            )
            moments: dict[str, float] = orjson.loads(notes.read_bytes())
            return _Start(
                steps_s={step: moments[step] - started_s for step in STEPS},
                ready_s=ready_s - started_s,
                result_s=result_s - started_s,
                cpu_s=subject.cpu_s(),
            )


async def _moment(is_so: Callable[[], Awaitable[bool]], subject: Subject) -> float:
    """Wait until something is so, and give the moment."""
    async with asyncio.timeout(_TIMEOUT_S):
        while not await is_so():
            subject.check()
            await asyncio.sleep(_POLL_S)
    return time.monotonic()
