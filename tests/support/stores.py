"""What a worker process remembers, over a Redis that a test names, cuts and empties."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from llm_worker.adapters.cache.connect import RedisAddress, connect
from llm_worker.adapters.cache.link import RedisLink
from llm_worker.adapters.cache.local_outcomes import LocalOutcomes
from llm_worker.adapters.cache.outbox import Outbox
from llm_worker.adapters.cache.presence import LEASE_S, Presence
from llm_worker.adapters.cache.redis_outcomes import RedisOutcomes
from llm_worker.adapters.cache.shared_outcomes import SharedOutcomes
from llm_worker.adapters.cache.verdicts import LocalVerdicts, SharedVerdicts
from llm_worker.domain.breaker import CircuitBreaker
from llm_worker.domain.claim import Claim
from tests.support.fake_link import CutLink
from tests.support.fake_redis import SeenByLink
from tests.support.fakes import LoopClock, ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llm_worker.domain.cached import CacheTier
    from llm_worker.domain.claim import Claiming
    from llm_worker.domain.request import ComparisonRequest

HELD_AT_MOST_S = 3_600.0


@dataclass(slots=True)
class Seen:
    """What was counted."""

    unshared_steps: list[str] = field(default_factory=list)
    asked: list[tuple[str, bool]] = field(default_factory=list)
    evicted: int = 0

    def unshared(self, step: str) -> None:
        self.unshared_steps.append(step)

    def cache_asked(self, tier: CacheTier, *, is_hit: bool) -> None:
        self.asked.append((tier, is_hit))

    def cache_evicted(self) -> None:
        self.evicted += 1


def local_verdicts(seen: Seen, clock: ManualClock) -> LocalVerdicts:
    """A local tier that is large enough for any test."""
    return LocalVerdicts(
        max_bytes=1_000_000, max_entries=100, ttl_s=300, clock=clock, observer=seen
    )


@dataclass(slots=True)
class Process:
    """One process's memory. Its clock, which only leases and ages look at, is the test's."""

    link: CutLink
    prefix: str
    seen: Seen = field(default_factory=Seen)
    clock: ManualClock = field(default_factory=ManualClock)
    presence: Presence = field(init=False)
    redis: RedisOutcomes = field(init=False)
    outcomes: SharedOutcomes = field(init=False)
    verdicts: SharedVerdicts = field(init=False)

    def __post_init__(self) -> None:
        link = self.link.link
        outbox = Outbox(link)
        self.presence = Presence(
            link, key_prefix=self.prefix, clock=self.clock, on_renewed=outbox.drain
        )
        self.redis = RedisOutcomes(
            link,
            self.presence,
            outbox,
            key_prefix=self.prefix,
            ttl_s=3_600,
            held_at_most_s=HELD_AT_MOST_S,
        )
        local = LocalOutcomes(max_bytes=1_000_000, clock=self.clock)
        self.outcomes = SharedOutcomes(local, self.redis, self.seen)
        self.verdicts = SharedVerdicts(
            local_verdicts(self.seen, self.clock),
            link,
            self.presence,
            outbox,
            key_prefix=self.prefix,
            ttl_s=3_600,
            bought_within_s=HELD_AT_MOST_S,
            observer=self.seen,
        )

    async def live_on(self, seconds: float = 2 * LEASE_S) -> None:
        """Renew for so long; after more than one lease it also judges who else is alive."""
        step_s = LEASE_S / 4
        for _ in range(int(seconds / step_s) + 1):
            await self.presence.renew()
            self.clock.advance(step_s)
        await self.presence.renew()

    async def flush(self) -> None:
        """Let Redis forget everything of its database."""
        await self.link.real.command("FLUSHDB", "SYNC")


@asynccontextmanager
async def process_on(
    where: RedisAddress | str, *, prefix: str | None = None
) -> AsyncIterator[Process]:
    """Start one, which is alive, and sure of it."""
    address = RedisAddress(url=where) if isinstance(where, str) else where
    link = RedisLink(
        connect(address, budget_s=5),
        budget_s=5,
        breaker=CircuitBreaker(failure_threshold=3, recovery_timeout_s=1),
        clock=LoopClock(),
        observer=SeenByLink(),
    )
    process = Process(CutLink(link), prefix or f"test-{uuid4().hex}:")
    await process.live_on()
    try:
        yield process
    finally:
        await link.aclose()


async def claim_at(process: Process, request: ComparisonRequest) -> Claim:
    claim = await process.outcomes.claim(request)
    assert isinstance(claim, Claim), claim
    return claim


async def claiming_later(process: Process, request: ComparisonRequest) -> Claiming:
    """Claim when nothing is believed any more that was seen of others before."""
    process.clock.advance(0.3)
    return await process.outcomes.claim(request)


async def sent(process: Process) -> None:
    """Wait until Redis has what nobody waits for."""
    await process.link.command("PING")


async def die(process: Process) -> None:
    """Let a process be gone: nothing of it is renewed, and its lease has ended."""
    await process.presence.leave()
