"""An idempotent producer that is replaced when it is poisoned."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import structlog
from aiokafka.errors import KafkaError, KafkaTimeoutError
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiokafka import AIOKafkaProducer
    from aiokafka.cluster import ClusterMetadata

    from llm_worker.domain.delivery import Record

_STOP_TIMEOUT_S = 30.0
_LOOK_AGAIN_S = 0.05
_AWAY = (KafkaError, OSError)
ResultT = TypeVar("ResultT")
_log = structlog.get_logger(__name__)


class ProducerLine:
    """One producer at a time.

    After a refused record the broker answers an idempotent producer's later records with
    OutOfOrderSequenceNumber. So whoever sees a failure retires the producer; it finishes what it
    still can, while a new one, with a new producer id, takes what comes.
    """

    def __init__(self, make: Callable[[], AIOKafkaProducer]) -> None:
        self._make = make
        self._current: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self._entering: Counter[AIOKafkaProducer] = Counter()
        self.tell: Callable[[bool], None] = lambda _is_up: None
        """Called after each try to start a producer, with whether it is up."""

    @property
    def ready(self) -> AIOKafkaProducer | None:
        """The producer, if one is up."""
        return self._current

    async def current(self) -> AIOKafkaProducer:
        """Give the producer; where there is none, start one, for as long as it takes."""
        if self._current is not None:
            return self._current
        async with self._starting:
            if self._current is None:
                self._current = await self._start()
            return self._current

    async def send(self, producer: AIOKafkaProducer, record: Record) -> asyncio.Future[object]:
        """Hand the record to a producer of this line; the future tells when the broker holds it."""
        self._entering[producer] += 1
        try:
            return await _send(producer, record)
        finally:
            self._entering[producer] -= 1

    async def topics(self) -> frozenset[str]:
        """List the topics that exist, asking for as long as it takes."""
        cluster = await _for_ever(self._fetch_metadata)
        return frozenset(cluster.topics())

    async def send_alone(self, record: Record, *, patience_s: float) -> None:
        """Send the record through a producer of its own, so that it shares no batch.

        Raises:
            KafkaError: The broker does not hold it, or has not said within `patience_s`.
        """
        producer = await self._start()
        try:
            async with asyncio.timeout(patience_s):
                await (await _send(producer, record))
        except TimeoutError:
            raise KafkaTimeoutError from None
        finally:
            await _stop(producer)

    def retire(self, producer: AIOKafkaProducer) -> bool:
        """Take the producer out of use; it is stopped once it has sent what it can.

        False: somebody else who met the same failure was sooner.
        """
        if producer is not self._current:
            return False
        self._current = None
        self._stop_later(producer)
        return True

    async def stop(self) -> None:
        """Flush and stop, in bounded time."""
        if self._current is not None:
            self._stop_later(self._current)
            self._current = None
        await asyncio.gather(*self._retiring)

    def _stop_later(self, producer: AIOKafkaProducer) -> None:
        task = asyncio.create_task(self._stop(producer))  # noqa: TID251 - owned by self._retiring
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _stop(self, producer: AIOKafkaProducer) -> None:
        # A send that waits for a topic's metadata would wait for ever once the client is closed.
        while self._entering[producer]:  # noqa: ASYNC110 - an event would cost every send
            await asyncio.sleep(_LOOK_AGAIN_S)
        del self._entering[producer]
        await _stop(producer)

    async def _fetch_metadata(self) -> ClusterMetadata:
        producer = await self.current()
        return await producer.client.fetch_all_metadata()

    async def _start(self) -> AIOKafkaProducer:
        return await _for_ever(self._try_to_start)

    async def _try_to_start(self) -> AIOKafkaProducer:
        producer = self._make()
        try:
            await producer.start()
        except BaseException as error:
            await producer.stop()
            if isinstance(error, _AWAY):
                self.tell(False)  # noqa: FBT003 - see there
            raise
        self.tell(True)  # noqa: FBT003 - see there
        return producer


async def _for_ever(ask: Callable[[], Awaitable[ResultT]]) -> ResultT:
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(_AWAY),
        wait=wait_random_exponential(multiplier=0.2, max=5),
    )
    return await retrying(ask)


async def _send(producer: AIOKafkaProducer, record: Record) -> asyncio.Future[object]:
    future: asyncio.Future[object] = await producer.send(
        record.topic, value=record.value, key=record.key, headers=list(record.headers)
    )
    return future


async def _stop(producer: AIOKafkaProducer) -> None:
    """Stop in bounded time; what it has not sent by then fails, and is another's to send."""
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await producer.stop()
    except (KafkaError, TimeoutError) as error:
        _log.warning("producer_stop_failed", error=type(error).__name__)
        # Cut short it has closed nothing: its tasks and connections would stay for ever.
        if (sending := producer._sender.sender_task) is not None:  # noqa: SLF001 - no public way
            sending.cancel()
        producer._message_accumulator.fail_all(KafkaTimeoutError())  # noqa: SLF001 - the same
        await producer.client.close()
