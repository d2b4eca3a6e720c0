"""topics.yaml against a cluster: create what is missing, compare what is there."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.admin import CreateTopicsRequest, DescribeConfigsRequest
from typing_extensions import override

from llm_worker.adapters.kafka.topic_metadata import TopicMetadataRequest, rights_in
from llm_worker.adapters.kafka.topic_state import FoundTopic, Presence, TopicState, compare_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from llm_worker.contracts.topics import Topic, TopicCatalog

_TIMEOUT_S: Final = 10.0
_REQUEST_TIMEOUT_MS: Final = 5_000
_POLL_S: Final = 0.05
_COPIES_TO_LOSE_ONE: Final = 3
_TOPIC_RESOURCE: Final = 2  # the protocol's code


class ClusterError(Exception):
    """The cluster cannot be asked, or refuses; the text says what to do."""


async def create_topics(
    options: Mapping[str, Any], catalog: TopicCatalog, *, replication_factor: int
) -> list[str]:
    """Create the topics that the cluster lacks and return their names on the broker.

    Topics that exist are left as they are. The new ones can be used on return.

    Args:
        options: Connection arguments as every aiokafka client takes them.
        catalog: What topics.yaml wants.
        replication_factor: Copies of each record; -1 leaves it to the broker.

    Raises:
        ClusterError: No broker answered within 10 seconds, or one refused a topic.
    """
    async with _connected(options) as client:
        states = await _compare(client, catalog)
        missing = {
            state.topic: catalog[state.name]
            for state in states
            if state.presence is Presence.MISSING
        }
        if not missing:
            return []
        created = await _create(client, missing, replication_factor)
        await _until_known(client, missing)
        return created


async def compare_topics(options: Mapping[str, Any], catalog: TopicCatalog) -> list[TopicState]:
    """Compare every topic of the catalogue with the cluster, in the catalogue's order.

    Changes nothing. Raises ClusterError if no broker answers within 10 seconds.
    """
    async with _connected(options) as client:
        return await _compare(client, catalog)


async def _create(
    client: AIOKafkaClient, missing: Mapping[str, Topic], replication_factor: int
) -> list[str]:
    # With the broker's default, 1, what is confirmed may lie on one disk.
    safe = {"min.insync.replicas": "2"} if replication_factor >= _COPIES_TO_LOSE_ONE else {}
    request = CreateTopicsRequest(
        create_topic_requests=[
            (
                topic,
                wanted.partitions,
                replication_factor,
                [],
                list((wanted.config() | safe).items()),
            )
            for topic, wanted in missing.items()
        ],
        timeout=_REQUEST_TIMEOUT_MS,
        validate_only=False,
    )
    # With KRaft the "controller" that brokers name is any broker; it passes the request on.
    response = await client.send(client.cluster.controller.nodeId, request)
    created, refused = [], []
    for topic, code, words in response.topic_errors:
        if not code:
            created.append(topic)
        elif for_code(code) is not TopicAlreadyExistsError:
            refused.append(f"{topic}: {for_code(code).__name__}: {words or 'no reason given'}")
    if refused:
        raise ClusterError("the broker refused to create\n  " + "\n  ".join(refused))
    return created


async def _until_known(client: AIOKafkaClient, topics: Mapping[str, Topic]) -> None:
    # The controller has them at once; the brokers hear of them a moment later, and tell nobody.
    while True:
        found = await _find(client, topics)
        if all(topic.presence is not Presence.MISSING for topic in found.values()):
            return
        await asyncio.sleep(_POLL_S)


async def _compare(client: AIOKafkaClient, catalog: TopicCatalog) -> list[TopicState]:
    names = catalog.names_on_broker()
    found = await _find(client, {topic: catalog[name] for topic, name in names.items()})
    return [
        compare_topic(name, topic, catalog[name], found[topic]) for topic, name in names.items()
    ]


async def _find(client: AIOKafkaClient, topics: Mapping[str, Topic]) -> dict[str, FoundTopic]:
    response = await client.send(client.get_random_node(), TopicMetadataRequest(list(topics)))
    described = {topic["topic"]: topic for topic in response.to_object()["topics"]}
    presence = {topic: _presence(described[topic]["error_code"]) for topic in topics}
    present = {t: topics[t] for t in topics if presence[t] is Presence.PRESENT}
    configs = await _find_configs(client, present) if present else {}
    return {
        topic: FoundTopic(
            presence=presence[topic],
            partitions=len(described[topic]["partitions"]),
            config=configs.get(topic),
            rights=rights_in(described[topic]["authorized_operations"]),
        )
        if topic in present
        else FoundTopic(presence=presence[topic])
        for topic in topics
    }


def _presence(error_code: int) -> Presence:
    error = for_code(error_code)
    if error is UnknownTopicOrPartitionError:
        return Presence.MISSING
    return Presence.HIDDEN if error is TopicAuthorizationFailedError else Presence.PRESENT


async def _find_configs(
    client: AIOKafkaClient, topics: Mapping[str, Topic]
) -> dict[str, dict[str, str]]:
    """Read the settings that topics.yaml knows; topics that hide theirs are left out."""
    request = DescribeConfigsRequest(
        [(_TOPIC_RESOURCE, topic, list(wanted.config())) for topic, wanted in topics.items()]
    )
    response = await client.send(client.get_random_node(), request)
    return {
        topic: {entry[0]: entry[1] for entry in entries}
        for code, _, _, topic, entries in response.resources
        if not code
    }


@asynccontextmanager
async def _connected(options: Mapping[str, Any]) -> AsyncIterator[AIOKafkaClient]:
    """Open a client that gives up in time; a failure of Kafka comes out as ClusterError."""
    client = AIOKafkaClient(**{**options, "request_timeout_ms": _REQUEST_TIMEOUT_MS})
    logger, complaint = logging.getLogger("aiokafka"), _LastComplaint(logging.WARNING)
    logger.addHandler(complaint)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await client.bootstrap()
            yield client
    except (KafkaError, OSError, TimeoutError) as error:
        reason = complaint.words or str(error) or f"no answer within {_TIMEOUT_S:.0f} s"
        raise ClusterError(_unusable(options, reason)) from error
    finally:
        logger.removeHandler(complaint)
        await client.close()


def _unusable(options: Mapping[str, Any], reason: str) -> str:
    servers = options["bootstrap_servers"]
    addresses = servers if isinstance(servers, str) else ",".join(servers)
    return (
        f"Kafka at {addresses} cannot be used: {reason}. "
        "See that it runs, and that LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS, __SECURITY_PROTOCOL, "
        "__SASL_* and __SSL_* fit it"
    )


class _LastComplaint(logging.Handler):
    """Keeps what aiokafka logs and does not raise: why a connection failed."""

    words = ""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        last = record.args[-1] if isinstance(record.args, tuple) and record.args else None
        has_no_words = isinstance(last, Exception) and not str(last)
        self.words = record.getMessage() + (type(last).__name__ if has_no_words else "")
