"""Verdicts that were bought before: this process's memory in front of Redis, and in its place."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

from llm_worker.adapters.cache.link import CacheAwayError
from llm_worker.adapters.cache.lru import Lru
from llm_worker.adapters.cache.packing import pack_verdict, verdict_or_none
from llm_worker.adapters.cache.script import load_script
from llm_worker.application.ports import Turn
from llm_worker.domain.cached import CachedVerdict, CacheHit, CacheTier

if TYPE_CHECKING:
    import asyncio

    from llm_worker.adapters.cache.link import RedisLink
    from llm_worker.adapters.cache.outbox import Outbox
    from llm_worker.adapters.cache.presence import Presence
    from llm_worker.application.ports import Clock

_LOOK_UP: Final = load_script("look_up")
_END_TURN: Final = load_script("end_turn")
_ENTRY_BYTES: Final = 400
"""What an entry's own objects take, beside its bytes; measured, rounded up."""


class CacheObserver(Protocol):
    """Who counts what the cache did."""

    def cache_asked(self, tier: CacheTier, *, is_hit: bool) -> None:
        """Note one look into a tier."""

    def cache_evicted(self) -> None:
        """Note that the local tier made room."""


class LocalVerdicts:
    """The local tier: bounded by entries, bytes and age; bytes as they are, in their real size."""

    def __init__(
        self,
        *,
        max_bytes: int,
        max_entries: int,
        ttl_s: float,
        clock: Clock,
        observer: CacheObserver,
    ) -> None:
        self._observer = observer
        self._kept: Lru[str, bytes] = Lru(
            max_bytes=max_bytes,
            max_entries=max_entries,
            ttl_s=ttl_s,
            clock=clock,
            on_evict=observer.cache_evicted,
        )

    @property
    def size_bytes(self) -> int:
        """Bytes held."""
        return self._kept.size_bytes

    def __len__(self) -> int:
        return len(self._kept)

    def look_ahead(self, fingerprint: str) -> None:
        """Do nothing: what is here is here at once."""

    def never_mind(self, fingerprint: str) -> None:
        """Do nothing."""

    async def find(self, fingerprint: str) -> CacheHit | Turn:
        """Give the verdict, or the turn to buy it."""
        return self.look(fingerprint) or Turn.BUY

    def has(self, fingerprint: str) -> bool:
        """Say whether the verdict is kept."""
        return self._kept.get(fingerprint) is not None

    def look(self, fingerprint: str) -> CacheHit | None:
        """Give the verdict where it is kept."""
        packed = self._kept.get(fingerprint)
        return _counted(self._observer, CacheTier.LOCAL, packed)

    def keep(self, fingerprint: str, verdict: CachedVerdict) -> None:
        """Remember a verdict."""
        self.keep_packed(fingerprint, pack_verdict(verdict))

    def keep_packed(self, fingerprint: str, packed: bytes) -> None:
        """Remember a verdict as Redis has it."""
        size_bytes = _ENTRY_BYTES + sys.getsizeof(packed) + sys.getsizeof(fingerprint)
        self._kept.keep(fingerprint, packed, size_bytes)

    def pass_on(self, fingerprint: str) -> None:
        """Do nothing: turns within a process are its caller's."""


