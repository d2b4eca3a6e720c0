"""FastStream and the OpenAI SDK, over httpx or aiohttp; uvloop, as its command line takes it."""

from __future__ import annotations

import httpx2
import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker
from openai import AsyncOpenAI, DefaultAioHttpClient, DefaultAsyncHttpxClient

from benchmarks.peers.apps.job import PeerJob
from benchmarks.peers.apps.messages import Request, Result, result_from

job = PeerJob.from_command_line()
limits = httpx2.Limits(max_connections=job.in_flight, max_keepalive_connections=job.in_flight)
client_class = DefaultAioHttpClient if job.over == "aiohttp" else DefaultAsyncHttpxClient
client = AsyncOpenAI(
    base_url=job.base_url, api_key=job.api_key, http_client=client_class(limits=limits)
)
broker = KafkaBroker(job.bootstrap_servers, logger=None)


@broker.subscriber(  # type: ignore[untyped-decorator] # FastStream is in its own environment
    job.requests, group_id=job.group, auto_offset_reset="earliest", max_workers=job.in_flight
)
@broker.publisher(job.results)  # type: ignore[untyped-decorator] # likewise
async def judge(request: Request) -> Result:
    """Ask for a verdict on one request."""
    completion = await client.chat.completions.create(**job.call_about(request.data.model_dump()))
    usage = completion.usage.model_dump() if completion.usage else {}
    return result_from(request, completion.choices[0].message.content or "", usage)


if __name__ == "__main__":
    uvloop.run(FastStream(broker, logger=None).run())
