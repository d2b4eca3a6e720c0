"""What the worker adds to the time that its provider takes, at half of what a core sustains."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.added import Added, answered
from benchmarks.over_http import call_of, environment_of, slots_for
from benchmarks.records import records
from benchmarks.report import Section
from benchmarks.steady import steady_load
from benchmarks.subject import until_ready
from benchmarks.timed_provider import timed_provider
from benchmarks.window import measure, measure_for
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.cache import EmbeddedCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.loops.job import Call
    from benchmarks.report import Figure
    from benchmarks.subject import Subject
    from benchmarks.window import Window
    from llm_worker.contracts.topics import TopicCatalog

_ESSAY_BYTES = 1_000
_SPREAD = 0.25
_SKIP = 500
_BEHIND = 1_000
_WARM_UP_S = 3.0
_LAST_ANSWERS_S = 30.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPlan:
    """How much to measure: of the throughput, then of each load."""

    comparisons: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """Requests at a rate, whose calls take `latency_s`, for a worker with so many calls."""

    name: str
    redis_url: str
    per_s: float
    latency_s: float
    calls: int
    seconds: float


async def measure_latency(bench: Bench, plan: LatencyPlan, tell: Callable[[str], None]) -> Section:
    """Find out what one core sustains, and send half of it, without Redis and with it."""
    call = await call_of(environment_of(bench.fakes, calls=1), _ESSAY_BYTES)
    section = Section(title="Added latency, milliseconds", rows=[], curves={}, remarks=_REMARKS)
    with EmbeddedCache(bench.directory / "latency") as cache:
        for name, url in (("none", ""), ("Redis", cache.url)):
            sustained = await _sustained(bench, call, plan, url)
            tell(f"latency: {name}, {sustained.per_s:.0f} comparisons/s sustained")
            half = _Load(
                name=f"half load, store: {name}",
                redis_url=url,
                per_s=sustained.per_s / 2,
                latency_s=0.2,
                calls=500,
                seconds=plan.seconds,
            )
            section.rows.append(
                {
                    "load": "half",
                    "store": name,
                    "sustained/s": round(sustained.per_s),
                    **await _watch(bench, call, half, section.curves),
                }
            )
        tell("latency: 2,000 in flight")
        many = _Load(
            name="2,000 in flight",
            redis_url=cache.url,
            per_s=200,
            latency_s=10,
            calls=2_600,
            seconds=plan.seconds,
        )
        section.rows.append(
            {
                "load": "2,000 in flight",
                "store": "Redis",
                "sustained/s": "-",
                **await _watch(bench, call, many, section.curves),
            }
        )
    return section


_REMARKS = [
    (
        "added: from the moment when the broker had the request (LogAppendTime) to that when it "
        "had the result, less the time that the provider took for this very call"
    ),
    f"half: of what one core sustains; calls of 200 ms, spread evenly by {_SPREAD:.0%}, over HTTP",
    "2,000 in flight: 200 a second, calls of 10 s with the same spread",
    "requests come at a fixed rate, whatever becomes of them; all misses",
    "before, around, after the call: medians of the stretches of the added time",
]


async def _sustained(bench: Bench, call: Call, plan: LatencyPlan, redis_url: str) -> Window:
    """Measure what a worker does that always has enough to do."""
    topics = await bench.topics("latency")
    count = _SKIP + plan.comparisons + _BEHIND
    await bench.fill(topics, TopicName.COMPARISON_REQUESTED, count, essay_bytes=_ESSAY_BYTES)
    async with timed_provider(call, latency_s=0.2, spread=_SPREAD) as provider:
        slots = slots_for(500)
        with bench.worker(
            topics,
            slots=slots,
            providers=environment_of(bench.fakes, calls=slots) | provider.environment,
            settings={"CACHE__REDIS_URL": redis_url},
        ) as (subject, _):
            return await measure(
                bench, subject, topics, skip=_SKIP, count=plan.comparisons, held_before=0
            )


async def _watch(
    bench: Bench, call: Call, load: _Load, curves: dict[str, list[float]]
) -> dict[str, Figure]:
    topics = await bench.stamped_topics("latency")
    async with timed_provider(call, latency_s=load.latency_s, spread=_SPREAD) as provider:
        slots = slots_for(load.calls)
        with bench.worker(
            topics,
            slots=slots,
            providers=environment_of(bench.fakes, calls=slots) | provider.environment,
            settings={"CACHE__REDIS_URL": load.redis_url},
        ) as (subject, address):
            await until_ready(subject, address)  # or the load would wait for it, and be a backlog
            async with steady_load(bench, topics, per_s=load.per_s):
                await asyncio.sleep(_WARM_UP_S + 2 * load.latency_s)
                began_ms = time.time() * 1000  # noqa: TID251 - compared with the broker's clock
                window = await measure_for(bench, subject, topics, seconds=load.seconds)
                ended_ms = time.time() * 1000  # noqa: TID251 - the same
            await _all_answered(bench, subject, topics)
    added = await _added(bench, topics, provider.took_s, (began_ms, ended_ms))
    curves[load.name] = added.quantiles_ms()
    return _figures(added, window, load)


def _figures(added: Added, window: Window, load: _Load) -> dict[str, Figure]:
    hundredths = added.quantiles_ms()
    return {
        "sent/s": round(load.per_s),
        "requests": len(added.each),
        "p50": round(hundredths[49], 1),
        "p90": round(hundredths[89], 1),
        "p99": round(hundredths[98], 1),
        "most": round(added.most_ms(), 1),
        **{name: round(ms, 1) for name, ms in added.medians_ms().items()},
        "core": window.core_share,
        "slowness": window.slowness,
    }


async def _added(
    bench: Bench,
    topics: TopicCatalog,
    took_s: dict[bytes, float],
    span_ms: tuple[float, float],
) -> Added:
    """Take the requests of a span of time, each of which must have been answered."""
    requests, results, starts = [
        await records(bench, topics, name)
        for name in (
            TopicName.COMPARISON_REQUESTED,
            TopicName.COMPARISON_RESULT,
            TopicName.REQUEST_STARTED,
        )
    ]
    chosen = {
        key: record for key, record in requests.items() if span_ms[0] <= record[0] < span_ms[1]
    }
    return Added(answered(chosen, results, starts, took_s))


async def _all_answered(bench: Bench, subject: Subject, topics: TopicCatalog) -> None:
    """Wait for as many results as requests; Added says which is missing."""
    sent = await bench.held(topics, TopicName.COMPARISON_REQUESTED)
    due_s = time.monotonic() + _LAST_ANSWERS_S
    while await bench.results(topics) < sent and time.monotonic() < due_s:
        subject.check()
        await asyncio.sleep(_POLL_S)
