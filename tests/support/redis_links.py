"""Links to real servers, and what tests ask of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.cache.connect import RedisAddress, connect
from llm_worker.adapters.cache.link import CacheAwayError, RedisLink
from llm_worker.adapters.cache.script import script_of
from llm_worker.adapters.clock import SystemClock
from llm_worker.domain.breaker import CircuitBreaker
from tests.support.fake_redis import SeenByLink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEEP = script_of("keep", "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])")
BROKEN = script_of("broken", "return redis.call('GET', KEYS[1]) + ARGV[1]")
PATIENT_S = 5.0
HURRIED_S = 0.2
SECRET = "hunter2"  # noqa: S105 - nobody's
_AGAIN_WITHIN_S = 30.0


@asynccontextmanager
async def linked(
    address: RedisAddress | str, seen: SeenByLink | None = None, *, budget_s: float = PATIENT_S
) -> AsyncIterator[RedisLink]:
    where = RedisAddress(url=address) if isinstance(address, str) else address
    link = RedisLink(
        connect(where, budget_s=budget_s),
        budget_s=budget_s,
        breaker=CircuitBreaker(failure_threshold=3, recovery_timeout_s=0.1),
        clock=SystemClock(),
        observer=seen or SeenByLink(),
        linger_s=0,
    )
    try:
        yield link
    finally:
        await link.aclose()


async def keep(link: RedisLink, number: int) -> None:
    """Call a script; its answer must be this call's own."""
    value = f"value {number}".encode()
    assert await link.run(KEEP, [f"key-{number}"], value) == value


async def works(link: RedisLink) -> None:
    """Make many calls at once; all are answered."""
    await asyncio.gather(*(keep(link, number) for number in range(50)))
    assert link.is_available


async def fails(link: RedisLink) -> list[str]:
    """Call until the breaker is open, in vain; give what was said."""
    said: list[str] = []
    while link.is_available:
        assert link.failure_count == len(said)
        with pytest.raises(CacheAwayError) as raised:
            await keep(link, len(said))
        said.append(str(raised.value))
    return said


async def works_again(link: RedisLink) -> None:
    """Call until all is well."""
    async with asyncio.timeout(_AGAIN_WITHIN_S):
        while True:
            try:
                await works(link)
            except CacheAwayError:
                await asyncio.sleep(0.02)
            else:
                break
    assert link.failure_count == 0
