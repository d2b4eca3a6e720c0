from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.cache.connect import RedisAddress
from llm_worker.adapters.cache.probe import CacheUnreachableError, read_state
from llm_worker.adapters.clock import SystemClock
from tests.support.redis_servers import RedisServer, redis_command, valkey_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def test_running_cache_answers_with_its_time(redis_address: RedisAddress) -> None:
    state = await read_state(redis_address, 10)
    # The same machine's clock: far apart only if the answer was read wrongly.
    assert abs(state.time - SystemClock().now()) < timedelta(minutes=5)
    assert state.eviction_policy is None


@pytest.mark.parametrize("command", [redis_command, valkey_command], ids=["redis", "valkey"])
async def test_cache_that_evicts_says_so(tmp_path: Path, command: Callable[[], list[str]]) -> None:
    limit = ("--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru")
    with RedisServer(tmp_path, command(), *limit) as server:
        state = await read_state(RedisAddress(url=server.url), 10)
    assert state.eviction_policy == "allkeys-lru"


async def test_nobody_listening_is_said() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(CacheUnreachableError, match="Connect call failed"):
            await read_state(_at(closed), 10)


async def test_silent_server_is_given_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(CacheUnreachableError, match=r"no answer within 0\.1 s"),
    ):
        await read_state(_at(silent), 0.1)


async def test_secret_of_a_malformed_url_is_not_told() -> None:
    with pytest.raises(CacheUnreachableError) as raised:
        await read_state(RedisAddress(url="redis://:hunter2/3@127.0.0.1:6379/0"), 1)
    assert "hunter2" not in repr(raised.value)
    assert raised.value.__suppress_context__


def _at(listener: socket.socket) -> RedisAddress:
    return RedisAddress(url=f"redis://127.0.0.1:{listener.getsockname()[1]}/0")
