from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from llm_worker.dev.cache import EmbeddedCache
from llm_worker.dev.kafka import EmbeddedKafka
from tests.support.redis_servers import RedisServer, redis_command

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_children() -> None:
    """Undo what a shell does to its background jobs: they and their children ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """One broker for the whole session: for tests that do not stop it."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture(scope="module")
def kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """Three brokers for a module; a test that kills one brings it back."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka-cluster"), nodes=3) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def cache_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCache]:
    """One cache for the whole session: for tests that do not stop it."""
    with EmbeddedCache(tmp_path_factory.mktemp("cache")) as cache:
        yield cache


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for the whole session, Debian's: for tests that do not stop it."""
    with RedisServer(tmp_path_factory.mktemp("redis"), redis_command()) as server:
        yield server
