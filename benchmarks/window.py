"""A stretch of a run, from one number of results to another, and what it cost."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.subject import Subject
    from benchmarks.yardstick import Mark
    from llm_worker.contracts.topics import TopicCatalog

_SAMPLE_S = 0.05
_TIMEOUT_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was spent on so many comparisons; `slowness` is the core's, 1 at its fastest."""

    comparisons: int
    cpu_s: float
    elapsed_s: float
    slowness: float

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU per comparison, on the core at its fastest."""
        return self.cpu_s / self.slowness / max(1, self.comparisons) * 1e6

    @property
    def per_s(self) -> float:
        """Comparisons per second, as they came."""
        return self.comparisons / self.elapsed_s

    @property
    def core_share(self) -> float:
        """Share of the core that was taken, as it was."""
        return self.cpu_s / self.elapsed_s


async def measure(
    bench: Bench, subject: Subject, topics: TopicCatalog, *, skip: int, count: int, held_before: int
) -> Window:
    """Measure `count` comparisons after the first `skip`, by what arrives on the result topic.

    What is counted is what the broker holds, so start-up, imports and joining the group are left
    out. Raises TimeoutError if they do not arrive within 3 minutes.
    """
    first = await _sample_from(bench, subject, topics, held_before + skip)
    last = await _sample_from(bench, subject, topics, held_before + skip + count)
    return _between(first, last)


async def measure_for(
    bench: Bench, subject: Subject, topics: TopicCatalog, *, seconds: float
) -> Window:
    """Measure so many seconds from now."""
    first = await _sample(bench, subject, topics)
    await asyncio.sleep(seconds)
    return _between(first, await _sample(bench, subject, topics))


@dataclass(frozen=True, slots=True)
class _Sample:
    held: int
    cpu_s: float
    at_s: float
    mark: Mark


def _between(first: _Sample, last: _Sample) -> Window:
    return Window(
        comparisons=last.held - first.held,
        cpu_s=last.cpu_s - first.cpu_s,
        elapsed_s=last.at_s - first.at_s,
        slowness=last.mark.slowness_since(first.mark),
    )


async def _sample_from(bench: Bench, subject: Subject, topics: TopicCatalog, held: int) -> _Sample:
    due_s = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < due_s:
        sample = await _sample(bench, subject, topics)
        if sample.held >= held:
            return sample
        await asyncio.sleep(_SAMPLE_S)
    raise TimeoutError(f"no {held} results within {_TIMEOUT_S:.0f} s; {subject.end_of_log()}")


async def _sample(bench: Bench, subject: Subject, topics: TopicCatalog) -> _Sample:
    subject.check()
    held, mark = await bench.results(topics), bench.yardstick.read()
    return _Sample(held, subject.cpu_s(), time.monotonic(), mark)
