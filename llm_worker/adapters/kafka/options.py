"""How our Kafka clients are set up: timeouts in proportion, idempotence, batches that fit."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.partitioner import murmur2

from llm_worker.adapters.kafka.producers import ProducerLine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor

_REBALANCE_GRACE_S = 30.0
_REQUEST_GRACE_S = 10.0
_DAY_MS = 86_400_000
_LONGEST_HEARTBEAT_S = 3.0
_KEPT_KEY_BYTES = 64
"""Longer keys, as somebody's dead letter may have, are not remembered."""

TOGETHER = RangePartitionAssignor
"""Gives partitions of one number, of all topics, to one member."""


def consumer_options(
    connection: Mapping[str, Any],
    *,
    session_timeout_s: float,
    drain_s: float,
    assignor: type[AbstractPartitionAssignor] = RoundRobinPartitionAssignor,
) -> dict[str, Any]:
    """Give the group consumer's options: request timeout > rebalance timeout > drain."""
    rebalance_timeout_s = drain_s + _REBALANCE_GRACE_S
    return {
        **connection,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "partition_assignment_strategy": [assignor],
        "session_timeout_ms": int(session_timeout_s * 1000),
        "heartbeat_interval_ms": int(min(_LONGEST_HEARTBEAT_S, session_timeout_s / 10) * 1000),
        "rebalance_timeout_ms": int(rebalance_timeout_s * 1000),
        "request_timeout_ms": int((rebalance_timeout_s + _REQUEST_GRACE_S) * 1000),
        # Backpressure may pause every partition for long; the watchdog tells stuck from waiting.
        "max_poll_interval_ms": _DAY_MS,
        "max_poll_records": 500,
        "metadata_max_age_ms": 60_000,
    }


def partition_of(key: bytes, partitions: Sequence[int], available: Sequence[int]) -> int:
    """Choose the partition as Kafka's own clients do: murmur2 of the key.

    All events of a request have one key, so its hash is remembered for the next of them.
    """
    del available  # a key's partition does not move when a broker is away
    hashed = _hash_of(key) if len(key) <= _KEPT_KEY_BYTES else _hash_of.__wrapped__(key)
    return partitions[hashed % len(partitions)]


@lru_cache(maxsize=1024)
def _hash_of(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF


def producer_line(connection: Mapping[str, Any]) -> ProducerLine:
    """Make a line of idempotent producers."""

    def make() -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **connection,
            enable_idempotence=True,
            acks="all",
            # A request waits for its own events. Under load they share requests without it: one
            # is under way to a broker at a time, and the next takes what has gathered meanwhile.
            linger_ms=0,
            # The broker's limit is for the batch, not the record.
            max_batch_size=256 * 1024,
            max_request_size=6 * 1024 * 1024,
            request_timeout_ms=30_000,
            partitioner=partition_of,
        )

    return ProducerLine(make)
