"""What a broker with an authorizer allows, changed while it runs; and its topics."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from llm_worker.adapters.kafka.topic_metadata import Right
from tests.chaos.watch import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

AUTHORIZED = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
"""Properties of a broker whose rights can be changed."""

_TOPIC, _LITERAL, _ALL, _DENY, _ALLOW = 2, 3, 2, 2, 3  # the protocol's codes
_EVERYONE = ("User:*", "*")
_APPLIED_S = 30.0


async def deny_writing(bootstrap_servers: str, topic: str) -> None:
    """Let everybody do everything with the topic but write, from the return on."""
    await _create(bootstrap_servers, topic, _ALL, _ALLOW)
    await _create(bootstrap_servers, topic, int(Right.WRITE), _DENY)
    request = DescribeAclsRequest(*_write_denied(topic))

    async def is_applied() -> bool:
        return bool((await _send(bootstrap_servers, request)).resources)

    await until(is_applied, timeout_s=_APPLIED_S, what=f"{topic} is denied")


async def allow_writing(bootstrap_servers: str, topic: str) -> None:
    """Take `deny_writing` back."""
    response = await _send(bootstrap_servers, DeleteAclsRequest(*_write_denied(topic)))
    assert [found[0] for found in response.filter_responses] == [0]


async def create_topic(
    bootstrap_servers: str, topic: str, *, partitions: int = 1, config: Mapping[str, str] = {}
) -> None:
    """Create a topic with one replica."""
    async with _admin(bootstrap_servers) as admin:
        await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=dict(config))])


async def delete_topic(bootstrap_servers: str, topic: str) -> None:
    """Delete a topic and all that it holds; on return it is gone."""
    async with _admin(bootstrap_servers) as admin:
        await admin.delete_topics([topic])

        async def is_gone() -> bool:
            return topic not in await admin.list_topics()

        await until(is_gone, timeout_s=_APPLIED_S, what=f"{topic} is deleted")


def _write_denied(topic: str) -> tuple[object, ...]:
    return (_TOPIC, topic, _LITERAL, *_EVERYONE, int(Right.WRITE), _DENY)


async def _create(bootstrap_servers: str, topic: str, right: int, permission: int) -> None:
    request = CreateAclsRequest(_TOPIC, topic, _LITERAL, *_EVERYONE, right, permission)
    response = await _send(bootstrap_servers, request)
    assert [code for code, _ in response.creation_responses] == [0]


async def _send(bootstrap_servers: str, request: object) -> Any:  # noqa: ANN401 - aiokafka has no types
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers)
    await client.bootstrap()
    try:
        return await client.send(client.get_random_node(), request)
    finally:
        await client.close()


@asynccontextmanager
async def _admin(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()
