"""What a Redis that misbehaves costs each request: latencies without the fault and during it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from benchmarks import faults
from benchmarks.delaying_proxy import DelayingProxy
from benchmarks.faults import Redis
from benchmarks.metrics_page import MetricsPage
from benchmarks.records import records
from benchmarks.report import Section
from benchmarks.steady import steady_load
from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.telemetry import catalog
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.cache import EmbeddedCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from benchmarks.bench import Bench
    from benchmarks.report import Figure
    from benchmarks.subject import Subject
    from llm_worker.contracts.topics import TopicCatalog

_SLOTS = 100
_PER_S = 100
_LATENCY_MS = 50
_TICK_S = 0.01
_WARM_UP_S, _RECOVERY_S = 3.0, 3.0
_LAST_ANSWERS_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """How long each worker is watched without its fault, and again with it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    fault: Callable[[Redis], AbstractAsyncContextManager[None]]
    is_by_proxy: bool = False


_ROWS = (
    _Row("nothing", faults.nothing),
    _Row("down (killed)", faults.down),
    _Row("paused (SIGSTOP)", faults.paused),
    _Row("slow by 20 ms", lambda redis: faults.slow(redis, 0.02), is_by_proxy=True),
    _Row("slow by 200 ms", lambda redis: faults.slow(redis, 0.2), is_by_proxy=True),
    _Row("flushed every second", faults.flushed),
    _Row("full (1 MB, noeviction)", faults.full),
    _Row("wrong password", faults.wrong_password),
    _Row("restarting every second", faults.restarting),
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was sent from when to when (the broker's ms), and what became of it."""

    sent: int
    latencies_ms: list[float]
    failed: int

    def quantile(self, hundredth: int) -> float:
        """Give the latency that so many in a hundred are under."""
        return quantiles(self.latencies_ms, n=100, method="inclusive")[hundredth - 1]


async def measure_faults(bench: Bench, plan: FaultPlan, tell: Callable[[str], None]) -> Section:
    """Give each fault a worker and a Redis of its own."""
    rows: list[dict[str, Figure]] = []
    for row in _ROWS:
        tell(f"redis-faults: {row.name}")
        rows.append({"Redis is": row.name, **await _watch(bench, plan, row)})
    return Section(
        title="Latency while Redis misbehaves, milliseconds",
        rows=rows,
        remarks=[
            f"{plan.seconds:.0f} s without the fault, then with it and {_RECOVERY_S:.0f} s more",
            f"{_PER_S} requests a second, all misses; the mock at {_LATENCY_MS} ms, budget 50 ms",
            "latency: from when the broker had the request to when it had its result",
            "without / with the fault; added: the slowest with it less the median without",
            "longest wait: bound of the highest bucket of llm_worker_redis_seconds that grew",
            "unshared: steps that no other process could know of (claim/begin/outcome)",
        ],
    )


async def _watch(bench: Bench, plan: FaultPlan, row: _Row) -> dict[str, Figure]:
    topics = await bench.stamped_topics("redis-faults")
    with EmbeddedCache(bench.directory / "faulty") as server:
        port = urlsplit(server.url).port or 0
        async with DelayingProxy(port) as proxy:
            url = server.url.replace(str(port), str(proxy.port)) if row.is_by_proxy else server.url
            settings = {
                "CACHE__REDIS_URL": url,
                "PROVIDERS__MOCK__LATENCY_MS": str(_LATENCY_MS),
            }
            with bench.worker(topics, slots=_SLOTS, settings=settings) as (subject, address):
                async with steady_load(bench, topics, per_s=_PER_S):
                    await _first_result(bench, subject, topics)
                    await asyncio.sleep(_WARM_UP_S)
                    calm_ms = _now_ms()
                    await asyncio.sleep(plan.seconds)
                    before, began_ms = await MetricsPage.of(address), _now_ms()
                    async with row.fault(Redis(server, proxy)):
                        await asyncio.sleep(plan.seconds)
                    await asyncio.sleep(_RECOVERY_S)
                    over_ms = _now_ms()
                await _all_answered(bench, subject, topics)
                after = await MetricsPage.of(address)
    calm, faulty = await _seen(bench, topics, [(calm_ms, began_ms), (began_ms, over_ms)])
    return _latencies(calm, faulty) | _counted(before, after)


def _latencies(calm: _Seen, faulty: _Seen) -> dict[str, Figure]:
    slowest, slowest_calm = max(faulty.latencies_ms), max(calm.latencies_ms)
    return {
        "p50": f"{calm.quantile(50):.0f} / {faulty.quantile(50):.0f}",
        "p99": f"{calm.quantile(99):.0f} / {faulty.quantile(99):.0f}",
        "max": f"{slowest_calm:.0f} / {slowest:.0f}",
        "added": round(slowest - calm.quantile(50)),
        "requests": faulty.sent,
        "lost": faulty.sent - len(faulty.latencies_ms),
        "failed": faulty.failed,
    }


def _counted(before: MetricsPage, after: MetricsPage) -> dict[str, Figure]:
    steps = [
        after.total(catalog.UNSHARED, step=step) - before.total(catalog.UNSHARED, step=step)
        for step in ("claim", "begin", "outcome")
    ]
    wait_s = after.slowest_bucket_since(before, catalog.REDIS_SECONDS)
    failures = after.total(catalog.REDIS_FAILURES) - before.total(catalog.REDIS_FAILURES)
    return {
        "unshared": "/".join(f"{count:.0f}" for count in steps),
        "failed trips": round(failures),
        "longest wait": f"{wait_s * 1000:.0f}",
    }


async def _first_result(bench: Bench, subject: Subject, topics: TopicCatalog) -> None:
    while not await bench.results(topics):
        subject.check()
        await asyncio.sleep(_TICK_S)


async def _all_answered(bench: Bench, subject: Subject, topics: TopicCatalog) -> None:
    """Wait for as many results as requests, but not for ever: what is lost is told later."""
    sent = await bench.held(topics, TopicName.COMPARISON_REQUESTED)
    due_s = time.monotonic() + _LAST_ANSWERS_S
    while await bench.results(topics) < sent and time.monotonic() < due_s:
        subject.check()
        await asyncio.sleep(_TICK_S)


async def _seen(
    bench: Bench, topics: TopicCatalog, spans_ms: list[tuple[float, float]]
) -> list[_Seen]:
    requests = await records(bench, topics, TopicName.COMPARISON_REQUESTED)
    results = await records(bench, topics, TopicName.COMPARISON_RESULT)

    def seen(start_ms: float, end_ms: float) -> _Seen:
        sent = {key: at for key, (at, _) in requests.items() if start_ms <= at < end_ms}
        answered = [key for key in sent if key in results]
        failed = [key for key in answered if _is_failure(results[key][1])]
        return _Seen(len(sent), [results[key][0] - sent[key] for key in answered], len(failed))

    return [seen(*span) for span in spans_ms]


def _now_ms() -> float:
    return SystemClock().now().timestamp() * 1000


def _is_failure(result: bytes) -> bool:
    return orjson.loads(result)["data"]["error_detail"] is not None
