"""Records put onto a topic as they are, also those that no client of ours would write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiokafka.record.util import calc_crc32c

from llm_worker.adapters.clock import SystemClock
from tests.hostile.records import NOT_UTF8, UNREADABLE

if TYPE_CHECKING:
    from asyncio import Future

    from aiokafka import AIOKafkaProducer
    from aiokafka.structs import RecordMetadata

    from tests.hostile.records import Hostile

_CRC_AT: Final = 17
_CHECKED_FROM: Final = 21


async def send(
    producer: AIOKafkaProducer, topic: str, partition: int, record: Hostile
) -> Future[RecordMetadata]:
    """Hand a record over; the future says where it lies."""
    at_ms = int(SystemClock().now().timestamp() - record.age_s) * 1000
    is_empty = record.key is None and record.value is None
    if is_empty or any(name == UNREADABLE for name, _ in record.headers):
        batch = producer.create_batch()
        batch.append(
            timestamp=at_ms, key=record.key, value=record.value, headers=list(record.headers)
        )
        batch._buffer = _forged(batch._build())
        sending: Future[RecordMetadata] = await producer.send_batch(
            batch, topic, partition=partition
        )
        return sending
    sending = await producer.send(
        topic,
        record.value,
        key=record.key,
        partition=partition,
        timestamp_ms=at_ms,
        headers=list(record.headers),
    )
    return sending  # noqa: RET504 - mypy: aiokafka has no types


def _forged(batch: bytes) -> bytearray:
    """Put bytes that are no UTF-8 in the place of a header's name."""
    forged = bytearray(batch.replace(UNREADABLE.encode(), NOT_UTF8))
    checksum = calc_crc32c(bytes(forged[_CHECKED_FROM:]))
    forged[_CRC_AT:_CHECKED_FROM] = checksum.to_bytes(4, "big")
    return forged
