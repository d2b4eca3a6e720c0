"""Writing records so that they stay: every replica that is in sync has them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from llm_worker.client.errors import UnreachableError, translated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence

    from llm_worker.domain.delivery import Record

_STOP_TIMEOUT_S: Final = 5.0
_SEND_TIMEOUT_S: Final = 30.0
GIVE_UP_S: Final = 120.0
"""Seconds after which records that the broker does not take are given up."""

_UNCONFIRMED: Final = 500
"""Records that are sent before their confirmations are awaited."""


@asynccontextmanager
async def writer(
    kafka: Mapping[str, Any],
    topics: Iterable[str],
    **options: Any,  # noqa: ANN401 - aiokafka's
) -> AsyncIterator[AIOKafkaProducer]:
    """Open a producer that knows the topics; they exist.

    Raises:
        UnreachableError, KafkaRefusalError: It cannot be done.
    """
    producer = AIOKafkaProducer(**kafka, enable_idempotence=True, acks="all", **options)
    try:
        with translated(kafka):
            await producer.start()
            for topic in topics:
                await producer.partitions_for(topic)  # or the first send would wait for it
        yield producer
    finally:
        await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    """Stop in bounded time; what the broker does not take meanwhile fails, and is never sent."""
    is_stopped = False
    try:
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await producer.stop()
                is_stopped = True
    finally:
        sending = producer._sender.sender_task  # noqa: SLF001 - there is no public way
        if not is_stopped and sending is not None:
            # Cut short it has closed nothing, and would go on sending.
            sending.cancel()
            producer._message_accumulator.fail_all(KafkaTimeoutError())  # noqa: SLF001 - the same
            await producer.client.close()


async def publish(kafka: Mapping[str, Any], record: Record) -> None:
    """Write one record to a topic that exists; the broker holds it on return.

    Raises:
        UnreachableError, KafkaRefusalError: It does not, or it is not known whether it does.
    """
    async with writer(kafka, [record.topic]) as producer:
        try:
            # In this order: a TimeoutError is an OSError too, which `translated` would take.
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                with translated(kafka):
                    await producer.send_and_wait(
                        record.topic,
                        value=record.value,
                        key=record.key,
                        headers=list(record.headers),
                    )
        except TimeoutError:
            raise UnreachableError(
                f"Kafka has not confirmed a record within {_SEND_TIMEOUT_S:.0f} s: "
                "see whether it is there, and do it again if not"
            ) from None


async def publish_all(
    kafka: Mapping[str, Any],
    records: AsyncGenerator[Record],
    *,
    topics: Iterable[str],
    largest_bytes: int,
) -> int:
    """Write records to topics that exist; the broker holds all of them on return.

    Returns how many there were.

    Raises:
        UnreachableError, KafkaRefusalError: Some are not written, or it is not known.
    """
    count, unconfirmed = 0, list[asyncio.Future[Any]]()
    async with (
        writer(kafka, topics, max_request_size=largest_bytes) as producer,
        aclosing(records),
    ):
        async for record in records:
            with translated(kafka):
                sent = await producer.send(
                    record.topic, record.value, key=record.key, headers=list(record.headers)
                )
                unconfirmed.append(sent)
            if len(unconfirmed) >= _UNCONFIRMED:
                await _confirmed(kafka, unconfirmed)
                unconfirmed.clear()
            count += 1
        await _confirmed(kafka, unconfirmed)
    return count


async def _confirmed(kafka: Mapping[str, Any], unconfirmed: Sequence[asyncio.Future[Any]]) -> None:
    try:
        # In this order: a TimeoutError is an OSError too, which `translated` would take.
        async with asyncio.timeout(GIVE_UP_S):
            with translated(kafka):
                await asyncio.gather(*unconfirmed)
    except TimeoutError:
        raise UnreachableError(
            f"Kafka has not confirmed records within {GIVE_UP_S:.0f} s: do it again once it does"
        ) from None
