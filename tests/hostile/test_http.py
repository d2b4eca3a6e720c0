"""Thousands of HTTP requests, as bytes on a socket, to the web server of a real worker."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import orjson
import psutil
import pytest

from llm_worker.contracts.vocabulary import ErrorCode
from tests.chaos.harness import FULL, sized
from tests.hostile.planted import KEY, leak_in
from tests.hostile.requests_over_http import HttpMaker, RawRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.support.worker import Installation, WorkerProcess

pytestmark = pytest.mark.timeout(1_800 if FULL else 120)

_COUNT: Final = sized(small=300, full=10_000)
_AT_ONCE: Final = 50
_ANSWERED_S: Final = 300.0 if FULL else 90.0
"""The worker's own deadline is 30 s, and the machine may be busy."""
_LEAVES_S: Final = 2.0
_PROMISED: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'",
}
_SERVER_ERRORS: Final = {503}
"""What may succeed later; nothing that is sent leads to another."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back; status 0 is nothing at all."""

    status: int
    headers: dict[str, str]
    body: bytes


async def test_every_request_is_answered_as_documented_and_the_worker_stays_well(
    installation: Installation,
    worker: WorkerProcess,
    draw: Random,
    found: Callable[[str], None],
) -> None:
    reply_topic = await installation.create_topic(f"huleedu.{installation.prefix}http")
    maker, began_s = HttpMaker(draw, f"{KEY}-admin", reply_topic), monotonic()
    process = psutil.Process(worker.process.pid)
    before = process.memory_info().rss
    requests = [maker.request() for _ in range(_COUNT)]
    answers = await _all(worker, requests)
    grown_mb = (process.memory_info().rss - before) // 2**20
    took_s = monotonic() - began_s
    wrong = [
        f"{complaint}\n    to {request.how} {request.written[:300]!r}\n    {answer}"[:1_500]
        for request, answer in zip(requests, answers, strict=True)
        for complaint in _complaints(request, answer)
    ]
    sound = Counter(
        answer.status for request, answer in zip(requests, answers, strict=True) if request.is_sound
    )
    assert not wrong, f"{len(wrong)} of {_COUNT}:\n" + "\n".join(wrong[:15])
    assert sound[200] + sound[202] > sound.total() / 2
    await installation.until_committed()
    assert (await worker.get("/healthz"))[0] == 200
    assert worker.is_running
    assert leak_in(worker.log) is None
    assert '"event":"fault"' not in worker.log
    assert '"logger":"aiohttp' not in worker.log
    assert grown_mb < 200
    statuses = dict(Counter(answer.status for answer in answers).most_common())
    found(f"{_COUNT} HTTP requests: {took_s:.0f} s, grown by {grown_mb} MB, by status {statuses}")


async def _all(worker: WorkerProcess, requests: list[RawRequest]) -> list[_Answer]:
    port, room = urlsplit(worker.url).port, asyncio.Semaphore(_AT_ONCE)
    assert port is not None
    # Many peers: whoever brings ten wrong keys is not heard for a minute.
    peers = itertools.cycle(f"127.0.0.{number}" for number in range(2, 250))

    async def one(request: RawRequest, peer: str) -> _Answer:
        async with room, asyncio.timeout(_ANSWERED_S):
            return await _ask(port, request, peer)

    return await asyncio.gather(*(one(*pair) for pair in zip(requests, peers, strict=False)))


async def _ask(port: int, request: RawRequest, peer: str) -> _Answer:
    """Write it, and read to the end; who sent half a request goes away after a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(peer, 0))
    said, leaves_s = b"", None if request.is_sound else _LEAVES_S
    try:
        with suppress(ConnectionError):
            writer.write(request.written)
            await writer.drain()
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(leaves_s):
                while chunk := await reader.read(65_536):
                    said += chunk
    finally:
        writer.close()
    return _parsed(said)


def _parsed(said: bytes) -> _Answer:
    said = said.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    if not said:
        return _Answer(0, {}, b"")
    head, _, rest = said.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(": ") for line in lines]
    headers = {name.lower(): value for name, _, value in pairs}
    length = int(headers.get("content-length", "0"))
    return _Answer(int(first.split(" ")[1]), headers, rest[:length])


def _complaints(request: RawRequest, answer: _Answer) -> list[str]:
    if answer.status == 0:
        return ["no answer"] * request.is_sound
    found = []
    if request.is_sound and answer.status not in {200, 202, *_SERVER_ERRORS}:
        found.append(f"sound, and {answer.status}")
    if answer.status >= 500 and answer.status not in _SERVER_ERRORS:
        found.append(f"status {answer.status}")
    found += [
        f"no {name}"
        for name, value in _PROMISED.items()
        if not answer.headers.get(name, "").startswith(value)
    ]
    if answer.status >= 400 and answer.body:
        found += _error_complaints(answer)
    leak = leak_in(f"{answer.headers} {answer.body!r}")
    return found + [f"told {leak}"] * bool(leak)


def _error_complaints(answer: _Answer) -> list[str]:
    if answer.headers.get("content-type") != "application/json; charset=utf-8":
        return ["an error that is no JSON"]
    said = orjson.loads(answer.body)
    if answer.status == 503 and "error" not in said:
        return []  # a health page
    return (
        [] if said["error"] and said["error_type"] in set(ErrorCode) else ["an error without words"]
    )
