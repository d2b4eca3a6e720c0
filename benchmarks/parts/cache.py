"""CPU that outcome store, claim and cache add: without Redis, on a miss, and on a hit."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks.bench import WINDOW_PER_LANE
from benchmarks.metrics_page import MetricsPage
from benchmarks.redis_side import ask, fill_with_verdicts
from benchmarks.report import Section
from benchmarks.window import measure
from llm_worker.adapters.telemetry import catalog
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.cache import EmbeddedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench
    from benchmarks.loops.job import Answer
    from benchmarks.report import Figure
    from benchmarks.subject import Subject
    from benchmarks.window import Window
    from llm_worker.contracts.topics import TopicCatalog

ESSAY_BYTES = 1_000
_SKIP = 1_500
"""Comparisons before the measured ones: more than the local tier keeps by default."""
_BEHIND = 1_000
_MANY_QUESTIONS, _FEW_QUESTIONS = _SKIP - 500, 10
_FULL_AT, _NEVER_FULL_AT = "1000", "1000000"
_REQUESTED = TopicName.COMPARISON_REQUESTED


class Case(StrEnum):
    """What is compared; (b) is Faust alone."""

    BARE_MISS = "b Faust, the records of a miss"
    BARE_HIT = "b Faust, the records of a hit"
    BYPASS = "i bypass, no Redis"
    ALONE = "ii miss, no Redis"
    MISS = "iii miss"
    REDIS_HIT = "iv hit in Redis"
    LOCAL_HIT = "v hit in the local tier"


WITH_REDIS = (Case.MISS, Case.REDIS_HIT, Case.LOCAL_HIT)
_BARE = (Case.BARE_MISS, Case.BARE_HIT)
_TIER = {Case.REDIS_HIT: "redis", Case.LOCAL_HIT: "local"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePlan:
    """How much to measure, and how many keys one of the two Redis holds beforehand."""

    rounds: int
    comparisons: int
    in_flight: tuple[int, ...]
    keys: int


@dataclass(frozen=True, slots=True)
class _Key:
    case: Case
    is_full: bool = False


_Round = dict[_Key, "Window"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    bench: Bench
    comparisons: int
    topics: dict[Case, TopicCatalog]
    answers: dict[Case, list[Answer]]
    empty: EmbeddedCache
    full: EmbeddedCache

    async def run(self, key: _Key, in_flight: int) -> Window:
        """Run one case once; raises RuntimeError where it did not do what the case says."""
        topics = self.topics[key.case]
        before = await self.bench.results(topics)
        with self.running(key, in_flight) as (subject, address):
            window = await measure(
                self.bench,
                subject,
                topics,
                skip=_SKIP,
                count=self.comparisons,
                held_before=before,
            )
            if address:
                self._check(key.case, await MetricsPage.of(address))
        await asyncio.to_thread(ask, self.empty.url, "FLUSHALL")
        return window

    @contextmanager
    def running(self, key: _Key, in_flight: int) -> Iterator[tuple[Subject, str]]:
        """Run the loop; give it and, if it is our worker, its address."""
        topics = self.topics[key.case]
        if key.case in _BARE:
            with self.bench.answering(
                "benchmarks.loops.faust_bare",
                topics,
                in_flight=in_flight,
                answers=self.answers[key.case],
            ) as subject:
                yield subject, ""
            return
        slots = max(2, in_flight // WINDOW_PER_LANE)
        with self.bench.worker(topics, slots=slots, settings=self._settings(key)) as running:
            yield running

    def _settings(self, key: _Key) -> dict[str, str]:
        entries = _FULL_AT if key.is_full else _NEVER_FULL_AT
        if key.case is Case.REDIS_HIT:
            entries = "1"  # the local tier never has what is asked
        server = self.full if key.is_full else self.empty
        return {
            "CACHE__LOCAL_MAX_ENTRIES": entries,
            "CACHE__REDIS_URL": server.url if key.case in WITH_REDIS else "",
            # The same requests come again in every run: each run remembers its own alone.
            "CACHE__KEY_PREFIX": f"{uuid4()}:",
            # What is measured is the way over Redis, however busy its core is.
            "CACHE__BUDGET_MS": "1000",
        }

    def _check(self, case: Case, page: MetricsPage) -> None:
        failures = page.total(catalog.REDIS_FAILURES)
        hits = {
            tier: page.total(catalog.CACHE_LOOKUPS, tier=tier, result="hit")
            for tier in ("redis", "local")
        }
        tier = _TIER.get(case)
        is_so = hits[tier] >= self.comparisons if tier else not any(hits.values())
        if failures or not is_so:
            raise RuntimeError(f"{case}: {failures:.0f} failures of Redis, hits {hits}")


async def measure_cache(bench: Bench, plan: CachePlan, tell: Callable[[str], None]) -> Section:
    """Run every case in turn, over a Redis that is empty and one that is full."""
    with ExitStack() as stack:
        empty = stack.enter_context(EmbeddedCache(bench.directory / "empty"))
        full = stack.enter_context(EmbeddedCache(bench.directory / "full"))
        tell(f"cache: filling Redis with {plan.keys} keys")
        await asyncio.to_thread(fill_with_verdicts, full.url, plan.keys)
        stage = await _stage(bench, plan, empty, full)
        rows: list[dict[str, Figure]] = []
        for in_flight in plan.in_flight:
            rounds = []
            for number in range(plan.rounds):
                tell(f"cache: {in_flight} in flight, round {number + 1}")
                rounds.append({key: await stage.run(key, in_flight) for key in _keys()})
            rows.extend(_row(case, in_flight, rounds) for case in Case)
    return Section(
        title="Store, claim and cache, microseconds of CPU per comparison",
        rows=rows,
        remarks=[
            f"median of {plan.rounds} interleaved rounds of {plan.comparisons} comparisons",
            "differences and ratios are medians of the rounds'",
            f"{ESSAY_BYTES} bytes an essay, the mock at 0 ms; Redis is Valkey on the other core",
            f"full: {plan.keys} keys of 400 bytes in Redis, and a full local tier of {_FULL_AT}",
            "scaled to the core's full speed; slowness: how far it was from that meanwhile",
        ],
    )


async def _stage(
    bench: Bench, plan: CachePlan, empty: EmbeddedCache, full: EmbeddedCache
) -> _Stage:
    count = _SKIP + plan.comparisons + _BEHIND
    asked = await bench.topics("cache-asked")
    await bench.fill(asked, _REQUESTED, count, essay_bytes=ESSAY_BYTES)
    bypassing = await bench.topics("cache-bypass")
    await bench.fill(bypassing, _REQUESTED, count, essay_bytes=ESSAY_BYTES, cache_mode="bypass")
    many = await bench.topics("cache-many")
    await bench.fill(many, _REQUESTED, count, essay_bytes=ESSAY_BYTES, questions=_MANY_QUESTIONS)
    few = await bench.topics("cache-few")
    await bench.fill(few, _REQUESTED, _SKIP - 500, essay_bytes=ESSAY_BYTES)
    await bench.fill(few, _REQUESTED, count, essay_bytes=ESSAY_BYTES, questions=_FEW_QUESTIONS)
    return _Stage(
        bench=bench,
        comparisons=plan.comparisons,
        topics=dict.fromkeys(Case, asked)
        | {Case.BYPASS: bypassing, Case.REDIS_HIT: many, Case.LOCAL_HIT: few},
        answers={
            Case.BARE_MISS: bench.answers,
            Case.BARE_HIT: await bench.written_on_hit(essay_bytes=ESSAY_BYTES),
        },
        empty=empty,
        full=full,
    )


def _keys() -> list[_Key]:
    """Name the runs of a round; empty and full next to each other, as they are compared."""
    return [
        _Key(case, is_full)
        for case in Case
        for is_full in ((False, True) if case in WITH_REDIS else (False,))
    ]


def _row(case: Case, in_flight: int, rounds: list[_Round]) -> dict[str, Figure]:
    def more_than(other: Case) -> Figure:
        if case in _BARE or case is other:
            return "-"
        return round(median(each[key].cpu_us - each[_Key(other)].cpu_us for each in rounds))

    key, full = _Key(case), _Key(case, is_full=True)
    bare = Case.BARE_HIT if case in _TIER else Case.BARE_MISS
    is_twofold = case in WITH_REDIS
    return {
        "": case,
        "in flight": in_flight,
        "us CPU": round(median(each[key].cpu_us for each in rounds)),
        "more than b": more_than(bare),
        "more than i": more_than(Case.BYPASS),
        "more than ii": more_than(Case.ALONE),
        "comparisons/s": round(median(each[key].per_s for each in rounds)),
        "full: us CPU": round(median(each[full].cpu_us for each in rounds)) if is_twofold else "-",
        "full/empty": median(each[full].cpu_us / each[key].cpu_us for each in rounds)
        if is_twofold
        else "-",
        "full: comparisons/s": round(median(each[full].per_s for each in rounds))
        if is_twofold
        else "-",
        "slowness": median(each[key].slowness for each in rounds),
    }
