"""What the web server takes to answer while very many calls are in flight."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import orjson

from benchmarks.bench import MOCK
from benchmarks.parts.memory import LATENCY_S, SETTLE_S, MemoryPlan, paced
from benchmarks.report import Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.report import Figure

_PATHS = ("/", "/api/v1/state", "/metrics", "/healthz", "/api/v1/providers")


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePlan:
    """How many calls run at once, and how often each path is asked, about once in a second."""

    slots: int
    asked: int


async def measure_page(bench: Bench, plan: PagePlan, tell: Callable[[str], None]) -> Section:
    """Ask each path in turn, with one caller who waits for each answer."""
    tell(f"page: {plan.slots} in flight")
    topics = await bench.topics("page")
    settings = {
        "PROVIDERS__MOCK__LATENCY_MS": str(LATENCY_S * 1000),
        "REQUEST_DEADLINE_S": "3600",
    }
    load = MemoryPlan(slots=plan.slots, seconds=plan.asked)
    with bench.worker(topics, slots=plan.slots, providers=MOCK, settings=settings) as (_, address):
        # Begun before the worker, the load would come at once, and end at once ever after.
        async with paced(bench, topics, load):
            await asyncio.sleep(SETTLE_S)
            rows = await _ask(address, plan.asked)
    return Section(
        title=f"The web server with {plan.slots} calls in flight",
        rows=rows,
        remarks=[
            f"milliseconds until the whole answer is there, {plan.asked} times each; goal: 50",
            "whoever asks shares the machine with worker, broker and load",
        ],
    )


async def _ask(address: str, times: int) -> list[dict[str, Figure]]:
    asker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.loops.asker", address, str(times), *_PATHS),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asker.communicate()
    told = orjson.loads(output)
    return [
        {
            "path": path,
            "kB": round(told["bytes"][path] / 1000, 1),
            "median ms": round(median(took), 1),
            "p95 ms": round(sorted(took)[int(0.95 * len(took))], 1),
            "most ms": round(max(took), 1),
        }
        for path, took in told["took_ms"].items()
    ]
