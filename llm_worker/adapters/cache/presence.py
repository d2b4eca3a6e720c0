"""Which processes are alive: each renews one key, and its claims live as long as it does."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from llm_worker.adapters.cache.link import CacheAwayError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llm_worker.adapters.cache.link import RedisLink
    from llm_worker.application.ports import Clock

LEASE_S: Final = 10.0
"""Seconds without a renewal after which a process counts as gone."""
_RENEWED_EVERY_S: Final = 2.5
_BELIEVED_S: Final = 0.25
_REMEMBERED: Final = 100


class Presence:
    """This process's sign of life, and a look at those of others.

    One lease a process, not one a claim: renewing costs the same whatever is in flight.
    """

    def __init__(
        self,
        link: RedisLink,
        *,
        key_prefix: str,
        clock: Clock,
        on_renewed: Callable[[], Awaitable[None]],
    ) -> None:
        self.owner: Final = uuid4().hex
        self._link = link
        self._key_prefix = key_prefix
        self._clock = clock
        self._on_renewed = on_renewed
        self._renewed_s = float("-inf")
        self._sure_since_s = float("inf")
        self._seen: dict[str, tuple[bool, float]] = {}
        self._numbers = count()

    def new_token(self) -> str:
        """Give a token that says whose it is, and that nothing else of this process has."""
        return f"{self.owner}:{next(self._numbers)}"

    async def renew(self) -> None:
        """Say once that we are alive."""
        begun_s = self._clock.monotonic()
        try:
            await self._link.command("SET", self._key(self.owner), "1", "PX", int(LEASE_S * 1000))
        except CacheAwayError:
            return
        if begun_s - self._renewed_s >= LEASE_S:
            self._sure_since_s = begun_s
        self._renewed_s = begun_s
        await self._on_renewed()

    async def keep_renewing(self) -> None:
        """Say it for ever."""
        while True:
            await self.renew()
            await asyncio.sleep(_RENEWED_EVERY_S)

    async def leave(self) -> None:
        """Say that we go, so that nobody waits for what we leave behind."""
        self._renewed_s = float("-inf")
        try:
            await self._link.command("DEL", self._key(self.owner))
        except CacheAwayError:
            return

    async def is_alive(self, token: str) -> bool:
        """Say whether the process lives that made a token; not of this one, which knows its work.

        Who only just came, or found Redis again or empty, cannot tell: the others may have lost it
        too, and not have renewed yet. So it believes in everybody for one lease.

        Raises:
            CacheAwayError: Redis does not answer.
        """
        owner, _, _ = token.partition(":")
        if owner == self.owner:
            return False
        if len(self._seen) > _REMEMBERED:
            self._seen.clear()
        now_s = self._clock.monotonic()
        known, until_s = self._seen.get(owner, (False, float("-inf")))
        if now_s < until_s:
            return known
        alive, is_remembered = await asyncio.gather(
            self._link.command("EXISTS", self._key(owner)),
            self._link.command("GET", self._key(self.owner)),
        )
        if not is_remembered:
            # Redis was flushed, or has restarted empty: it has forgotten the others as well.
            self._sure_since_s = now_s
        alive = alive == 1 or now_s - self._sure_since_s < LEASE_S
        self._seen[owner] = (alive, now_s + _BELIEVED_S)
        return alive

    async def may_be_alive(self, token: bytes) -> bool:
        """Say the same of a token as Redis has it; True where Redis does not answer.

        If it is away, whoever asks it next hears so.
        """
        try:
            return await self.is_alive(token.decode())
        except CacheAwayError:
            return True

    def _key(self, owner: str) -> str:
        return f"{self._key_prefix}alive:{owner}"
