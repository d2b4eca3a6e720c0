"""Loops without Kafka, which time themselves in one process."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

import orjson

from benchmarks.loops.solo import SoloJob
from benchmarks.subject import running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.bench import Bench

_TIMEOUT_S = 300.0
_POLL_S = 0.2
ESSAY_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Found:
    """Microseconds of CPU by the name of what was timed and its part, a round each.

    They are scaled to the core's full speed; `slowness` says how far it was from that.
    """

    rounds: list[dict[str, dict[str, float]]]
    slowness: float

    @property
    def names(self) -> list[str]:
        """What was timed."""
        return list(self.rounds[0])

    def us(self, name: str, part: str) -> float:
        """Give the median of a part."""
        return self.median(name, lambda times: times[part])

    def median(self, name: str, of: Callable[[Mapping[str, float]], float]) -> float:
        """Give the median over the rounds of what is made of the parts."""
        return median(of(each[name]) for each in self.rounds)


async def run_solo(bench: Bench, module: str, *, rounds: int, times: int) -> Found:
    """Run a loop with the fakes as its providers; give what it found.

    Raises TimeoutError if that takes more than 5 minutes.
    """
    path = bench.directory / f"{uuid4()}.json"
    found = path.with_suffix(".found")
    SoloJob(
        rounds=rounds,
        times=times,
        essay_bytes=ESSAY_BYTES,
        book=str(bench.yardstick.book),
        found=str(found),
    ).write(path)
    with running(
        module,
        log=path.with_suffix(".log"),
        env=bench.fakes.environment,
        arguments=[str(path)],
    ) as subject:
        mark = bench.yardstick.read()
        due_s = time.monotonic() + _TIMEOUT_S
        while not found.exists():
            subject.check()
            if time.monotonic() > due_s:
                raise TimeoutError(f"{module} took too long; {subject.end_of_log()}")
            await asyncio.sleep(_POLL_S)
        slowness = bench.yardstick.read().slowness_since(mark)
    return Found(orjson.loads(found.read_bytes()), slowness)
