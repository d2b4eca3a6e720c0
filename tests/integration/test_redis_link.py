"""The link to Redis, over real servers that misbehave: nothing but CacheAwayError, then well."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.cache.link import CacheAwayError
from tests.support.fake_redis import SeenByLink
from tests.support.redis_links import (
    BROKEN,
    HURRIED_S,
    KEEP,
    SECRET,
    fails,
    keep,
    linked,
    works,
    works_again,
)
from tests.support.redis_servers import RedisServer, redis_command, valkey_command, with_password
from tests.support.slow_proxy import SlowProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(params=[redis_command, valkey_command], ids=["redis", "valkey"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    command: Callable[[], list[str]] = request.param
    with RedisServer(tmp_path / "server", command()) as server:
        yield server


async def test_frozen_server_is_given_up_in_time_and_found_again(server: RedisServer) -> None:
    async with linked(server.url, budget_s=HURRIED_S) as link:
        await works_again(link)
        server.freeze()
        # Coarse, for a busy machine; tests/unit has it exactly.
        async with asyncio.timeout(3 * HURRIED_S + 5):
            assert set(await fails(link)) == {"Redis failed: timeout"}
        server.thaw()
        await works_again(link)


async def test_server_that_hangs_from_the_start_is_found_when_it_answers(
    server: RedisServer,
) -> None:
    server.freeze()
    async with linked(server.url + "?db=3", budget_s=HURRIED_S) as link:
        assert set(await fails(link)) == {"Redis failed: timeout"}
        server.thaw()
        await works_again(link)


async def test_answer_that_came_while_this_process_was_busy_is_taken(server: RedisServer) -> None:
    async with linked(server.url, budget_s=HURRIED_S) as link:
        await works_again(link)
        answer = link.run(KEEP, ["key"], "value")
        for _ in range(10):  # until it is sent
            await asyncio.sleep(0)
        time.sleep(2 * HURRIED_S)  # noqa: ASYNC251 - so busy
        assert await answer == b"value"


async def test_closing_does_not_wait_for_a_server_that_hangs(server: RedisServer) -> None:
    async with linked(server.url, budget_s=HURRIED_S) as link:
        await works_again(link)
        server.freeze()
        link.post_later(KEEP, ["key"], "value", unheard=lambda: None)


async def test_slow_way_is_given_up_and_answers_that_come_late_reach_nobody(
    server: RedisServer,
) -> None:
    async with (
        SlowProxy(server.port) as proxy,
        linked(f"redis://127.0.0.1:{proxy.port}", budget_s=HURRIED_S) as link,
    ):
        await works_again(link)
        proxy.to_client_s = 2 * HURRIED_S
        assert set(await fails(link)) == {"Redis failed: timeout"}
        proxy.to_client_s, proxy.to_server_s = 0, 2 * HURRIED_S
        with pytest.raises(CacheAwayError):
            await keep(link, 1)
        proxy.to_server_s = 0
        await works_again(link)


async def test_killed_server_is_found_again_when_it_has_restarted(server: RedisServer) -> None:
    async with linked(server.url) as link:
        await works(link)
        server.kill()
        assert set(await fails(link)) == {"Redis failed: connection"}
        server.start()
        await works_again(link)


async def test_server_that_forgets_scripts_or_keys_fails_nobody(server: RedisServer) -> None:
    seen = SeenByLink()
    async with linked(server.url, seen) as link:
        for words in (("SCRIPT", "FLUSH"), ("FLUSHALL",), ("SCRIPT", "FLUSH", "ASYNC")):
            await works(link)
            server.ask(*words)
        await works(link)
    assert set(seen.errors) == {None}


async def test_full_server_refuses_writes_and_still_answers_reads(server: RedisServer) -> None:
    async with linked(server.url) as link:
        await works(link)
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.ask("CONFIG", "SET", "maxmemory", 1)
        said = await fails(link)
        assert set(said) == {"Redis failed: full"}
        async with linked(server.url) as reader:
            assert await reader.command("GET", "key-1") == b"value 1"
        server.ask("CONFIG", "SET", "maxmemory", 0)
        await works_again(link)


async def test_wrong_password_is_told_without_it_and_works_when_it_is_right(
    server: RedisServer,
) -> None:
    with_password(server, "another")
    async with linked(f"redis://:{SECRET}@127.0.0.1:{server.port}/0") as link:
        assert set(await fails(link)) == {"Redis failed: auth"}
        with_password(server, SECRET)
        await works_again(link)


async def test_password_that_is_missing_is_told(server: RedisServer) -> None:
    url = server.url
    with_password(server, SECRET)
    async with linked(url) as link:
        assert set(await fails(link)) == {"Redis failed: auth"}


async def test_connection_cut_before_the_answer_fails_and_the_next_one_is_well(
    server: RedisServer,
) -> None:
    async with (
        SlowProxy(server.port) as proxy,
        linked(f"redis://127.0.0.1:{proxy.port}") as link,
    ):
        await works(link)
        proxy.cuts_answers = True
        with pytest.raises(CacheAwayError, match="connection"):
            await keep(link, 1000)
        assert server.ask("GET", "key-1000") == b"value 1000"
        proxy.cuts_answers = False
        await works_again(link)


async def test_connections_cut_while_nobody_asks_are_no_failure(server: RedisServer) -> None:
    seen = SeenByLink()
    async with linked(server.url, seen) as link:
        await works(link)
        server.ask("CLIENT", "KILL", "TYPE", "normal")
        await works(link)
    assert set(seen.errors) == {None}


async def test_defect_of_a_script_is_a_failure_of_its_own_call(server: RedisServer) -> None:
    async with linked(server.url) as link:
        broken, well = link.run(BROKEN, ["key"], SECRET), link.command("GET", "key")
        assert await well is None
        with pytest.raises(CacheAwayError) as raised:
            await broken
        assert str(raised.value) == "Redis failed: script"


async def test_unix_socket_works(server: RedisServer, tmp_path: Path) -> None:
    server.stop()
    path = tmp_path / "socket"
    with RedisServer(tmp_path / "other", server.command, "--unixsocket", str(path)):
        async with linked(f"unix://{path}") as link:
            await works(link)
