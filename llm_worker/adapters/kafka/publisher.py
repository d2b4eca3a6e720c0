"""Records to Kafka: sent until the broker holds them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
    stop_never,
    wait_random_exponential,
)

from llm_worker.application.ports import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aiokafka import AIOKafkaProducer

    from llm_worker.adapters.kafka.broker_health import BrokerHealth
    from llm_worker.adapters.kafka.producers import ProducerLine
    from llm_worker.application.ports import Sending
    from llm_worker.domain.delivery import Record

_RECORD_OVERHEAD_BYTES = 512
_FOREIGN_TRIES = 3
_FOREIGN_PATIENCE_S = 5.0
_PATIENCE_S = 60.0
"""How long a record may be on its way before it is sent again: twice the request timeout.

A producer that was retired may leave a record undecided for ever.
"""
_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class KafkaSending:
    """A record on its way; without a future it failed, or was refused, at once."""

    record: Record
    producer: AIOKafkaProducer | None = None
    future: asyncio.Future[object] | None = None
    error: KafkaError | None = None
    refusal: Refusal | None = None

    async def failure(self) -> KafkaError | None:
        """Say why the broker does not hold the record, None when it does."""
        if self.error is not None or self.future is None:
            return self.error
        return await _failure_of(self.future, _patience_s(self.record))


class KafkaPublisher:
    """Publishes through two lines of producers: our own topics, and those that callers named.

    What becomes of a record to one of our own topics counts for `health`; a caller's never does.
    """

    def __init__(
        self,
        *,
        own: ProducerLine,
        foreign: ProducerLine,
        health: BrokerHealth,
        limits: Mapping[str, int],
        on_retry: Callable[[], None],
    ) -> None:
        self._own = own
        self._foreign = foreign
        self.health = health
        self._limits = limits
        self._on_retry = on_retry
        own.tell = health.note_start

    async def ready(self) -> None:
        """Wait while the breaker is open: what cannot be published must not be bought."""
        await self.health.ready()

    async def send(self, record: Record) -> KafkaSending:
        """Hand the record over; it is on its way, not yet held."""
        if self._size_exceeds_topic(record):
            return KafkaSending(record, refusal=Refusal.TOO_LARGE)
        await self.ready()
        if record.is_own:
            return await self._hand_over(record)
        try:
            # A caller's topic may be gone: aiokafka would look for it for half a minute.
            async with asyncio.timeout(_FOREIGN_PATIENCE_S):
                return await self._hand_over(record)
        except TimeoutError:
            return KafkaSending(record, self._foreign.ready, error=KafkaTimeoutError())

    async def confirm(self, sendings: Sequence[Sending]) -> list[Refusal | None]:
        """Return once the broker holds every record, or has refused it for good, and say why."""
        return [await self._confirm(sending) for sending in sendings]

    async def stop(self) -> None:
        """Flush and stop both lines, in bounded time."""
        await asyncio.gather(self._own.stop(), self._foreign.stop())

    async def _hand_over(self, record: Record) -> KafkaSending:
        line = self._line(record)
        producer = await line.current()
        try:
            return KafkaSending(record, producer, await line.send(producer, record))
        except KafkaError as error:
            return KafkaSending(record, producer, error=error)

    def _line(self, record: Record) -> ProducerLine:
        return self._own if record.is_own else self._foreign

    def _size_exceeds_topic(self, record: Record) -> bool:
        limit = self._limits.get(record.topic)
        if limit is None:
            return False
        return record.size_bytes + _RECORD_OVERHEAD_BYTES > limit

    async def _confirm(self, sending: Sending) -> Refusal | None:
        if not isinstance(sending, KafkaSending):
            raise TypeError("only what this publisher has sent can be confirmed by it")
        if sending.refusal is not None:
            return sending.refusal
        record = sending.record
        error = await sending.failure()
        if error is None:
            self._note_success(record)
            return None
        self._note_failure(record, sending.producer, error)
        if isinstance(error, MessageSizeTooLargeError):
            return await self._deliver_alone(record)
        if not record.is_own and await self._is_gone(record.topic, error):
            return Refusal.NOT_DELIVERABLE
        return await self._deliver(record)

    async def _is_gone(self, topic: str, error: KafkaError) -> bool:
        if isinstance(error, TopicAuthorizationFailedError):
            return False
        # Waits while no broker answers, so that an outage is not taken for a refusal.
        return topic not in await self._foreign.topics()

    async def _deliver(self, record: Record) -> Refusal | None:
        """Send again and again: for ever to our own topics, a few times to a caller's."""
        try:
            async for attempt in AsyncRetrying(
                # Only what Kafka refuses: a cancellation, or a defect of ours, must come out.
                retry=retry_if_exception_type(KafkaError)
                & retry_if_not_exception_type(MessageSizeTooLargeError),
                stop=stop_never if record.is_own else stop_after_attempt(_FOREIGN_TRIES),
                wait=wait_random_exponential(multiplier=0.1, max=5),
                reraise=True,
            ):
                with attempt:
                    await self._send_again(record)
        except MessageSizeTooLargeError:
            return await self._deliver_alone(record)
        except KafkaError:
            return Refusal.NOT_DELIVERABLE
        except BaseException:
            if record.is_own:
                self.health.abandon()
            raise
        return None

    async def _send_again(self, record: Record) -> None:
        self._on_retry()
        if record.is_own:
            await self.health.until_allowed()
        await self._send_once(record)
        self._note_success(record)

    async def _send_once(self, record: Record) -> None:
        sending = await self._hand_over(record)
        error = await sending.failure()
        if error is not None:
            self._note_failure(record, sending.producer, error)
            raise error

    async def _deliver_alone(self, record: Record) -> Refusal | None:
        """Tell a record that is too large from one that stood in too large a batch."""
        try:
            await self._line(record).send_alone(record, patience_s=_patience_s(record))
        except MessageSizeTooLargeError:
            return Refusal.TOO_LARGE
        except KafkaError as error:
            self._note_failure(record, None, error)
            return await self._deliver(record)
        self._note_success(record)
        return None

    def _note_success(self, record: Record) -> None:
        if record.is_own:
            self.health.note_success()

    def _note_failure(
        self, record: Record, producer: AIOKafkaProducer | None, error: KafkaError
    ) -> None:
        # One line a producer, not one a record: an outage fails thousands at once.
        if producer is None or self._line(record).retire(producer):
            _log.warning("publish_failed", topic=record.topic, error=type(error).__name__)
        if record.is_own and isinstance(error, MessageSizeTooLargeError):
            self.health.note_answer()
        elif record.is_own:
            self.health.note_failure()


def _patience_s(record: Record) -> float:
    return _PATIENCE_S if record.is_own else _FOREIGN_PATIENCE_S


async def _failure_of(future: asyncio.Future[object], patience_s: float) -> KafkaError | None:
    # Most are done by now: they travel in the same request as the one awaited before.
    if not future.done():
        try:
            async with asyncio.timeout(patience_s):
                await future
        except TimeoutError:
            return KafkaTimeoutError()
        except KafkaError as error:
            return error
    if future.cancelled():
        return KafkaTimeoutError()
    failure = future.exception()
    if failure is not None and not isinstance(failure, KafkaError):
        raise failure
    return failure
