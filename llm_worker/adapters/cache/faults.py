"""What went wrong with Redis, in one word: its replies may quote values, so they are not told."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError


class Fault(StrEnum):
    """Why there is no answer."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    REFUSED = "refused"
    FULL = "full"
    AUTH = "auth"
    SCRIPT = "script"
    OTHER = "other"


REDIS_ERRORS: Final = (RedisError, RedisClusterException, OSError)
"""All that a call raises when it is not we who are wrong; TimeoutError is an OSError."""

# The first that fits: redis-py derives the special ones from the general ones.
_FAULTS: Final = (
    (
        (AuthenticationError, AuthorizationError, NoPermissionError),
        Fault.AUTH,
    ),
    (OutOfMemoryError, Fault.FULL),
    (
        (ReadOnlyError, BusyLoadingError, ClusterDownError, MasterDownError, TryAgainError),
        Fault.REFUSED,
    ),
    ((TimeoutError, RedisTimeoutError), Fault.TIMEOUT),
    ((RedisConnectionError, RedisClusterException, OSError), Fault.CONNECTION),
)


def fault_of(answer: object) -> Fault | None:
    """Name the fault; None: it is an answer."""
    if not isinstance(answer, Exception):
        return None
    for kinds, fault in _FAULTS:
        if isinstance(answer, kinds):
            return fault
    if isinstance(answer, ResponseError):
        # Redis 7 and later end the error of a script with its SHA and place.
        return Fault.SCRIPT if "script" in str(answer).lower() else Fault.REFUSED
    return Fault.OTHER
