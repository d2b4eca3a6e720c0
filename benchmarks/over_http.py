"""Our worker with the fake providers over HTTP, and the bare loop that makes its calls."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from benchmarks.calls import prepared_call
from benchmarks.loops.job import Answer, Call
from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.providers.http_provider import HttpProvider
from llm_worker.bootstrap.providers.configured import build_provider
from llm_worker.bootstrap.worker.app import load_worker_settings
from llm_worker.contracts.vocabulary import ProviderName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from benchmarks.bench import Bench
    from benchmarks.subject import Subject
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.dev.fake_providers.process import FakeProviders

ASKED = ProviderName.OPENAI
"""Who answers; the other four are configured, and are not needed."""


def environment_of(fakes: FakeProviders, *, calls: int) -> dict[str, str]:
    """Let a worker call the fakes, at most so many at once, `ASKED` first."""
    return fakes.environment | {
        "LLM_WORKER_ROUTING__DEFAULT_PROVIDER": ASKED.value,
        f"LLM_WORKER_PROVIDERS__{ASKED.upper()}__MAX_IN_FLIGHT": str(calls),
    }


async def set_latency(fakes: FakeProviders, seconds: float) -> None:
    """Let the fakes take so long for an answer from now on."""
    change = {"latency_ms": seconds * 1000}
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await session.post(f"{fakes.url}/_control", json=change)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverHttp:
    """The two loops, for requests of one size, with so many calls at once."""

    bench: Bench
    calls: int
    call: Call
    answers: list[Answer]

    @classmethod
    async def on(cls, bench: Bench, *, calls: int, essay_bytes: int) -> Self:
        """Find out what the worker sends and writes, so that the bare loop can do the same."""
        environment = environment_of(bench.fakes, calls=calls)
        return cls(
            bench=bench,
            calls=calls,
            call=await call_of(environment, essay_bytes),
            answers=await bench.written(environment, essay_bytes=essay_bytes),
        )

    @contextmanager
    def bare(self, topics: TopicCatalog) -> Iterator[Subject]:
        """Run the bare loop, with at most `calls` requests that are not answered."""
        with self.bench.answering(
            "benchmarks.loops.http_bare",
            topics,
            in_flight=self.calls,
            answers=self.answers,
            call=self.call,
        ) as subject:
            yield subject

    @contextmanager
    def worker(self, topics: TopicCatalog) -> Iterator[Subject]:
        """Run our worker, with at most `calls` running in the one lane that has work."""
        slots = slots_for(self.calls)
        environment = environment_of(self.bench.fakes, calls=slots)
        with self.bench.worker(topics, slots=slots, providers=environment) as (subject, _):
            yield subject


def slots_for(calls: int) -> int:
    """Give the slots of which one lane alone may use `calls`: a quarter is always the other's."""
    return next(slots for slots in range(calls, 2 * calls + 1) if slots - slots // 4 >= calls)


async def call_of(environment: dict[str, str], essay_bytes: int) -> Call:
    """Give the call that a worker of this environment makes for a request."""
    settings = load_worker_settings(environment | {"PATH": os.defpath})
    provider = build_provider(settings, ASKED, SystemClock())
    if not isinstance(provider, HttpProvider):
        raise TypeError(f"{ASKED} is not asked over HTTP")
    request = await prepared_call(provider, essay_bytes)
    return Call(url=str(request.url), headers=dict(request.headers), body=request.content.decode())
