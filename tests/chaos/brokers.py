"""What befalls a broker that is not killed: a full disk, another leader, a topic in want."""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING, Final

import psutil
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import AlterPartitionReassignmentsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int8, Int16, Int32, Schema, String

from tests.chaos.watch import until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from llm_worker.dev.kafka import EmbeddedKafka

_PREFERRED: Final = 0
_ANSWER_TIMEOUT_MS: Final = 10_000
_FEW_BYTES: Final = 4_096
_SHOWN: Final = 5


def fill_disk(kafka: EmbeddedKafka, node: int) -> None:
    """Let none of the node's files grow any more, as on a full disk; it ends of it.

    It has room again once it is started again.
    """
    limits = (_FEW_BYTES, resource.RLIM_INFINITY)
    resource.prlimit(_process_of(kafka.directory, node).pid, resource.RLIMIT_FSIZE, limits)


async def move_leaders(bootstrap_servers: str, topics: Sequence[str]) -> int:
    """Let another replica lead each partition; give how many moved."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    await client.bootstrap()
    try:
        found = await admin.describe_topics(list(topics))
        order = {
            topic["topic"]: {part["partition"]: _rotated(part) for part in topic["partitions"]}
            for topic in found
        }
        node = client.get_random_node()
        answer = await client.send(node, _reassignment(order))
        assert answer.error_code == 0, answer
        answer = await client.send(node, _Elect(order))
        assert answer.error_code == 0, answer
        return sum(code == 0 for _, parts in answer.topics for _, code, _ in parts)
    finally:
        await client.close()
        await admin.close()


async def want_replicas(bootstrap_servers: str, topic: str, wanted: int | None) -> None:
    """Let the topic take nothing with fewer replicas in sync; None: as many as the cluster says."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    configs = {} if wanted is None else {"min.insync.replicas": str(wanted)}
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])
    finally:
        await admin.close()


async def until_in_sync(
    cluster: EmbeddedKafka, topics: Sequence[str], *, timeout_s: float = 60
) -> None:
    """Wait until every replica of the topics is."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)
    await admin.start()

    missing: list[str] = ["no answer yet"]

    async def is_in_sync() -> bool:
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_MS / 1_000):
                found = await admin.describe_topics([*topics, "__consumer_offsets"])
        except (KafkaError, TimeoutError) as error:
            missing[:] = [repr(error)]
            return False
        missing[:] = [
            f"{topic['topic']}: {part}"
            for topic in found
            for part in topic["partitions"]
            if len(part["isr"]) != len(part["replicas"])
        ]
        return not missing

    try:
        await until(is_in_sync, timeout_s=timeout_s, what="every replica is in sync")
    except AssertionError as error:
        error.add_note("\n".join(missing[:_SHOWN]))
        raise
    finally:
        await admin.close()


def _process_of(directory: Path, node: int) -> psutil.Process:
    wanted = str(directory / f"kafka-{node}" / "server.properties")
    [found] = [
        process
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"]
        and process.info["cmdline"][0].endswith("java")
        and process.info["cmdline"][-1] == wanted
    ]
    return found


def _rotated(partition: Mapping[str, list[int]]) -> list[int]:
    first, *rest = partition["replicas"]
    return [*rest, first]


def _reassignment(
    order: Mapping[str, Mapping[int, list[int]]],
) -> AlterPartitionReassignmentsRequest:
    no_tags: dict[int, bytes] = {}
    topics = [
        (topic, [(part, replicas, no_tags) for part, replicas in parts.items()], no_tags)
        for topic, parts in order.items()
    ]
    return AlterPartitionReassignmentsRequest(_ANSWER_TIMEOUT_MS, topics, no_tags)


# aiokafka has no ElectLeaders; this is its version 1 of the protocol guide.
class _ElectResponseV1(Response):  # type: ignore[misc] # aiokafka has no types
    API_KEY = 43
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "topics",
            Array(
                ("name", String("utf-8")),
                (
                    "partitions",
                    Array(
                        ("index", Int32),
                        ("error_code", Int16),
                        ("error_message", String("utf-8")),
                    ),
                ),
            ),
        ),
    )


class _ElectRequestV1(RequestStruct):  # type: ignore[misc] # as above
    API_KEY = 43
    API_VERSION = 1
    RESPONSE_TYPE = _ElectResponseV1
    SCHEMA = Schema(
        ("kind", Int8),
        ("topics", Array(("name", String("utf-8")), ("partitions", Array(Int32)))),
        ("timeout_ms", Int32),
    )


class _Elect(Request[_ElectRequestV1]):  # type: ignore[misc] # as above
    API_KEY = 43

    def __init__(self, order: Mapping[str, Mapping[int, list[int]]]) -> None:
        self._topics = [(topic, list(parts)) for topic, parts in order.items()]

    def build(self, request_struct_class: type[_ElectRequestV1]) -> _ElectRequestV1:
        return request_struct_class(_PREFERRED, self._topics, _ANSWER_TIMEOUT_MS)
