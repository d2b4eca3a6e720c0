"""From an address to a client of Redis: one server, Sentinel or Cluster; TCP, TLS or a socket."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio import ConnectionPool, Redis, RedisCluster, SSLConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CONNECTIONS: Final = 32
_CLOSE_LIMIT_S: Final = 1.0

# Nothing that is sent beside our commands, and no time limits but the caller's: RESP2 needs no
# HELLO and knows no maintenance notifications, `driver_info` would send two CLIENT SETINFO.
_OPTIONS: Final = {
    "protocol": 2,
    "driver_info": None,
    "socket_timeout": None,
    "max_connections": MAX_CONNECTIONS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where Redis is.

    Args:
        url: `redis://`, `rediss://` (TLS; its certificate is verified) or `unix://`, with what
            redis-py allows in the query, such as `ssl_ca_certs`. Holds the password.
        sentinels: Each `host:port`; they are asked for the master, and host and port of the URL
            do not matter. The URL's password is the master's, its TLS is for both.
        sentinel_master: The name under which the Sentinels watch it.
        is_cluster: The URL leads to any node of a Redis Cluster.
    """

    url: str = field(repr=False)
    sentinels: tuple[str, ...] = ()
    sentinel_master: str = "mymaster"
    is_cluster: bool = False


def connect(address: RedisAddress, *, budget_s: float) -> Redis | RedisCluster:
    """Make a client, whose calls are tried once; nothing is sent yet.

    Args:
        address: Where Redis is.
        budget_s: Seconds that a call may take. A Sentinel gets so little of them that the next
            one can still be asked.

    Raises:
        ValueError: the URL is malformed; the text does not hold it.
    """
    try:
        options = _OPTIONS | {"retry": _once()} | dict(parse_url(address.url))
        return _kind_of(address)(address, options, budget_s)
    except (ValueError, TypeError, RedisError, RedisClusterException):
        # Not chained: the text may hold a part of the password.
        raise ValueError(
            "its URL is not like redis://host:6379/0, or has what does not go with it (an unknown "
            "option, a cluster's database other than 0)"
        ) from None


async def disconnect(client: Redis | RedisCluster) -> None:
    """Close the client's connections, those to Sentinels too; at most 1 s for each kind."""
    await _closed(client)
    pool = None if isinstance(client, RedisCluster) else client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        await _closed(pool.sentinel_manager)


async def _closed(owner: Redis | RedisCluster | Sentinel) -> None:
    # A server that hangs does not say goodbye; its connections are gone all the same.
    with contextlib.suppress(RedisError, OSError):
        async with asyncio.timeout(_CLOSE_LIMIT_S):
            await owner.aclose()


def _kind_of(
    address: RedisAddress,
) -> Callable[[RedisAddress, dict[str, Any], float], Redis | RedisCluster]:
    if address.is_cluster:
        return _cluster
    return _master if address.sentinels else _server


def _server(_address: RedisAddress, options: dict[str, Any], _budget_s: float) -> Redis:
    pool = ConnectionPool(**options)
    _check_options(pool)
    return Redis.from_pool(pool)


def _master(address: RedisAddress, options: dict[str, Any], budget_s: float) -> Redis:
    is_tls = options.pop("connection_class", None) is SSLConnection
    options = {name: options[name] for name in options.keys() - {"host", "port", "path"}}
    share_s = budget_s / (len(address.sentinels) + 1)
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    sentinel = Sentinel(  # type: ignore[no-untyped-call] # redis-py has no types here
        [(host, int(port)) for host, _, port in (at.rpartition(":") for at in address.sentinels)],
        sentinel_kwargs={
            "socket_timeout": share_s,
            "socket_connect_timeout": share_s,
            "protocol": 2,
            "driver_info": None,
            "retry": _once(),
            "ssl": is_tls,
            **tls,
        },
    )
    master: Redis = sentinel.master_for(address.sentinel_master, ssl=is_tls, **options)
    _check_options(master.connection_pool)
    return master


def _cluster(_address: RedisAddress, options: dict[str, Any], _budget_s: float) -> RedisCluster:
    is_tls = options.pop("connection_class", None) is SSLConnection
    return RedisCluster(ssl=is_tls, **options)


def _check_options(pool: ConnectionPool) -> None:
    """Tell an unknown option now, and not with the first call."""
    pool.make_connection()  # type: ignore[no-untyped-call] # redis-py has no types here


def _once() -> Retry:
    return Retry(NoBackoff(), 0)
