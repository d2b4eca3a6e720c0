"""What the accountant spends on an event, over topics that were filled before it started."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from statistics import median
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp
import orjson
from aiokafka import TopicPartition

from benchmarks.metrics_page import MetricsPage
from benchmarks.report import Section
from benchmarks.subject import running
from llm_worker.adapters.telemetry.accountant_catalog import BOOKED_EVENTS
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.leashed import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench
    from benchmarks.loops.job import Answer
    from benchmarks.report import Figure
    from benchmarks.subject import Subject
    from benchmarks.yardstick import Mark
    from llm_worker.contracts.topics import TopicCatalog

_MODELS = (("anthropic", "claude-haiku-5-5"), ("openai", "gpt-6-luna"), ("google", "gemini-3.8"))
_ORGANIZATIONS = ("school-1", "school-2", "school-3")
_LANES = ("normal", "bulk")
_CELLS = tuple(product(_MODELS, _ORGANIZATIONS, _LANES))
_POLL_S = 0.1
_TIMEOUT_S = 180.0
_SETTLE_S = 1.0


class Case(StrEnum):
    """What waits."""

    COSTS = "cost_tracking"
    BOTH = "cost_tracking and request_completed"


_WRITTEN = {
    Case.COSTS: (TopicName.COST_TRACKING,),
    Case.BOTH: (TopicName.COST_TRACKING, TopicName.REQUEST_COMPLETED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountantPlan:
    """How often to measure, and how many events each topic holds."""

    rounds: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    booked: int
    states: int
    cpu_s: float
    at_s: float
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """From the first batch that was booked to the last; `idle_s` is the CPU of a mere start."""

    first: _Sample
    last: _Sample
    peak_mb: float
    idle_s: float

    @property
    def events(self) -> int:
        return self.last.booked - self.first.booked

    @property
    def slowness(self) -> float:
        return self.last.mark.slowness_since(self.first.mark)

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU per event, on the core at its fastest."""
        return (self.last.cpu_s - self.first.cpu_s) / self.slowness / self.events * 1e6

    @property
    def whole_us(self) -> float:
        """The same with all that was done before the first batch ended, but for the start."""
        return (self.last.cpu_s - self.idle_s) / self.slowness / self.last.booked * 1e6

    @property
    def per_s(self) -> float:
        """Events a second, as they came."""
        return self.events / (self.last.at_s - self.first.at_s)

    @property
    def states(self) -> float:
        """Records of state per 1,000 events, over all of them."""
        return self.last.states / self.last.booked * 1_000


async def measure_accountant(
    bench: Bench, plan: AccountantPlan, tell: Callable[[str], None]
) -> Section:
    """Run it over fresh topics in every round: what was booked once is known."""
    runs: dict[Case, list[_Run]] = {case: [] for case in Case}
    for number in range(plan.rounds):
        idle_s = await _start(bench)
        for case in Case:
            tell(f"accountant: {plan.events} each of {case}, round {number + 1}")
            topics = await bench.topics("accountant")
            for name in _WRITTEN[case]:
                await _fill(bench, topics, name, plan.events)
            runs[case].append(await _run(bench, topics, plan.events * len(_WRITTEN[case]), idle_s))
    return Section(
        title="The accountant, microseconds of CPU per event",
        rows=[_row(case, runs[case]) for case in Case],
        remarks=[
            f"median of {plan.rounds} rounds of {plan.events} events a topic (lowest to highest)",
            "all events wait before it starts; every round has topics of its own",
            f"{len(_MODELS)} models, {len(_ORGANIZATIONS)} organisations, {len(_LANES)} lanes",
            "us CPU: from the first batch that is booked to the last",
            "from the start: all it did, less the CPU of a start over empty topics",
            "scaled to the core's full speed; events/s as they came",
        ],
    )


@contextmanager
def _running(bench: Bench, topics: TopicCatalog) -> Iterator[tuple[Subject, str]]:
    """Run the accountant; give it and its address."""
    [port] = free_ports(1)
    group = f"bench-{uuid4()}"
    env = {
        "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS": bench.bootstrap_servers,
        "LLM_WORKER_KAFKA__GROUP": group,
        "LLM_WORKER_KAFKA__TOPIC_PREFIX": topics.prefix,
        "LLM_WORKER_WEB__ACCOUNTANT_PORT": str(port),
        "LLM_WORKER_LOG__LEVEL": "WARNING",
        "LLM_WORKER_LOG__FORMAT": "json",
    }
    log = bench.directory / f"{group}.log"
    with running("benchmarks.loops.accountant", log=log, env=env) as subject:
        yield subject, f"http://127.0.0.1:{port}"


