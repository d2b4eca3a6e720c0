"""What lies in Redis, seen from outside: count it, remove it, put verdicts there.

For people at a command line: it takes its time, by SCAN in small steps, and disturbs no worker.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio import RedisCluster

from llm_worker.adapters.cache.faults import REDIS_ERRORS, fault_of
from llm_worker.adapters.cache.packing import pack_verdict, verdict_or_none
from llm_worker.adapters.cache.probe import CacheUnreachableError
from llm_worker.adapters.cache.verdicts import verdict_keys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from redis.asyncio import Redis

    from llm_worker.domain.cached import CachedVerdict

_KEYS_A_STEP: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVerdict:
    """A verdict as it lies in Redis; `verdict` is None in the form of another version."""

    key: bytes
    size_bytes: int
    verdict: CachedVerdict | None


class Inventory:
    """The keys of one installation. SCAN may show a key twice while Redis grows or shrinks.

    Every method raises CacheUnreachableError when Redis refuses, or when one answer takes longer
    than `timeout_s` seconds.
    """

    def __init__(self, client: Redis | RedisCluster, *, key_prefix: str, timeout_s: float) -> None:
        self._client = client
        self._key_prefix = key_prefix
        self._timeout_s = timeout_s

    async def verdicts(self) -> AsyncIterator[list[StoredVerdict]]:
        """Give all verdicts, a few hundred at a time."""
        async for keys in self._scan("verdict"):
            found = await self._all(*(("GET", key) for key in keys))
            yield [
                StoredVerdict(key=key, size_bytes=len(packed), verdict=verdict_or_none(packed))
                for key, packed in zip(keys, found, strict=True)
                if packed is not None
            ]

    async def count_requests(self) -> int:
        """Count the requests whose outcome is known, or whose claim somebody holds."""
        return sum([len(keys) async for keys in self._scan("request")])

    async def remove(self, keys: Sequence[bytes]) -> int:
        """Remove keys; give how many of them were there."""
        return sum(await self._all(*(("UNLINK", key) for key in keys)))

    async def keep(self, verdicts: Sequence[tuple[str, CachedVerdict]], *, ttl_s: float) -> int:
        """Keep verdicts under their fingerprints, where there is none; give how many are new."""
        options = ("PX", int(ttl_s * 1000), "NX")
        answers = await self._all(
            *(
                ("SET", verdict_keys(self._key_prefix, fingerprint)[0], pack_verdict(it), *options)
                for fingerprint, it in verdicts
            )
        )
        return sum(answer is not None for answer in answers)

    async def _scan(self, kind: str) -> AsyncIterator[list[bytes]]:
        pattern = f"{_literal(self._key_prefix)}{kind}:*"
        for node in await self._nodes():
            cursor = 0
            while True:
                scan = self._client.scan(cursor, match=pattern, count=_KEYS_A_STEP, **node)
                cursors, keys = await self._answer(scan)
                if keys:
                    yield keys
                # A cluster says for each node asked how far it is.
                cursor = next(iter(cursors.values())) if node else cursors
                if not cursor:
                    break

    async def _nodes(self) -> list[dict[str, Any]]:
        """Give what addresses each server that has keys."""
        if not isinstance(self._client, RedisCluster):
            return [{}]
        await self._answer(self._client.initialize())
        return [{"target_nodes": node} for node in self._client.get_primaries()]

    async def _all(self, *commands: tuple[bytes | str | int, ...]) -> list[Any]:
        """Send commands of one key each together, each to where its key is."""
        if not commands:
            return []
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await self._answer(pipeline.execute(raise_on_error=False))
        for answer in answers:
            if isinstance(answer, Exception):
                raise _unreachable(answer)
        return answers

    async def _answer(self, asked: Awaitable[Any]) -> Any:  # noqa: ANN401 - Redis answers anything
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asked
        except REDIS_ERRORS as error:
            # Not chained: the text may hold a value.
            raise _unreachable(error) from None


def _unreachable(error: Exception) -> CacheUnreachableError:
    return CacheUnreachableError(f"Redis does not answer as it should: {fault_of(error)}")


def _literal(text: str) -> str:
    """Write a text as a glob pattern that only it matches."""
    return "".join(f"\\{character}" if character in "*?[]^\\" else character for character in text)
