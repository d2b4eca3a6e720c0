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
from llm_worker.client.publishing import GIVE_UP_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from aiokafka import AIOKafkaProducer

    from llm_worker.client.submission import RequestRecord

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
    held: asyncio.Future[None] = field(default_factory=asyncio.Future)
    delivery: asyncio.Future[Any] | None = None
    """By the producer that had it last."""

    entering: asyncio.Timeout | None = None
    """While a producer has not taken it yet."""

    async def enter(self, producer: AIOKafkaProducer) -> asyncio.Future[Any]:
        """Give it to a producer. Raises KafkaError, and TimeoutError after `leave`."""
        record = self.record
        # Left alone, what waits for metadata would wait for ever once the producer is closed.
        async with asyncio.timeout(None) as entering:
            self.entering = entering
            try:
                delivery: asyncio.Future[Any] = await producer.send(
                    record.topic, value=record.value, key=record.key, headers=record.headers
                )
            finally:
                if self.entering is entering:
                    self.entering = None
        return delivery

    def leave(self) -> None:
        """Wait no longer for the producer to take it."""
        if self.entering is not None:
            self.entering.reschedule(asyncio.get_running_loop().time())
            self.entering = None


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
        self._is_open = False
        self._undecided: set[_Sending] = set()
        self._must_mend = asyncio.Event()

    async def send(self, record: RequestRecord) -> asyncio.Future[None]:
        """Hand a record over; the future ends when the broker holds it, or with why not.

        Raises:
            ClientError: The client is not entered.
        """
        if not self._is_open:
            raise ClientError("the client is not open: use it within `async with`")
        sending = _Sending(record)
        giving_up = asyncio.get_running_loop().call_later(GIVE_UP_S, self._give_up, sending)
        self._undecided.add(sending)
        sending.held.add_done_callback(lambda _held: self._forget(sending, giving_up))
        try:
            await self._hand_over(sending)
        except BaseException:
            sending.held.cancel()  # whoever asked has gone: it is not to be sent any more
            raise
        return sending.held

    async def __aenter__(self) -> Self:
        await self._open()
        # Owned by this sender, which cancels it on leaving.
        self._mending = asyncio.create_task(self._mend())  # noqa: TID251 - see above
        self._is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        self._mending.cancel()
        with suppress(asyncio.CancelledError):
            await self._mending
        await self._closing.aclose()
        for sending in list(self._undecided):
            sending.held.cancel()

    async def _open(self) -> None:
        self._producer = await self._closing.enter_async_context(self._open_producer())

    async def _hand_over(self, sending: _Sending) -> None:
        # Without a producer a new one is being opened, which gets all that is undecided.
        while not sending.held.done() and (producer := self._producer) is not None:
            try:
                sending.delivery = await sending.enter(producer)
            except TimeoutError:
                return  # it is decided, or the next producer gets it with all that is undecided
            except KafkaError as error:
                if producer is self._producer:
                    self._fail(sending, error)
                    return
            else:
                sending.delivery.add_done_callback(lambda ended: self._end(sending, ended))
                return

    def _end(self, sending: _Sending, delivery: asyncio.Future[Any]) -> None:
        error = None if delivery.cancelled() else delivery.exception()
        if sending.held.done():
            return
        if error is None and not delivery.cancelled():
            sending.held.set_result(None)
        elif delivery is sending.delivery:
            self._fail(sending, error)

    def _fail(self, sending: _Sending, error: BaseException | None) -> None:
        """Send it again later, unless that would not help."""
        is_final = isinstance(error, _FOR_GOOD) or not isinstance(error, KafkaError | None)
        if error is not None and is_final:
            sending.held.set_exception(error)
        else:
            self._must_mend.set()

    def _give_up(self, sending: _Sending) -> None:
        if sending.held.done():  # just now: who cancels this call is told after it
            return
        sending.held.set_exception(
            UnreachableError(
                f"Kafka has not taken a request within {GIVE_UP_S:.0f} s: check its brokers"
            )
        )
        self._must_mend.set()  # or the producer would send it all the same once it can

    def _forget(self, sending: _Sending, giving_up: asyncio.TimerHandle) -> None:
        giving_up.cancel()
        sending.leave()
        self._undecided.discard(sending)

    async def _mend(self) -> None:
        while True:
            await self._must_mend.wait()
            await asyncio.sleep(_PAUSE_S)  # a new producer would meet the same at once
            self._producer = None
            for sending in self._undecided:
                sending.leave()
            await self._closing.aclose()
            try:
                await self._open()
            except ClientError:
                continue
            self._must_mend.clear()
            for sending in list(self._undecided):
                await self._hand_over(sending)
