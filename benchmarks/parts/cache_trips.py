"""What one comparison asks of Redis: round trips and commands, one request at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.bench import MOCK
from benchmarks.load import request
from benchmarks.metrics_page import MetricsPage
from benchmarks.redis_side import calls_by_command
from benchmarks.report import Section
from llm_worker.adapters.telemetry import catalog
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.cache import EmbeddedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.bench import Bench
    from benchmarks.report import Figure
    from benchmarks.subject import Subject
    from llm_worker.contracts.topics import TopicCatalog

_ESSAY_BYTES = 1_000
_LATENCY_MS = 20
_SETTLE_S = 0.5
_CASES: dict[str, tuple[int | None, str]] = {
    "miss": (None, "1000"),
    "hit in Redis": (50, "1"),
    "hit in the local tier": (1, "1000"),
}
"""So many different questions, and how many verdicts the local tier keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TripsPlan:
    """How many comparisons to count over."""

    comparisons: int


async def measure_trips(bench: Bench, plan: TripsPlan, tell: Callable[[str], None]) -> Section:
    """Send one request at a time, each after the last one's result."""
    rows: list[dict[str, Figure]] = []
    for name, (questions, entries) in _CASES.items():
        tell(f"cache-trips: {plan.comparisons} times a {name}")
        with EmbeddedCache(bench.directory / "trips") as cache:
            settings = {"CACHE__REDIS_URL": cache.url, "CACHE__LOCAL_MAX_ENTRIES": entries}
            counted = await count_trips(bench, plan, settings, questions=questions)
        rows.append({"": name, **counted})
    return Section(
        title="What a comparison asks of Redis",
        rows=rows,
        remarks=[
            f"mean of {plan.comparisons} comparisons, one in flight, the mock at {_LATENCY_MS} ms",
            "a sign of life every 2.5 s is among them",
            "commands: with those that the scripts call",
        ],
    )


async def count_trips(
    bench: Bench,
    plan: TripsPlan,
    settings: Mapping[str, str],
    *,
    questions: int | None = None,
    providers: Mapping[str, str] = MOCK,
) -> dict[str, Figure]:
    """Count what a comparison asks of the Redis that the settings name; nobody else asks it.

    They ask so many different questions in turn; without `questions` each its own.
    """
    url, topics = settings["CACHE__REDIS_URL"], await bench.topics("trips")
    chosen = {"PROVIDERS__MOCK__LATENCY_MS": str(_LATENCY_MS), **settings}
    with bench.worker(topics, slots=10, providers=providers, settings=chosen) as running:
        subject, address = running
        # Whatever is to be a hit later is bought here.
        await _ask(bench, subject, topics, questions, times=questions or 1)
        page, calls = await MetricsPage.of(address), calls_by_command(url)
        await _ask(bench, subject, topics, questions, times=plan.comparisons)
        last_page, last_calls = await MetricsPage.of(address), calls_by_command(url)
    trips = last_page.total(catalog.REDIS_SECONDS, "_count") - page.total(
        catalog.REDIS_SECONDS, "_count"
    )
    called = {name: count - calls.get(name, 0) for name, count in last_calls.items()}
    scripts = called.get("evalsha", 0) + called.get("eval", 0)
    own = ("info", "hello", "client|setinfo", "client|setname")
    every = sum(count for name, count in called.items() if name not in own)
    return {
        "round trips": float(trips / plan.comparisons),
        "scripts": float(scripts / plan.comparisons),
        "commands": float(every / plan.comparisons),
    }


async def _ask(
    bench: Bench, subject: Subject, topics: TopicCatalog, questions: int | None, *, times: int
) -> None:
    before = await bench.results(topics)
    requested = topics.on_broker(TopicName.COMPARISON_REQUESTED)
    for number in range(times):
        question = f"question {number % questions}" if questions else None
        key, value = request(_ESSAY_BYTES, question=question)
        await bench.producer.send_and_wait(requested, value=value, key=key)
        while await bench.results(topics) <= before + number:
            subject.check()
            await asyncio.sleep(0.005)
    await asyncio.sleep(_SETTLE_S)  # what is posted after a result
