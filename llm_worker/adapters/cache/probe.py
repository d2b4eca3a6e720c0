"""Ask a Redis whether it is there, and what time it has."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from llm_worker.adapters.cache.connect import connect, disconnect
from llm_worker.adapters.cache.faults import REDIS_ERRORS

if TYPE_CHECKING:
    from llm_worker.adapters.cache.connect import RedisAddress


class CacheUnreachableError(Exception):
    """Redis does not answer as it should; the text never holds its URL, which may hold a secret."""


async def read_time(address: RedisAddress, timeout_s: float) -> datetime:
    """Give Redis' own time, in UTC. Raises CacheUnreachableError if it does not tell in time."""
    try:
        redis = connect(address, budget_s=timeout_s)
    except ValueError as error:
        raise CacheUnreachableError(str(error)) from None
    try:
        async with asyncio.timeout(timeout_s):
            seconds, microseconds = await redis.time()
    except TimeoutError as error:
        raise CacheUnreachableError(f"no answer within {timeout_s:g} s") from error
    except REDIS_ERRORS as error:
        raise CacheUnreachableError(str(error)) from error
    finally:
        await disconnect(redis)
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
