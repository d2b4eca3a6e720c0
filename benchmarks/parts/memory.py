"""Memory and CPU with very many calls in flight, each of ten seconds: mock's, and over HTTP."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

import aiohttp

from benchmarks.bench import MOCK, WINDOW_PER_LANE
from benchmarks.beside import beside
from benchmarks.over_http import environment_of, set_latency
from benchmarks.report import Section
from benchmarks.window import measure_for
from llm_worker.adapters.telemetry import gauges
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from benchmarks.bench import Bench
    from benchmarks.report import Figure
    from llm_worker.adapters.telemetry.metric import Metric
    from llm_worker.contracts.topics import TopicCatalog

    _Feed = Callable[[Bench, TopicCatalog, "MemoryPlan"], AbstractAsyncContextManager[None]]

LATENCY_S = 10
_ESSAY_BYTES = 1_000
SETTLE_S = 2 * LATENCY_S + 5
_IDLE_SETTLE_S = 5
_TICK_S = 0.1
# Three quarters of the slots are one lane's at most; a quarter is the other's own.
_SHARES = {TopicName.COMPARISON_REQUESTED: 0.75, TopicName.COMPARISON_REQUESTED_BULK: 0.25}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """How many calls run at once, and how long it is watched once they do."""

    slots: int
    seconds: int


async def measure_memory(bench: Bench, plan: MemoryPlan, tell: Callable[[str], None]) -> Section:
    """Watch the worker fed as fast as it buys, and over a backlog that fills its window."""
    over_http = environment_of(bench.fakes, calls=plan.slots)
    await set_latency(bench.fakes, LATENCY_S)
    rows: list[dict[str, Figure]] = []
    for answered_by, name, feed in (
        ("mock", "never", _idle),
        ("mock", "paced", paced),
        ("HTTP", "paced", paced),
        ("HTTP", "backlog", _backlog),
    ):
        tell(f"memory: {plan.slots} in flight, {name}, {answered_by}")
        providers = MOCK if answered_by == "mock" else over_http
        seen = await _watch(bench, plan, providers, feed)
        rows.append({"calls": answered_by, "requests come": name, **seen})
    await set_latency(bench.fakes, 0)
    return Section(
        title=f"{plan.slots} calls in flight of {LATENCY_S} s each",
        rows=rows,
        remarks=[
            f"{plan.seconds} s of steady state; MB are 10^6 bytes, RSS is the peak",
            "paced: as many a second as the slots can serve, over both lanes",
            "backlog: more requests than the window holds wait in both lanes from the start",
        ],
    )


async def _watch(
    bench: Bench, plan: MemoryPlan, providers: Mapping[str, str], feed: _Feed
) -> dict[str, Figure]:
    topics = await bench.topics("memory")
    settings = {
        "PROVIDERS__MOCK__LATENCY_MS": str(LATENCY_S * 1000),
        "REQUEST_DEADLINE_S": "3600",
    }
    async with feed(bench, topics, plan):
        with bench.worker(topics, slots=plan.slots, providers=providers, settings=settings) as (
            subject,
            address,
        ):
            await asyncio.sleep(_IDLE_SETTLE_S if feed is _idle else SETTLE_S)
            gauges = asyncio.ensure_future(_mean_gauges(address, plan.seconds))
            window = await measure_for(bench, subject, topics, seconds=plan.seconds)
            running, held = await gauges
            return {
                "calls running": round(running),
                "requests held": round(held),
                "RSS MB": round(subject.peak_mb()),
                "core": window.core_share,
                "comparisons/s": round(window.per_s),
                "us CPU each": round(window.cpu_us) if window.comparisons else "-",
                "slowness": window.slowness,
            }


@asynccontextmanager
async def _idle(_bench: Bench, _topics: TopicCatalog, _plan: MemoryPlan) -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def paced(bench: Bench, topics: TopicCatalog, plan: MemoryPlan) -> AsyncIterator[None]:
    """Send as many a second as the slots can serve, over both lanes."""
    started_s = time.monotonic()

    async def feed() -> None:
        sent = dict.fromkeys(_SHARES, 0)
        while True:
            for name, share in _SHARES.items():
                due = share * plan.slots / LATENCY_S * (time.monotonic() - started_s)
                await bench.fill(topics, name, int(due) - sent[name], essay_bytes=_ESSAY_BYTES)
                sent[name] = int(due)
            await asyncio.sleep(_TICK_S)

    async with beside(feed()):
        yield


@asynccontextmanager
async def _backlog(bench: Bench, topics: TopicCatalog, plan: MemoryPlan) -> AsyncIterator[None]:
    for name, share in _SHARES.items():
        served = share * plan.slots / LATENCY_S * (SETTLE_S + plan.seconds + LATENCY_S)
        count = plan.slots * WINDOW_PER_LANE + int(served)
        await bench.fill(topics, name, count, essay_bytes=_ESSAY_BYTES)
    yield


async def _mean_gauges(address: str, seconds: int) -> tuple[float, float]:
    """Give the mean of running calls and of deliveries held, seen once a second."""
    seen = []
    async with aiohttp.ClientSession() as session:
        for _ in range(seconds):
            async with session.get(f"{address}/metrics") as response:
                page = await response.text()
            seen.append((_total(page, gauges.RUNNING_CALLS), _total(page, gauges.WINDOW)))
            await asyncio.sleep(1)
    return mean(running for running, _ in seen), mean(held for _, held in seen)


def _total(page: str, metric: Metric) -> float:
    return sum(float(n) for n in re.findall(rf"^{metric.name}\{{.*\}} (.+)$", page, re.MULTILINE))
