"""Whether the worker is well, and whether it may be given work: judged from facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BROKER_SILENT_S: Final = 30.0
"""Seconds without a word from the broker after which it counts as gone."""

STUCK_S: Final = 60.0
"""Seconds past its deadline after which the oldest delivery counts as stuck."""

LOOP_LATE_S: Final = 1.0
"""Seconds of event loop lag that are worth a warning."""


class HealthStatus(StrEnum):
    """In one word."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaFacts:
    """How the worker stands with Kafka; ages in seconds, None for never."""

    assigned_partitions: int
    rebalancing: bool
    draining: bool
    publisher_available: bool
    last_broker_contact_age_s: float | None
    oldest_delivery_overdue_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFacts:
    """What remembers outcomes and verdicts.

    `cache_mode` is local where no Redis is set, else redis, also while it is away;
    `redis_failure_count` are failures since Redis last answered.
    """

    cache_mode: str = "local"
    local_cache_available: bool = True
    redis_available: bool = False
    redis_failure_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFacts:
    """One provider; the breaker is closed, half_open or open."""

    enabled: bool
    configured: bool
    circuit_breaker_state: str

    @property
    def is_usable(self) -> bool:
        """Whether a call may go there, now or as a probe."""
        return self.enabled and self.configured and self.circuit_breaker_state != "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that health is judged from; who `may_stand_by` is ready without a partition."""

    service: str = "llm-worker"
    version: str
    environment: str
    loop_lag_s: float
    kafka: KafkaFacts
    providers: Mapping[str, ProviderFacts] = field(default_factory=dict)
    may_stand_by: bool = False
    cache: CacheFacts = field(default_factory=CacheFacts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The judgement, with the facts it rests on.

    `not_ready_because` is empty when work may be given; `warnings` is empty when healthy.
    """

    status: HealthStatus
    not_ready_because: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: Facts
    service: str = "llm-worker"

    @property
    def is_ready(self) -> bool:
        """Whether work may be given."""
        return not self.not_ready_because


def judge(facts: Facts) -> Health:
    """Judge: unhealthy when no request can be answered, degraded when something is amiss."""
    failures = tuple(_failures(facts))
    troubles = tuple(_troubles(facts))
    status = HealthStatus.HEALTHY
    if troubles:
        status = HealthStatus.DEGRADED
    if failures:
        status = HealthStatus.UNHEALTHY
    return Health(
        service=facts.service,
        status=status,
        not_ready_because=tuple(_hindrances(facts)),
        warnings=failures + troubles,
        facts=facts,
    )


def _failures(facts: Facts) -> Iterator[str]:
    kafka = facts.kafka
    if kafka.last_broker_contact_age_s is None:
        yield "no Kafka broker has answered yet"
    elif kafka.last_broker_contact_age_s >= BROKER_SILENT_S:
        yield f"no Kafka broker has answered for {kafka.last_broker_contact_age_s:.0f} s"
    if kafka.oldest_delivery_overdue_s >= STUCK_S:
        yield f"a request is stuck, {kafka.oldest_delivery_overdue_s:.0f} s past its deadline"
    if facts.providers and not any(provider.is_usable for provider in facts.providers.values()):
        yield "no provider can be called"


def _troubles(facts: Facts) -> Iterator[str]:
    if not facts.kafka.publisher_available:
        yield "publishing to Kafka fails: no new request is taken until it works again"
    for name, provider in facts.providers.items():
        if provider.enabled and not provider.configured:
            yield f"provider {name} is enabled and not configured"
        elif provider.enabled and not provider.is_usable:
            yield f"provider {name}: its circuit breaker is open"
    if facts.cache.cache_mode == "redis" and not facts.cache.redis_available:
        yield (
            "Redis does not answer: what is done now is remembered by this process alone "
            f"({facts.cache.redis_failure_count} failures)"
        )
    if facts.loop_lag_s >= LOOP_LATE_S:
        yield f"the event loop is {facts.loop_lag_s:.1f} s late"


def _hindrances(facts: Facts) -> Iterator[str]:
    kafka = facts.kafka
    if kafka.draining:
        yield "draining: the process is stopping"
    if kafka.rebalancing:
        yield "the consumer group is rebalancing"
    if kafka.assigned_partitions == 0 and not facts.may_stand_by:
        yield "no partition is assigned"
