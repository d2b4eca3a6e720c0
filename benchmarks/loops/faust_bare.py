"""Loop (b): Faust as it comes, made safe by the ordered gate alone, and aiokafka's producer."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from typing import Any

import faust

from benchmarks.loops.job import Answerer, Job
from benchmarks.loops.traced import let_profilers_in
from llm_worker.adapters.kafka.offsets import OrderedGate


def build(job: Job, datadir: str) -> faust.App:
    """Make the app with one agent; its settings are our worker's where they cost CPU."""
    app = faust.App(
        job.group,
        broker=f"kafka://{job.bootstrap_servers}",
        datadir=datadir,
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=1.0,
        broker_max_poll_records=500,
        stream_buffer_maxsize=1024,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
    )

    async def consume(stream: Any) -> None:  # noqa: ANN401 - Faust's
        gate: OrderedGate[Any] = OrderedGate()
        tasks: set[asyncio.Task[None]] = set()

        async def handle(event: Any) -> None:  # noqa: ANN401 - Faust's
            message = event.message
            await answerer.answer(message.key)
            place = (message.topic, message.partition)
            for passed in gate.finish(place, message.generation_id, message.offset):
                await stream.ack(passed)

        async with job.producer() as producer:
            answerer = Answerer(job, producer)
            async for event in stream.noack().events():
                message = event.message
                place = (message.topic, message.partition)
                gate.add(place, message.generation_id, message.offset, event)
                await answerer.enter()
                task = asyncio.create_task(handle(event))  # noqa: TID251 - owned by `tasks`
                tasks.add(task)
                task.add_done_callback(tasks.discard)

    app.agent(app.topic(job.topic), name="bare")(consume)
    return app


def main() -> None:
    """Answer requests until killed."""
    with tempfile.TemporaryDirectory() as datadir:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        app = build(Job.from_command_line(), datadir)
        app.conf.web_enabled = False
        for library in ("aiokafka", "faust", "mode"):
            logging.getLogger(library).setLevel(logging.WARNING)  # as our worker does
        faust.Worker(app, loglevel="WARNING", quiet=True, loop=loop).execute_from_commandline()


if __name__ == "__main__":
    let_profilers_in()
    main()
