"""Loop (a): aiokafka and nothing else, a task per request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer

from benchmarks.loops.job import Answerer, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Answering = Callable[[bytes], Coroutine[None, None, None]]


async def run(job: Job) -> None:
    """Answer requests until killed."""
    async with job.producer() as producer:
        answerer = Answerer(job, producer)
        await consume(job, answerer, answerer.answer)


async def consume(job: Job, answerer: Answerer, answer: Answering) -> None:
    """Read requests until killed, each answered by a task of its own, given its key."""
    consumer = AIOKafkaConsumer(
        job.topic,
        bootstrap_servers=job.bootstrap_servers,
        group_id=job.group,
        auto_offset_reset="earliest",
        auto_commit_interval_ms=1000,
    )
    tasks: set[asyncio.Task[None]] = set()
    async with consumer:
        while True:
            polled = await consumer.getmany(timeout_ms=1000, max_records=500)
            for record in (record for records in polled.values() for record in records):
                await answerer.enter()
                task = asyncio.create_task(  # noqa: TID251 - owned by `tasks`, as our worker does
                    answer(record.key)
                )
                tasks.add(task)
                task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    asyncio.run(run(Job.from_command_line()))