class SharedVerdicts:
    """Both tiers. A local hit asks nobody; what is bought goes to both; Redis away means local.

    A purchase under way is another's after `bought_within_s` seconds, whoever still makes it.
    """

    def __init__(  # noqa: PLR0913 - it stands on all of them
        self,
        local: LocalVerdicts,
        link: RedisLink,
        presence: Presence,
        outbox: Outbox,
        *,
        key_prefix: str,
        ttl_s: float,
        bought_within_s: float,
        observer: CacheObserver,
    ) -> None:
        self._local = local
        self._link = link
        self._presence = presence
        self._outbox = outbox
        self._key_prefix = key_prefix
        self._ttl_ms = int(ttl_s * 1000)
        # A purchase ends sooner, or with its process; this only sweeps up.
        self._purchase_ttl_ms = int(bought_within_s * 1000)
        self._observer = observer
        self._ahead: dict[str, asyncio.Future[Any]] = {}
        self._turns: dict[str, str] = {}

    async def find(self, fingerprint: str) -> CacheHit | Turn:
        """Give the verdict, or say whether to buy it; an answer from memory asks nobody."""
        found = self._local.look(fingerprint)
        if found is not None:
            self.never_mind(fingerprint)
            return found
        try:
            return await self._find_shared(fingerprint)
        except CacheAwayError:
            return Turn.BUY

    def keep(self, fingerprint: str, verdict: CachedVerdict) -> None:
        """Remember a verdict in both tiers, and end the turn."""
        packed = pack_verdict(verdict)
        self._local.keep_packed(fingerprint, packed)
        self._end_turn(fingerprint, packed)

    def look_ahead(self, fingerprint: str) -> None:
        """Begin to ask Redis, with whatever else it is asked at this moment."""
        if fingerprint not in self._ahead and not self._local.has(fingerprint):
            self._ahead[fingerprint] = answer = self._look_up(fingerprint)
            answer.add_done_callback(_retrieved)

    def never_mind(self, fingerprint: str) -> None:
        """End the turn that may have come of it, where nobody followed."""
        if self._ahead.pop(fingerprint, None) is not None:
            self.pass_on(fingerprint)

    def pass_on(self, fingerprint: str) -> None:
        """End the turn without a verdict."""
        self._end_turn(fingerprint, b"")

    async def _find_shared(self, fingerprint: str) -> CacheHit | Turn:
        answer = self._ahead.pop(fingerprint, None) or self._look_up(fingerprint)
        while True:
            word, *more = await answer
            if word == b"held":
                if await self._presence.may_be_alive(more[0]):
                    self._turns.pop(fingerprint, None)
                    return Turn.LOOK_AGAIN
                answer = self._look_up(fingerprint, gone=more[0])
                continue
            packed = more[0] if word == b"found" else None
            found = _counted(self._observer, CacheTier.REDIS, packed)
            if found is None or packed is None:
                return Turn.BUY
            self._turns.pop(fingerprint, None)
            self._local.keep_packed(fingerprint, packed)
            return found

    def _look_up(self, fingerprint: str, *, gone: bytes = b"") -> asyncio.Future[Any]:
        """Ask Redis; `gone` is the turn of a buyer that is no more.

        Each look has a turn of its own, so that the end of one, which may be heard late, does not
        end the next.
        """
        turn = self._turns[fingerprint] = self._presence.new_token()
        return self._link.run(
            _LOOK_UP,
            verdict_keys(self._key_prefix, fingerprint),
            turn,
            self._purchase_ttl_ms,
            gone,
        )

    def _end_turn(self, fingerprint: str, packed: bytes) -> None:
        turn = self._turns.pop(fingerprint, "")
        if turn or packed:
            keys = verdict_keys(self._key_prefix, fingerprint)
            self._outbox.post(_END_TURN, keys, turn, self._ttl_ms, packed)


def verdict_keys(key_prefix: str, fingerprint: str) -> list[str]:
    """Name a verdict and its purchase under way; one hash tag, so one node of a cluster."""
    return [f"{key_prefix}verdict:{{{fingerprint}}}", f"{key_prefix}buying:{{{fingerprint}}}"]


def _retrieved(answer: asyncio.Future[Any]) -> None:
    """Look at an error that perhaps nobody waits for."""
    if not answer.cancelled():
        answer.exception()


def _counted(observer: CacheObserver, tier: CacheTier, packed: bytes | None) -> CacheHit | None:
    """Read what was found, if anything, and count it; another version's form is a miss."""
    verdict = None if packed is None else verdict_or_none(packed)
    observer.cache_asked(tier, is_hit=verdict is not None)
    return None if verdict is None else CacheHit(verdict=verdict, tier=tier)
