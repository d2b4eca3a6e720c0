"""The bare loop: aiokafka, and httpx over aiohttp. With a gateway's address, the gateway's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from httpx_aiohttp import AiohttpTransport

from benchmarks.peers.apps.job import PeerJob, result_of

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord


async def run(job: PeerJob) -> None:
    """Answer requests until killed."""
    limits = httpx.Limits(max_connections=job.in_flight, max_keepalive_connections=job.in_flight)
    headers = {"Authorization": f"Bearer {job.api_key}"}
    consumer = AIOKafkaConsumer(
        job.requests,
        bootstrap_servers=job.bootstrap_servers,
        group_id=job.group,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=job.bootstrap_servers, linger_ms=5)
    transport = AiohttpTransport(limits=limits)
    async with (
        httpx.AsyncClient(transport=transport, headers=headers, timeout=60) as client,
        producer,
        consumer,
        asyncio.TaskGroup() as answering,
    ):
        room = asyncio.Semaphore(job.in_flight)

        async def answer(record: ConsumerRecord) -> None:
            request = orjson.loads(record.value)
            response = await client.post(
                f"{job.base_url}/chat/completions", json=job.call_about(request["data"])
            )
            response.raise_for_status()
            completion = orjson.loads(response.content)
            content = completion["choices"][0]["message"]["content"]
            result = result_of(request["correlation_id"], content, completion["usage"])
            await producer.send_and_wait(job.results, orjson.dumps(result), key=record.key)
            room.release()

        async for record in consumer:
            await room.acquire()
            answering.create_task(answer(record))


if __name__ == "__main__":
    asyncio.run(run(PeerJob.from_command_line()))
