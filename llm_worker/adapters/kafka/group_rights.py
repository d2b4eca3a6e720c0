"""Whether the caller may join a consumer group: aiokafka cannot read the answer to that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    KafkaError,
    for_code,
)
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request
from typing_extensions import override

from llm_worker.adapters.kafka.topic_metadata import Right, rights_in

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMIT_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.2


class _Question(DescribeGroupsRequest_v3):  # type: ignore[misc] # aiokafka ships no types
    RESPONSE_TYPE = DescribeGroupsResponse_v3  # aiokafka 0.14 reads the answer as if it were v2


class _GroupRightsRequest(Request[_Question]):  # type: ignore[misc] # aiokafka ships no types
    """DescribeGroups v3 (KIP-430), which Kafka speaks since 2.3."""

    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    @override
    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class([self._group], True)  # noqa: FBT003 - with the rights


async def may_join(options: Mapping[str, Any], group: str) -> bool | None:
    """Ask whether we have Read on the group, be there one or not; None: nobody tells us in time."""
    client = AIOKafkaClient(**options)
    try:
        async with asyncio.timeout(_LIMIT_S):
            await client.bootstrap()
            answer = await client.send(
                await _coordinator(client, group), _GroupRightsRequest(group)
            )
    except GroupAuthorizationFailedError:
        return False
    except (KafkaError, OSError, TimeoutError):
        return None
    finally:
        await client.close()
    [described] = answer.to_object()["groups"]
    if for_code(described["error_code"]) is GroupAuthorizationFailedError:
        return False
    rights = rights_in(described["authorized_operations"])
    return None if rights is None else Right.READ in rights


async def _coordinator(client: AIOKafkaClient, group: str) -> int:
    while True:
        try:
            node: int = await client.coordinator_lookup(CoordinationType.GROUP, group)
        except GroupCoordinatorNotAvailableError:
            # A new broker has none before it has made its topic of offsets.
            await asyncio.sleep(_LOOK_AGAIN_S)
        else:
            return node
