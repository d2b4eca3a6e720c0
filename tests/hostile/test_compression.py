"""Batches as other clients compress them: the broker packs what it is sent anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from llm_worker.contracts.vocabulary import TopicName
from tests.support.builders import body_of
from tests.support.worker import answered, send_all

if TYPE_CHECKING:
    from tests.support.worker import Installation, WorkerProcess

_CODECS: Final = ("gzip", "snappy", "lz4", "zstd")


async def test_requests_in_every_compression_that_kafka_has_are_answered(
    installation: Installation, worker: WorkerProcess
) -> None:
    topic, asking = installation.request_topic(), set()
    async with installation.producer() as producer:
        for codec in _CODECS:
            await _compress(installation, topic, codec)
            bodies = [body_of() for _ in range(3)]
            await send_all(producer, topic, bodies)
            asking |= {body["correlation_id"] for body in bodies}
    await _compress(installation, topic, "producer")
    await installation.read(
        installation.topic(TopicName.COMPARISON_RESULT),
        until=lambda records: asking <= answered(records),
    )
    assert worker.is_running


async def _compress(installation: Installation, topic: str, codec: str) -> None:
    admin = AIOKafkaAdminClient(**installation.options)
    await admin.start()
    try:
        await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, {"compression.type": codec})]
        )
    finally:
        await admin.close()
