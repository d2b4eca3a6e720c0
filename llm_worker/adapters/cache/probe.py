"""Ask a Redis whether it is there, what time it has, and whether it forgets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from llm_worker.adapters.cache.connect import connect, disconnect
from llm_worker.adapters.cache.faults import REDIS_ERRORS

if TYPE_CHECKING:
    from llm_worker.adapters.cache.connect import RedisAddress


class CacheUnreachableError(Exception):
    """Redis does not answer as it should; the text never holds its URL, which may hold a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisState:
    """Redis' own time, in UTC, and what it does when its memory is full; None: it has no limit."""

    time: datetime
    eviction_policy: str | None


async def read_state(address: RedisAddress, timeout_s: float) -> RedisState:
    """Ask Redis for its state. Raises CacheUnreachableError if it does not tell in time."""
    try:
        redis = connect(address, budget_s=timeout_s)
    except ValueError as error:
        raise CacheUnreachableError(str(error)) from None
    try:
        async with asyncio.timeout(timeout_s):
            seconds, microseconds = await redis.time()
            memory = await redis.info("memory")
    except TimeoutError as error:
        raise CacheUnreachableError(f"no answer within {timeout_s:g} s") from error
    except REDIS_ERRORS as error:
        raise CacheUnreachableError(str(error)) from error
    finally:
        await disconnect(redis)
    return RedisState(
        time=datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds),
        eviction_policy=memory.get("maxmemory_policy") if memory.get("maxmemory") else None,
    )
