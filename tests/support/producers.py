"""Producers that fail as aiokafka's do, when they are told to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from aiokafka.errors import KafkaConnectionError, ProducerClosed

from llm_worker.adapters.kafka.producers import ProducerLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiokafka import AIOKafkaProducer

    from llm_worker.domain.delivery import Record

    Judge = Callable[["FakeProducer", str, bytes | None], Exception | None]


@dataclass(slots=True, eq=False)
class FakeProducer:
    """One producer; its broker is the `Broker` that made it."""

    broker: Broker
    number: int
    is_up: bool = False
    is_poisoned: bool = False

    async def start(self) -> None:
        if self.broker.is_away:
            raise KafkaConnectionError
        self.is_up = True

    async def send(
        self, topic: str, *, value: bytes | None, key: bytes, headers: list[Any]
    ) -> asyncio.Future[object]:
        if self.broker.metadata is not None:
            await self.broker.metadata.wait()
        if not self.is_up:
            raise ProducerClosed
        assert value is not None or key is not None
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if self.number in self.broker.silent:
            return future
        error = self.broker.judge(self, topic, value)
        if error is None:
            self.broker.held.append((self.number, topic, value, headers))
            future.set_result(None)
        else:
            future.set_exception(error)
            future.exception()  # whoever asks again still gets it
        return future

    async def stop(self) -> None:
        self.is_up = False
        self.broker.stopped.append(self.number)


@dataclass(slots=True)
class Broker:
    """Holds what producers send, unless `judge` gives an error for it."""

    judge: Judge = lambda _producer, _topic, _value: None
    is_away: bool = False
    metadata: asyncio.Event | None = None
    """Set it, and a send waits for it, as for the metadata of a topic."""
    silent: frozenset[int] = frozenset()
    """The numbers of the producers whose records it neither holds nor refuses."""
    made: list[FakeProducer] = field(default_factory=list)
    held: list[tuple[int, str, bytes | None, list[Any]]] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)

    def line(self) -> ProducerLine:
        return ProducerLine(self._make)

    def values(self) -> list[bytes | None]:
        return [value for _, _, value, _ in self.held]

    def _make(self) -> AIOKafkaProducer:
        self.made.append(FakeProducer(self, len(self.made)))
        return cast("AIOKafkaProducer", self.made[-1])


def record_of(record: Record) -> tuple[str, bytes | None]:
    """Name a record by its topic and value."""
    return record.topic, record.value
