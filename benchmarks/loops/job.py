"""What a loop is told to do, and the producer that it does it with."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from aiokafka import AIOKafkaProducer

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One record to write for each request: what our worker wrote to that topic once."""

    topic: str
    value: str
    headers: list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The POST to make for each request: what our worker sends for one like it."""

    url: str
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Read one topic from its start and write the answers to each request."""

    bootstrap_servers: str
    group: str
    topic: str
    in_flight: int
    answers: list[Answer]
    call: Call | None = None

    @classmethod
    def from_command_line(cls) -> Self:
        """Read the file that the command line names."""
        fields = orjson.loads(Path(sys.argv[1]).read_bytes())
        answers = [Answer(**answer) for answer in fields["answers"]]
        call = Call(**fields["call"]) if fields["call"] else None
        return cls(**fields | {"answers": answers, "call": call})

    def write(self, path: Path) -> None:
        """Write the file that `from_command_line` reads."""
        path.write_bytes(orjson.dumps(asdict(self)))

    def producer(self) -> AIOKafkaProducer:
        """Make a producer with our worker's options; start it in a running loop."""
        return AIOKafkaProducer(
            bootstrap_servers=self.bootstrap_servers,
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=256 * 1024,
        )


class Answerer:
    """Writes a job's answers; done when the broker holds them."""

    def __init__(self, job: Job, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._answers = [
            (a.topic, a.value.encode(), [(name, value.encode()) for name, value in a.headers])
            for a in job.answers
        ]
        self._room = asyncio.Semaphore(job.in_flight)

    async def enter(self) -> None:
        """Wait until one more request may be in flight."""
        await self._room.acquire()

    async def answer(self, key: bytes) -> None:
        """Write the answers to one request that has entered."""
        sent = [
            await self._producer.send(topic, value=value, key=key, headers=headers)
            for topic, value, headers in self._answers
        ]
        for delivery in sent:
            await delivery
        self._room.release()
