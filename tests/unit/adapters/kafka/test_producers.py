"""A producer that is retired finishes what it still can."""

from __future__ import annotations

import asyncio

from llm_worker.domain.delivery import Record
from tests.support.producers import Broker

_RECORD = Record(topic="t", key=b"k", value=b"v", headers=())


async def test_producer_is_stopped_only_after_the_sends_that_wait_in_it_have_left() -> None:
    """aiokafka never wakes a send that waits for metadata once its client is closed."""
    broker = Broker(metadata=asyncio.Event())
    line = broker.line()
    producer = await line.current()
    sending = asyncio.ensure_future(line.send(producer, _RECORD))
    await asyncio.sleep(0)
    line.retire(producer)
    stopping = asyncio.ensure_future(line.stop())
    for _ in range(10):
        await asyncio.sleep(0)
    assert broker.stopped == []
    assert broker.metadata is not None
    broker.metadata.set()
    await (await sending)
    await stopping
    assert (broker.stopped, broker.values()) == ([0], [b"v"])


async def test_only_the_first_to_meet_a_failure_retires_the_producer() -> None:
    line = Broker().line()
    producer = await line.current()
    assert [line.retire(producer), line.retire(producer)] == [True, False]
    assert await line.current() is not producer
    await line.stop()
