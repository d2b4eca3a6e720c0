from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from llm_worker.dev.cache import EmbeddedCache
from llm_worker.dev.kafka import EmbeddedKafka
from llm_worker.dev.leashed import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_REPOSITORY = Path(__file__).parents[2]


async def test_record_comes_back_from_the_broker(kafka: EmbeddedKafka) -> None:
    await _create_topic(kafka, "comes-back")
    await _produce(kafka, "comes-back", b"hello")

    assert await _consume_one(kafka, "comes-back") == b"hello"


async def test_record_survives_a_kill_and_another_broker_on_the_directory(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path) as kafka:
        await _create_topic(kafka, "survives")
        await _produce(kafka, "survives", b"hello")
        kafka.kill()
        kafka.restart()
        assert await _consume_one(kafka, "survives") == b"hello"
        kafka.kill()
    with EmbeddedKafka(tmp_path) as another:
        assert await _consume_one(another, "survives") == b"hello"


async def test_cluster_takes_records_while_one_of_three_nodes_is_dead(
    kafka_cluster: EmbeddedKafka,
) -> None:
    for topic in ("replicated", "read-before"):
        await _create_topic(kafka_cluster, topic, replicas=3)
    # Three nodes are needed once, for the topic in which groups keep their offsets.
    await _produce(kafka_cluster, "read-before", b"hello")
    await _consume_one(kafka_cluster, "read-before")

    kafka_cluster.kill(1)
    await _produce(kafka_cluster, "replicated", b"hello")
    kafka_cluster.restart(1)
    kafka_cluster.kill(2)

    assert await _consume_one(kafka_cluster, "replicated") == b"hello"
    kafka_cluster.start()


def test_broker_takes_the_given_port_and_properties_or_says_why_not(
    tmp_path: Path, kafka: EmbeddedKafka
) -> None:
    port = int(kafka.bootstrap_servers.rpartition(":")[2])

    with pytest.raises(EmbeddedServerError, match=f"port {port} .* is in use"):
        EmbeddedKafka(tmp_path, port=port).start()
    with pytest.raises(EmbeddedServerError, match=r"no\.such\.Authorizer"):
        EmbeddedKafka(tmp_path, properties={"authorizer.class.name": "no.such.Authorizer"}).start()


async def test_cache_keeps_a_value_until_it_is_killed(tmp_path: Path) -> None:
    with EmbeddedCache(tmp_path) as cache:
        async with Redis.from_url(cache.url) as client:
            await client.set("key", "value")
            assert await client.get("key") == b"value"
            cache.kill()
            with pytest.raises(RedisConnectionError):
                await client.get("key")
            cache.start()
            assert await client.get("key") is None


def test_cache_says_that_its_port_is_taken(tmp_path: Path, cache_server: EmbeddedCache) -> None:
    port = int(cache_server.url.rpartition(":")[2].removesuffix("/0"))

    with pytest.raises(EmbeddedServerError, match=f"port {port} .* is in use"):
        EmbeddedCache(tmp_path, port=port).start()


@pytest.fixture(params=[("cache", "EmbeddedCache")], ids=["cache"])
def parent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[psutil.Popen]:
    """A process that has started an embedded server and then does nothing about it."""
    module, name = request.param
    code = (
        "import pathlib, sys, time\n"
        f"from llm_worker.dev.{module} import {name}\n"
        f"server = {name}(pathlib.Path(sys.argv[1]))\n"
        "server.start()\n"
        "print('up', flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with psutil.Popen(command, cwd=_REPOSITORY, stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"up\n"
        yield parent
        parent.kill()


@pytest.mark.parametrize(
    "parent",
    [("kafka", "EmbeddedKafka"), ("cache", "EmbeddedCache")],
    ids=["kafka", "cache"],
    indirect=True,
)
def test_killed_parent_leaves_nothing_behind(parent: psutil.Popen) -> None:
    leash, server = parent.children(recursive=True)

    parent.kill()

    _wait_until_gone(leash)
    _wait_until_gone(server)


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_killed_leash_takes_the_server_along(parent: psutil.Popen) -> None:
    leash, server = parent.children(recursive=True)

    leash.kill()

    _wait_until_gone(server)


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(parent: psutil.Popen) -> None:
    leash, server = parent.children(recursive=True)

    assert os.getsid(server.pid) == os.getsid(leash.pid) != os.getsid(parent.pid)


def _wait_until_gone(process: psutil.Process) -> None:
    deadline = time.monotonic() + 30
    while _is_alive(process):
        assert time.monotonic() < deadline, f"{process} still runs"
        time.sleep(0.05)


def _is_alive(process: psutil.Process) -> bool:
    try:
        # A zombie is dead; in a container there may be nobody to reap it.
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def _create_topic(kafka: EmbeddedKafka, name: str, *, replicas: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=replicas)])
    finally:
        await admin.close()


async def _produce(kafka: EmbeddedKafka, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, acks="all", enable_idempotence=True
    ) as producer:
        await producer.send_and_wait(topic, value)


async def _consume_one(kafka: EmbeddedKafka, topic: str) -> bytes:
    async with asyncio.timeout(60), _consumer(kafka, topic) as consumer:
        record = await consumer.getone()
        return bytes(record.value)


@asynccontextmanager
async def _consumer(kafka: EmbeddedKafka, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka.bootstrap_servers,
        group_id=f"reads-{topic}",
        session_timeout_ms=1000,
        heartbeat_interval_ms=300,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
