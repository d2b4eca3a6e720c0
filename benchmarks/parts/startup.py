"""How long the worker takes from its start until it is ready, and until its first result."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING

import aiohttp

from benchmarks.report import Section
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.bench import Bench
    from benchmarks.report import Figure
    from benchmarks.subject import Subject
    from llm_worker.contracts.topics import TopicCatalog

_POLL_S = 0.02
_TIMEOUT_S = 60.0
_HTTP_OK = 200


async def measure_startup(bench: Bench, rounds: int, tell: Callable[[str], None]) -> Section:
    """Start the worker with one request waiting, a few times."""
    topics = await bench.topics("startup")
    await bench.fill(topics, TopicName.COMPARISON_REQUESTED, 1, essay_bytes=1_000)
    tell(f"startup: {rounds} times")
    starts = [await _start(bench, topics) for _ in range(rounds)]
    row: dict[str, Figure] = {
        "s to /readyz 200": float(median(ready for ready, _, _ in starts)),
        "s to the first result": float(median(result for _, result, _ in starts)),
        "s of CPU": float(median(cpu for _, _, cpu in starts)),
    }
    return Section(title="Start-up", rows=[row], remarks=[f"median of {rounds}, on one core"])


async def _start(bench: Bench, topics: TopicCatalog) -> tuple[float, float, float]:
    before = await bench.results(topics)

    async def has_result() -> bool:
        return await bench.results(topics) > before

    started_s = time.monotonic()
    async with aiohttp.ClientSession() as session:
        with bench.worker(topics, slots=10) as (subject, address):

            async def is_ready() -> bool:
                try:
                    async with session.get(f"{address}/readyz") as response:
                        return response.status == _HTTP_OK
                except aiohttp.ClientError:
                    return False

            ready_s, result_s = await asyncio.gather(
                _moment(is_ready, subject), _moment(has_result, subject)
            )
            return ready_s - started_s, result_s - started_s, subject.cpu_s()


async def _moment(is_so: Callable[[], Awaitable[bool]], subject: Subject) -> float:
    """Wait until something is so, and give the moment."""
    async with asyncio.timeout(_TIMEOUT_S):
        while not await is_so():
            subject.check()
            await asyncio.sleep(_POLL_S)
    return time.monotonic()