async def _start(bench: Bench) -> float:
    """Give the seconds of CPU that it takes to be up, with nothing to do."""
    with _running(bench, await bench.topics("accountant")) as (subject, address):
        await _page_from(subject, address, 0)
        await asyncio.sleep(_SETTLE_S)
        return subject.cpu_s()


async def _run(bench: Bench, topics: TopicCatalog, events: int, idle_s: float) -> _Run:
    with _running(bench, topics) as (subject, address):

        async def sample(booked: int) -> _Sample:
            page, cpu_s = await _page_from(subject, address, booked)
            return _Sample(
                booked=int(_booked(page)),
                states=await _states(bench, topics),
                cpu_s=cpu_s,
                at_s=time.monotonic(),
                mark=bench.yardstick.read(),
            )

        first, last = await sample(1), await sample(events)
        return _Run(first=first, last=last, peak_mb=subject.peak_mb(), idle_s=idle_s)


async def _page_from(subject: Subject, address: str, booked: int) -> tuple[MetricsPage, float]:
    """Wait until so many events are booked; give the page that says so, and the CPU until then."""
    async with asyncio.timeout(_TIMEOUT_S):
        while True:
            subject.check()
            with suppress(aiohttp.ClientError):  # it is not up yet
                page = await MetricsPage.of(address)
                if _booked(page) >= booked:
                    return page, subject.cpu_s()
            await asyncio.sleep(_POLL_S)


def _booked(page: MetricsPage) -> float:
    return page.total(BOOKED_EVENTS, result="added")


async def _states(bench: Bench, topics: TopicCatalog) -> int:
    partition = TopicPartition(topics.on_broker(TopicName.SPEND_STATE), 0)
    ends: dict[TopicPartition, int] = await bench.consumer.end_offsets([partition])
    return ends[partition]


async def _fill(bench: Bench, topics: TopicCatalog, name: TopicName, count: int) -> None:
    """Write events as our worker wrote one, each of another request; the broker holds them."""
    [answer] = [each for each in bench.answers if each.topic == topics[name].name]
    headers = [(key, value.encode()) for key, value in answer.headers]
    for number in range(count):
        event = _event(answer, number)
        await bench.producer.send(
            topics.on_broker(name),
            value=orjson.dumps(event),
            key=event["correlation_id"].encode(),
            headers=headers,
        )
    await bench.producer.flush()


def _event(answer: Answer, number: int) -> dict[str, Any]:
    (provider, model), organization, lane = _CELLS[number % len(_CELLS)]
    event: dict[str, Any] = orjson.loads(answer.value)
    correlation_id, data = str(uuid4()), event["data"]
    data |= {"correlation_id": correlation_id, "provider": provider}
    metadata = data["metadata"] | {"lane": lane}
    usd = (number % 1_000 + 1) / 1_000_000
    if "organization_id" in data:
        data |= {"organization_id": organization, "model": model, "cost_estimate_usd": usd}
    else:
        metadata |= {"organization_id": organization, "model": model}
        data["cost_estimate"] = usd
    data["metadata"] = metadata
    return {**event, "event_id": str(uuid4()), "correlation_id": correlation_id, "data": data}


def _row(case: Case, runs: list[_Run]) -> dict[str, Figure]:
    cpu_us = [run.cpu_us for run in runs]
    return {
        "": case,
        "us CPU": f"{median(cpu_us):.0f} ({min(cpu_us):.0f} to {max(cpu_us):.0f})",
        "us from the start": round(median(run.whole_us for run in runs)),
        "events/s of CPU": round(1e6 / median(cpu_us)),
        "events/s": round(median(run.per_s for run in runs)),
        "states per 1,000": median(run.states for run in runs),
        "RSS MB": round(median(run.peak_mb for run in runs)),
        "slowness": median(run.slowness for run in runs),
    }
