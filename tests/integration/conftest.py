from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.stores import process_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.stores import Process


@pytest.fixture(params=["cache_server", "redis_server"], ids=["valkey", "redis"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """A database that no other test uses, since these flush it."""
    server_url: str = request.getfixturevalue(request.param).url
    return server_url.removesuffix("/0") + "/5"


@pytest.fixture
async def two(redis_url: str) -> AsyncIterator[tuple[Process, Process]]:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(process_on(redis_url))
        other = await stack.enter_async_context(process_on(redis_url, prefix=one.prefix))
        yield one, other
