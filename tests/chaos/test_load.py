"""What counts as sent."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from llm_worker.contracts.topics import load_topics
from tests.chaos.load import Load


class _Producer:
    """Takes one record, and then lets its callers wait."""

    def __init__(self) -> None:
        self.is_full = asyncio.Event()
        self._taken = 0

    async def send(self, *_record: object, **_parts: object) -> asyncio.Future[object]:
        if self._taken:
            self.is_full.set()
            await asyncio.Event().wait()
        self._taken += 1
        confirmed = asyncio.get_running_loop().create_future()
        confirmed.set_result(None)
        return confirmed


async def test_request_that_the_producer_has_not_taken_when_the_load_ends_was_not_sent() -> None:
    producer = _Producer()
    load = Load(cast("Any", producer), load_topics())
    taken = await load.send()
    sending = asyncio.ensure_future(load.send())
    await producer.is_full.wait()
    sending.cancel()
    await asyncio.wait({sending})
    assert await load.flush() == [taken]
