"""No topic comes to be because somebody asked about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.metadata import MetadataRequest_v5
from aiokafka.structs import BrokerMetadata

from llm_worker.adapters.kafka.no_new_topics import create_no_topics

if TYPE_CHECKING:
    import pytest


async def _asked_by(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - aiokafka has no types
    """Give what a client sends when it asks about a topic."""
    client, connection = AIOKafkaClient(), AsyncMock()
    monkeypatch.setattr(client, "_get_conn", AsyncMock(return_value=connection))
    monkeypatch.setattr(client.cluster, "brokers", lambda: {BrokerMetadata(1, "h", 1, None)})
    await client._metadata_update(client.cluster, ["missing"])
    [[request]] = [call.args for call in connection.send.await_args_list]
    return request.build(MetadataRequest_v5)


async def test_asking_about_a_topic_does_not_create_it(monkeypatch: pytest.MonkeyPatch) -> None:
    create_no_topics()
    asked = await _asked_by(monkeypatch)
    assert asked.topics == ["missing"]
    assert asked.allow_auto_topic_creation is False
