"""From settings to what is remembered: outcomes and verdicts, here and in Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llm_worker.adapters.cache.connect import RedisAddress, connect
from llm_worker.adapters.cache.link import RedisLink
from llm_worker.adapters.cache.local_outcomes import LocalOutcomes
from llm_worker.adapters.cache.outbox import Outbox
from llm_worker.adapters.cache.presence import Presence
from llm_worker.adapters.cache.redis_outcomes import RedisOutcomes
from llm_worker.adapters.cache.shared_outcomes import SharedOutcomes
from llm_worker.adapters.cache.verdicts import LocalVerdicts, SharedVerdicts
from llm_worker.domain.breaker import CircuitBreaker
from llm_worker.domain.health import CacheFacts

if TYPE_CHECKING:
    from llm_worker.adapters.clock import SystemClock
    from llm_worker.adapters.telemetry.events import WorkerTelemetry
    from llm_worker.adapters.telemetry.metrics import Metrics
    from llm_worker.application.ports import OutcomeStore, VerdictCache
    from llm_worker.settings import Settings

OUTCOME_MEMORY_BYTES: Final = 24 * 1024 * 1024
_MEGABYTE: Final = 1_000_000
_FAILURES_TO_OPEN: Final = 2
"""In a row: with a claim's two tries, no request waits for a Redis that hangs a second time."""
_LEFT_ALONE_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the worker remembers; without `link` this process alone does."""

    outcomes: OutcomeStore
    verdicts: VerdictCache
    local_verdicts: LocalVerdicts
    link: RedisLink | None = None
    outbox: Outbox | None = None
    presence: Presence | None = None

    async def keep_present(self) -> None:
        """Renew our sign of life for ever, where there is somebody to see it."""
        if self.presence is not None:
            await self.presence.keep_renewing()

    async def aclose(self) -> None:
        """Take our leave, and close what was opened."""
        if self.outbox is not None:
            await self.outbox.drain_all()
        if self.presence is not None:
            await self.presence.leave()
        if self.link is not None:
            await self.link.aclose()

    def facts(self) -> CacheFacts:
        """Describe it for /healthz."""
        if self.link is None:
            return CacheFacts()
        return CacheFacts(
            cache_mode="redis",
            redis_available=self.link.is_available,
            redis_failure_count=self.link.failure_count,
        )


def build_memory(
    settings: Settings, clock: SystemClock, telemetry: WorkerTelemetry, metrics: Metrics
) -> Memory:
    """Wire what is remembered. Nothing is opened before the first call."""
    cache = settings.cache
    outcomes = LocalOutcomes(max_bytes=OUTCOME_MEMORY_BYTES, clock=clock)
    verdicts = LocalVerdicts(
        max_bytes=cache.local_size_mb * _MEGABYTE,
        max_entries=cache.local_max_entries,
        ttl_s=cache.local_ttl_s,
        clock=clock,
        observer=metrics,
    )
    if not cache.redis_url.get_secret_value():
        return Memory(outcomes=outcomes, verdicts=verdicts, local_verdicts=verdicts)
    link = build_link(settings, clock, telemetry)
    outbox = Outbox(link)
    held_at_most_s = settings.request_deadline_s + settings.drain_s
    presence = Presence(link, key_prefix=cache.key_prefix, clock=clock, on_renewed=outbox.drain)
    shared = RedisOutcomes(
        link,
        presence,
        outbox,
        key_prefix=cache.key_prefix,
        ttl_s=cache.outcome_ttl_s,
        held_at_most_s=held_at_most_s,
    )
    return Memory(
        outcomes=SharedOutcomes(outcomes, shared, metrics),
        verdicts=SharedVerdicts(
            verdicts,
            link,
            presence,
            outbox,
            key_prefix=cache.key_prefix,
            ttl_s=cache.ttl_s,
            bought_within_s=held_at_most_s,
            observer=metrics,
        ),
        local_verdicts=verdicts,
        link=link,
        outbox=outbox,
        presence=presence,
    )


def redis_address(settings: Settings) -> RedisAddress:
    """Say where Redis is."""
    cache = settings.cache
    return RedisAddress(
        url=cache.redis_url.get_secret_value(),
        sentinels=cache.sentinels,
        sentinel_master=cache.sentinel_master,
        is_cluster=cache.cluster,
    )


def build_link(settings: Settings, clock: SystemClock, telemetry: WorkerTelemetry) -> RedisLink:
    """Wire the way to Redis."""
    budget_s = settings.cache.budget_ms / 1000
    return RedisLink(
        connect(redis_address(settings), budget_s=budget_s),
        budget_s=budget_s,
        breaker=CircuitBreaker(
            failure_threshold=_FAILURES_TO_OPEN, recovery_timeout_s=_LEFT_ALONE_S
        ),
        clock=clock,
        observer=telemetry,
    )
