from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest

from llm_worker.adapters.kafka.topic_metadata import Right
from llm_worker.adapters.kafka.topic_state import Presence, TopicState
from llm_worker.adapters.kafka.topics import ClusterError, compare_topics, create_topics
from llm_worker.contracts.topics import TopicCatalog, load_topics
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.kafka import EmbeddedKafka

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def catalog() -> TopicCatalog:
    """Topics of this test alone."""
    return load_topics(prefix=f"{uuid4().hex}.")


@pytest.fixture
def options(kafka: EmbeddedKafka) -> dict[str, str]:
    return {"bootstrap_servers": kafka.bootstrap_servers}


async def test_created_topics_are_as_topics_yaml_says(
    options: dict[str, str], catalog: TopicCatalog
) -> None:
    created = await create_topics(options, catalog, replication_factor=-1)
    assert created == list(catalog.names_on_broker())

    for state in await compare_topics(options, catalog):
        assert state.differences == ()
        assert state.unchecked == ()
        assert state.partitions_found == state.partitions_wanted


async def test_only_what_is_missing_is_created(
    options: dict[str, str], catalog: TopicCatalog
) -> None:
    existing = catalog.on_broker(TopicName.COMPARISON_RESULT)
    await _create(options, NewTopic(existing, 2, 1, topic_configs={"retention.ms": "1000"}))

    created = await create_topics(options, catalog, replication_factor=1)
    assert len(created) == len(TopicName) - 1
    assert existing not in created
    assert await create_topics(options, catalog, replication_factor=1) == []

    [state] = [s for s in await compare_topics(options, catalog) if s.differences]
    assert state.topic == existing
    partitions, retention = state.differences
    assert partitions.startswith("2 partitions instead of 12")
    assert retention.startswith("retention.ms is 1000 instead of 604800000")


async def test_comparing_creates_nothing(options: dict[str, str], catalog: TopicCatalog) -> None:
    for _ in range(2):
        states = await compare_topics(options, catalog)
        assert {state.presence for state in states} == {Presence.MISSING}


async def test_refused_topic_is_named_with_the_brokers_reason(
    options: dict[str, str], catalog: TopicCatalog
) -> None:
    topic = catalog.on_broker(TopicName.CONTROL)
    with pytest.raises(ClusterError, match=rf"{topic}: InvalidReplicationFactor\w*: \S"):
        await create_topics(options, catalog, replication_factor=3)


async def test_denied_rights_are_told(tmp_path: Path, catalog: TopicCatalog) -> None:
    with EmbeddedKafka(tmp_path, properties=_WITH_RIGHTS) as guarded:
        options = {"bootstrap_servers": guarded.bootstrap_servers}
        await create_topics(options, catalog, replication_factor=-1)
        await _allow_only(options, catalog.on_broker(TopicName.COMPARISON_RESULT), Right.DESCRIBE)
        await _allow_only(options, catalog.on_broker(TopicName.DEAD_LETTER), Right.WRITE)
        await _allow_only(options, catalog.on_broker(TopicName.CONTROL), None)
        states = await _states_once_hidden(options, catalog, TopicName.CONTROL)

    result = states[TopicName.COMPARISON_RESULT]
    assert result.rights == frozenset({Right.DESCRIBE})
    assert result.differences == ()
    assert result.unchecked
    assert states[TopicName.DEAD_LETTER].rights == frozenset({Right.WRITE, Right.DESCRIBE})
    [difference] = states[TopicName.CONTROL].differences
    assert difference.startswith("describe is denied")
    others = states.keys() - {result.name, TopicName.DEAD_LETTER, TopicName.CONTROL}
    assert not any(states[name].differences or states[name].unchecked for name in others)


async def test_nobody_listening_is_one_error_that_says_where(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "aiokafka")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(
            ClusterError, match=rf"Kafka at {address} cannot be used: .*Connect call failed"
        ):
            await compare_topics({"bootstrap_servers": address}, load_topics())


async def test_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ClusterError, match="cannot be used"):
            await compare_topics({"bootstrap_servers": [address]}, load_topics())


_WITH_RIGHTS = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
_TOPIC, _LITERAL, _ALLOW, _ALL = 2, 3, 3, 2  # the protocol's codes


async def _allow_only(options: dict[str, str], topic: str, right: Right | None) -> None:
    """Let everybody do this one thing with the topic; None: nothing."""
    client = AIOKafkaClient(**options)
    await client.bootstrap()
    principal, operation = ("User:*", int(right)) if right else ("User:nobody", _ALL)
    try:
        response = await client.send(
            client.get_random_node(),
            CreateAclsRequest(_TOPIC, topic, _LITERAL, principal, "*", operation, _ALLOW),
        )
        assert [code for code, _ in response.creation_responses] == [0]
    finally:
        await client.close()


async def _states_once_hidden(
    options: dict[str, str], catalog: TopicCatalog, hidden: TopicName
) -> dict[TopicName, TopicState]:
    async with asyncio.timeout(10):
        while True:
            states = {state.name: state for state in await compare_topics(options, catalog)}
            if states[hidden].presence is Presence.HIDDEN:
                return states


async def _create(options: dict[str, str], topic: NewTopic) -> None:
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    try:
        await admin.create_topics([topic])
    finally:
        await admin.close()
