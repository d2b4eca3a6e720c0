"""Loop (d): aiokafka, and one call through httpx's client over aiohttp for each request."""

from __future__ import annotations

import asyncio

import httpx
from httpx_aiohttp import AiohttpTransport

from benchmarks.loops.bare import consume
from benchmarks.loops.job import Answerer, Call, Job
from benchmarks.loops.traced import let_profilers_in


async def run(job: Job, call: Call) -> None:
    """Make the call and write the answers for each request until killed."""
    body = call.body.encode()
    async with (
        httpx.AsyncClient(transport=AiohttpTransport()) as client,
        job.producer() as producer,
    ):
        client.headers.clear()  # the same bytes as our worker sends, no header more
        answerer = Answerer(job, producer)

        async def call_and_answer(key: bytes) -> None:
            response = await client.post(call.url, content=body, headers=call.headers)
            response.raise_for_status()
            await answerer.answer(key)

        await consume(job, answerer, call_and_answer)


def main() -> None:
    """Do the job of the command line."""
    job = Job.from_command_line()
    if job.call is None:
        raise ValueError("the job names no call to make")
    asyncio.run(run(job, job.call))


if __name__ == "__main__":
    let_profilers_in()
    main()
