"""What a soak looks at every few seconds."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from statistics import quantiles
from typing import TYPE_CHECKING, Final

import psutil
from redis.exceptions import RedisError

from llm_worker.contracts.vocabulary import TopicName
from tests.chaos.evidence import REQUESTS
from tests.chaos.soak_trends import ProcessSample, SoakSample

if TYPE_CHECKING:
    from tests.chaos.processes import WorkerProcess
    from tests.chaos.storm_stack import Stack

_MB: Final = 2**20


@dataclass(slots=True)
class Sampler:
    """Takes samples of a stack until it is cancelled."""

    stack: Stack
    every_s: float
    samples: list[SoakSample] = field(default_factory=list)
    _begun_s: float = field(default_factory=time.monotonic)
    _asked_ms: dict[str, int] = field(default_factory=dict)
    _looked_at: int = 0

    async def run(self) -> None:
        """Take one sample after the other, for ever."""
        while True:
            await asyncio.sleep(self.every_s)
            redis = await asyncio.to_thread(self._redis)
            if redis is not None:  # or it is away, and there is nothing to compare
                self._take(*redis)

    def _take(self, keys: int, used_bytes: int) -> None:
        latencies = self._latencies_ms()
        samples = self.stack.scenario.watch.samples
        self.samples.append(
            SoakSample(
                at_s=round(time.monotonic() - self._begun_s, 1),
                sent=len(self._asked_ms),
                lag=samples[-1].lag() if samples else 0,
                redis_keys=keys,
                redis_mb=round(used_bytes / _MB, 2),
                p50_ms=_quantile(latencies, 50),
                p99_ms=_quantile(latencies, 99),
                processes=tuple(map(_of_process, self.stack.spared)),
            )
        )

    def _redis(self) -> tuple[int, int] | None:
        try:
            keys = self.stack.redis.ask("DBSIZE")
            memory = self.stack.redis.ask("INFO", "memory")
        except (RedisError, OSError):
            return None
        return int(keys), int(memory["used_memory"])

    def _latencies_ms(self) -> list[int]:
        """Give the time from request record to result record of the results since the last look."""
        seen = self.stack.scenario.watch.seen
        new, self._looked_at = seen[self._looked_at :], len(seen)
        for record in new:
            if record.kind in REQUESTS:
                self._asked_ms.setdefault(record.mark, record.at_ms)
        return [
            record.at_ms - self._asked_ms[record.mark]
            for record in new
            if record.kind is TopicName.COMPARISON_RESULT and record.mark in self._asked_ms
        ]


def _of_process(process: WorkerProcess) -> ProcessSample:
    found = psutil.Process(process.pid)
    return ProcessSample(
        name=process.log.stem,
        rss_mb=round(found.memory_info().rss / _MB, 1),
        descriptors=found.num_fds(),
        threads=found.num_threads(),
    )


def _quantile(values: list[int], percent: int) -> float | None:
    return quantiles(values, n=100)[percent - 1] if len(values) > 1 else None
