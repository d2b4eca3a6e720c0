"""Requests at a fixed rate, whatever becomes of them: nobody waits for an answer."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from benchmarks.beside import beside
from benchmarks.load import request
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.bench import Bench
    from llm_worker.contracts.topics import TopicCatalog

_ESSAY_BYTES = 1_000
_TICK_S = 0.002


@asynccontextmanager
async def steady_load(bench: Bench, topics: TopicCatalog, *, per_s: float) -> AsyncIterator[None]:
    """Send so many a second; what is late is sent at once, so that none is left out."""
    topic = topics.on_broker(TopicName.COMPARISON_REQUESTED)
    began_s = time.monotonic()

    async def feed() -> None:
        sent = 0
        while True:
            for _ in range(int((time.monotonic() - began_s) * per_s) - sent):
                key, value = request(_ESSAY_BYTES)
                await bench.producer.send(topic, value=value, key=key)
                sent += 1
            await asyncio.sleep(_TICK_S)

    async with beside(feed()):
        yield
    await bench.producer.flush()
