"""Topics with the rights that the caller has on them: a request that aiokafka cannot send."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Sequence

_RIGHTS_NOT_TOLD = -(2**31)


class Right(IntEnum):
    """What a principal may do with a topic; the value is the operation's code in the protocol."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10


def rights_in(bits: int) -> frozenset[Right] | None:
    """Read the protocol's bit field; None when the broker does not tell."""
    if bits == _RIGHTS_NOT_TOLD:
        return None
    return frozenset(right for right in Right if bits >> right & 1)


class _Answer(Response):  # type: ignore[misc] # aiokafka ships no types
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(
                ("node_id", Int32),
                ("host", String("utf-8")),
                ("port", Int32),
                ("rack", String("utf-8")),
            ),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _Question(RequestStruct):  # type: ignore[misc] # aiokafka ships no types
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class TopicMetadataRequest(Request[_Question]):  # type: ignore[misc] # aiokafka ships no types
    """Metadata v8 (KIP-430), which Kafka speaks since 2.3; aiokafka itself stops at v5.

    Never creates a topic, unlike AIOKafkaAdminClient.describe_topics on a broker that allows it.
    """

    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    @override
    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class(
            topics=self._topics,
            allow_auto_topic_creation=False,
            include_cluster_authorized_operations=False,
            include_topic_authorized_operations=True,
        )
