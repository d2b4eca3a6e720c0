from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.cache.connect import RedisAddress
from llm_worker.dev.leashed import free_ports
from tests.support.redis_servers import RedisServer, redis_command, valkey_command
from tests.support.stores import process_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.support.stores import Process


def _cluster_node(directory: Path, command: list[str]) -> RedisServer:
    node = RedisServer(
        directory,
        command,
        *("--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"),
        *("--cluster-port", str(free_ports(1)[0])),
    ).start()
    node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    while "cluster_state:ok" not in str(node.ask("CLUSTER", "INFO")):
        time.sleep(0.05)
    return node


@pytest.fixture(params=[redis_command, valkey_command], ids=["redis", "valkey"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    """A cluster of one node, which a test may freeze and kill."""
    command: Callable[[], list[str]] = request.param
    node = _cluster_node(tmp_path / "node", command())
    yield node
    node.stop()


@pytest.fixture(scope="session")
def lasting_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A cluster of one node for the whole session, Valkey: for tests that do not stop it."""
    node = _cluster_node(tmp_path_factory.mktemp("cluster"), valkey_command())
    yield node
    node.stop()


@pytest.fixture(
    params=["cache_server", "redis_server", "lasting_cluster"], ids=["valkey", "redis", "cluster"]
)
def redis_address(request: pytest.FixtureRequest) -> RedisAddress:
    """A database that no other test uses, since these flush it."""
    url: str = request.getfixturevalue(request.param).url
    if request.param == "lasting_cluster":
        return RedisAddress(url=url, is_cluster=True)
    return RedisAddress(url=url.removesuffix("/0") + "/5")


@pytest.fixture
async def two(redis_address: RedisAddress) -> AsyncIterator[tuple[Process, Process]]:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(process_on(redis_address))
        other = await stack.enter_async_context(process_on(redis_address, prefix=one.prefix))
        yield one, other
