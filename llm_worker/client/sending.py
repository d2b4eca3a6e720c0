"""Requests to Kafka, until the broker holds them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from llm_worker.client.errors import ClientError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from aiokafka import AIOKafkaProducer

    from llm_worker.client.submission import RequestRecord

GIVE_UP_S: Final = 120.0
"""Seconds after which a record that the broker does not take is given up."""

_PAUSE_S: Final = 1.0
_FOR_GOOD: Final = (
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)
"""What sending again does not mend."""


@dataclass(slots=True, eq=False)
class _Sending:
    record: RequestRecord
    give_up_at: float
    held: asyncio.Future[None] = field(default_factory=asyncio.Future)


class Sender:
    """Sends through a producer that it replaces when that one fails.

    aiokafka's idempotent producer waits out most outages itself. It gives up on a partition that
    stays without a leader, and is of no use any more once the broker has refused a record. What is
    sent twice then has one event id, and is one request.

    Args:
        open_producer: Opens a producer; raises ClientError.
    """

    def __init__(
        self, open_producer: Callable[[], AbstractAsyncContextManager[AIOKafkaProducer]]
    ) -> None:
        self._open_producer = open_producer
        self._producer: AIOKafkaProducer | None = None
        self._closing = AsyncExitStack()
        self._in_flight: set[_Sending] = set()
        self._failed: list[_Sending] = []
        self._has_failed = asyncio.Event()

    async def send(self, record: RequestRecord) -> asyncio.Future[None]:
        """Hand a record over; the future ends when the broker holds it, or with why not."""
        sending = _Sending(record, asyncio.get_running_loop().time() + GIVE_UP_S)
        await self._hand_over(sending)
        return sending.held

    async def __aenter__(self) -> Self:
        await self._open()
        # Owned by this sender, which cancels it on leaving.
        self._mending = asyncio.create_task(self._mend())  # noqa: TID251 - see above
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._mending.cancel()
        with suppress(asyncio.CancelledError):
            await self._mending
        await self._closing.aclose()
        for sending in self._in_flight | set(self._failed):
            sending.held.cancel()

    async def _open(self) -> None:
        self._producer = await self._closing.enter_async_context(self._open_producer())

    async def _hand_over(self, sending: _Sending) -> None:
        record, producer = sending.record, self._producer
        self._in_flight.add(sending)
        if producer is None:
            self._fail(sending, None)
            return
        try:
            delivery = await producer.send(
                record.topic, value=record.value, key=record.key, headers=record.headers
            )
        except KafkaError as error:
            self._fail(sending, error)
            return
        delivery.add_done_callback(lambda ended: self._end(sending, ended))

    def _end(self, sending: _Sending, delivery: asyncio.Future[Any]) -> None:
        error = None if delivery.cancelled() else delivery.exception()
        if sending not in self._in_flight or sending.held.done():
            return
        if error is None and not delivery.cancelled():
            self._in_flight.discard(sending)
            sending.held.set_result(None)
        else:
            self._fail(sending, error)

    def _fail(self, sending: _Sending, error: BaseException | None) -> None:
        """Send it again later, unless that would not help."""
        self._in_flight.discard(sending)
        if sending.held.done():
            return
        if error is not None and (
            isinstance(error, _FOR_GOOD) or not isinstance(error, KafkaError)
        ):
            sending.held.set_exception(error)
        elif asyncio.get_running_loop().time() > sending.give_up_at:
            sending.held.set_exception(
                UnreachableError(
                    f"Kafka has not taken a request within {GIVE_UP_S:.0f} s: check its brokers"
                )
            )
        else:
            self._failed.append(sending)
            self._has_failed.set()

    async def _mend(self) -> None:
        while True:
            await self._has_failed.wait()
            await asyncio.sleep(_PAUSE_S)  # a new producer would meet the same at once
            self._producer = None
            await self._closing.aclose()
            self._has_failed.clear()
            # Stopped in bounded time, the old one may leave records undecided for ever.
            again = self._failed + list(self._in_flight)
            self._failed, self._in_flight = [], set()
            with suppress(ClientError):
                await self._open()
            for sending in again:
                await self._hand_over(sending)
