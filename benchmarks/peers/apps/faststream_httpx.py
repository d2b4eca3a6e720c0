"""FastStream and httpx; uvloop, as FastStream's command line takes it."""

from __future__ import annotations

import httpx
import orjson
import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker

from benchmarks.peers.apps.job import PeerJob
from benchmarks.peers.apps.messages import Request, Result, result_from

job = PeerJob.from_command_line()
limits = httpx.Limits(max_connections=job.in_flight, max_keepalive_connections=job.in_flight)
client = httpx.AsyncClient(
    headers={"Authorization": f"Bearer {job.api_key}"}, limits=limits, timeout=60
)
broker = KafkaBroker(job.bootstrap_servers, logger=None)


@broker.subscriber(  # type: ignore[untyped-decorator] # FastStream is in its own environment
    job.requests, group_id=job.group, auto_offset_reset="earliest", max_workers=job.in_flight
)
@broker.publisher(job.results)  # type: ignore[untyped-decorator] # likewise
async def judge(request: Request) -> Result:
    """Ask for a verdict on one request."""
    response = await client.post(
        f"{job.base_url}/chat/completions", json=job.call_about(request.data.model_dump())
    )
    response.raise_for_status()
    completion = orjson.loads(response.content)
    content = completion["choices"][0]["message"]["content"]
    return result_from(request, content, completion["usage"])


if __name__ == "__main__":
    uvloop.run(FastStream(broker, logger=None).run())
