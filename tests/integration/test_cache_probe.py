from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.cache.connect import RedisAddress
from llm_worker.adapters.cache.probe import CacheUnreachableError, read_time
from llm_worker.adapters.clock import SystemClock

if TYPE_CHECKING:
    from llm_worker.dev.cache import EmbeddedCache


async def test_running_cache_answers_with_its_time(cache_server: EmbeddedCache) -> None:
    # The same machine's clock: far apart only if the answer was read wrongly.
    difference = await read_time(RedisAddress(url=cache_server.url), 10) - SystemClock().now()
    assert abs(difference) < timedelta(minutes=5)


async def test_nobody_listening_is_said() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(CacheUnreachableError, match="Connect call failed"):
            await read_time(_at(closed), 10)


async def test_silent_server_is_given_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(CacheUnreachableError, match=r"no answer within 0\.1 s"),
    ):
        await read_time(_at(silent), 0.1)


async def test_secret_of_a_malformed_url_is_not_told() -> None:
    with pytest.raises(CacheUnreachableError) as raised:
        await read_time(RedisAddress(url="redis://:hunter2/3@127.0.0.1:6379/0"), 1)
    assert "hunter2" not in repr(raised.value)
    assert raised.value.__suppress_context__


def _at(listener: socket.socket) -> RedisAddress:
    return RedisAddress(url=f"redis://127.0.0.1:{listener.getsockname()[1]}/0")
