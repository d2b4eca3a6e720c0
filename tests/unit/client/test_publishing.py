from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from aiokafka.errors import KafkaError, NodeNotReadyError

from llm_worker.client.publishing import _stop

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer


@dataclass
class Client:
    is_closed: bool = False

    async def close(self) -> None:
        self.is_closed = True


class Task:
    is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Batches:
    failed_with: KafkaError | None = None

    def fail_all(self, error: KafkaError) -> None:
        self.failed_with = error


@dataclass
class Sending:
    sender_task: Task = field(default_factory=Task)


@dataclass
class Unstoppable:
    """A producer that meets an outage while it stops."""

    client: Client = field(default_factory=Client)
    _sender: Sending = field(default_factory=Sending)
    _message_accumulator: Batches = field(default_factory=Batches)

    async def stop(self) -> None:
        raise NodeNotReadyError


async def test_producer_that_an_outage_keeps_from_stopping_is_gone_and_is_no_error() -> None:
    producer = Unstoppable()

    await _stop(cast("AIOKafkaProducer", producer))

    assert producer.client.is_closed
    assert producer._sender.sender_task.is_cancelled
    assert producer._message_accumulator.failed_with
