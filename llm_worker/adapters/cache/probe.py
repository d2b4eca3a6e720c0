"""Ask a Redis whether it is there, and what time it has."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError


class CacheUnreachableError(Exception):
    """Redis does not answer as it should; the text never holds its URL, which may hold a secret."""


async def read_time(url: str, timeout_s: float) -> datetime:
    """Give Redis' own time, in UTC. Raises CacheUnreachableError if it does not tell in time."""
    try:
        redis = Redis.from_url(url, retry=Retry(NoBackoff(), 0))
    except ValueError:
        # Not chained: the text may hold a part of the password.
        raise CacheUnreachableError("its URL is not like redis://host:6379/0") from None
    try:
        async with asyncio.timeout(timeout_s), redis:
            seconds, microseconds = await redis.time()
    except TimeoutError as error:
        raise CacheUnreachableError(f"no answer within {timeout_s:g} s") from error
    except (RedisError, OSError) as error:
        raise CacheUnreachableError(str(error)) from error
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
