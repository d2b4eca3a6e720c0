"""GET /api/v1/state: all that the health page shows of one worker.

Null is unknown or not there. Numbers without another word are of this worker, since its start.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from llm_worker.contracts.envelope import UtcDatetime, WireModel
from llm_worker.contracts.events import UsdText
from llm_worker.contracts.http import BreakerName
from llm_worker.contracts.vocabulary import ErrorCode, Lane, ProviderName

Steps = tuple[int | None, ...]


class ServiceState(WireModel):
    """Which process answers."""

    name: str
    version: str
    environment: str
    started_at: UtcDatetime
    uptime_s: float
    worker_id: str = Field(description="host:pid.")


class HealthState(WireModel):
    """The judgement of /healthz and /readyz."""

    status: Literal["healthy", "degraded", "unhealthy"]
    since: UtcDatetime = Field(description="Since when the status is what it is.")
    warnings: tuple[str, ...] = Field(description="In words.")
    ready: bool
    not_ready_because: tuple[str, ...] = Field(description="In words.")


class TopicLag(WireModel):
    """What waits on one request topic, in the partitions that are this worker's."""

    topic: str
    lane: Lane
    partitions: int
    records: int
    per_minute: float | None = Field(
        description="By how much the lag has changed a minute, over the last minutes."
    )
    drains_in_s: float | None = Field(
        description="0 when nothing waits; null when the lag does not shrink."
    )


class FlowState(WireModel):
    """Whether verdicts flow."""

    verdicts_per_minute: float | None = Field(description="Over the last minute.")
    failures_per_minute: float | None = Field(
        description="Requests that ended without a verdict, over the last minute."
    )
    running_calls: int
    max_in_flight: int
    in_hand: int = Field(description="Deliveries pulled and not yet acknowledged.")
    window: int = Field(description="Most that may be in hand.")
    oldest_s: float = Field(description="Age of the oldest delivery in hand; 0 without one.")
    duplicates_answered: int = Field(
        description="Requests that came again and were answered with what was known."
    )
    lag: tuple[TopicLag, ...]


class KafkaLink(WireModel):
    """How the worker stands with Kafka."""

    last_contact_s: float | None = Field(description="Seconds ago; null: never.")
    assigned_partitions: int
    rebalancing: bool
    draining: bool
    publisher_available: bool


class WorkerMember(WireModel):
    """A worker of the group, and its partitions by topic; none while the group rebalances."""

    id: str
    host: str
    is_this: bool
    partitions: dict[str, tuple[int, ...]]


class BreakerTrouble(WireModel):
    """A model's circuit breaker that is not closed."""

    model: str
    state: BreakerName
    since: UtcDatetime


class ProviderState(WireModel):
    """One provider; success rate and response times are of its last 200 attempts."""

    name: ProviderName
    enabled: bool
    configured: bool
    remedy: str | None = Field(description="In words, what would make it usable; null: it is.")
    default_model: str | None
    breaker: BreakerName = Field(description="The default model's.")
    breakers: tuple[BreakerTrouble, ...]
    success_rate: float | None = Field(description="0 to 1.")
    attempts: int
    failures: int
    p50_response_ms: int | None
    p95_response_ms: int | None
    in_flight: int
    waiting: int
    allowed: int = Field(description="Calls that may be in flight now.")
    max_in_flight: int
    requests_per_minute: float | None
    requests_left: float | None = Field(description="May go at once; below 0 so many wait.")
    tokens_per_minute: float | None
    tokens_left: float | None
    paused_s: float = Field(description="For so long the provider wants to be left alone.")
    last_success: UtcDatetime | None
    last_failure: UtcDatetime | None
    last_error: str | None = Field(description="In words.")
    cost_today_usd: UsdText | None = Field(description="Of all workers, as far as it is known.")
    unknown_costs_today: int | None = Field(description="Attempts whose cost is unknown.")


class CacheUse(WireModel):
    """What was bought before and need not be bought again."""

    mode: Literal["redis", "local"]
    redis_available: bool
    redis_failures: int = Field(description="Since Redis answered last.")
    lookups: int
    hits: int
    hit_rate: float | None = Field(description="0 to 1.")
    savings_usd: UsdText
    local_verdicts: int
    local_bytes: int


class PeriodSpend(WireModel):
    """What all workers have spent in a day or month."""

    period: str = Field(description="Day 2026-11-23 or month 2026-11, UTC.")
    requests: int
    failures: int
    cost_usd: UsdText
    unknown_costs: int = Field(description="Attempts that are not in cost_usd.")
    savings_usd: UsdText
    limit_usd: UsdText | None = Field(description="Null: without limit.")


class BudgetState(WireModel):
    """Spend against the overall limits."""

    known: bool = Field(description="False: the totals have not been read yet.")
    hard: bool
    reserved_usd: UsdText = Field(description="Set aside for this worker's running calls.")
    today: PeriodSpend | None
    month: PeriodSpend | None


class RecentFailure(WireModel):
    """A request that ended without a verdict."""

    at: UtcDatetime
    kind: Literal["failed", "rejected"]
    error_code: ErrorCode
    correlation_id: UUID | None
    request_id: UUID
    provider: ProviderName | None = Field(description="Null: nobody was to be asked.")
    model: str | None
    attempts: int
    dead_letter: bool


class SettingState(WireModel):
    """A setting that differs from its default."""

    name: str = Field(description="As in the TOML file.")
    value: Any = Field(description="A secret's is the word set.")
    source: Literal["environment", "control"]
    changed_by: str | None
    changed_at: UtcDatetime | None
    reason: str | None


class HistoryState(WireModel):
    """The last hour, oldest step first, all lists of one length; null in steps that are unknown."""

    step_s: int
    until: UtcDatetime = Field(description="End of the last step.")
    verdicts: Steps = Field(description="In each step.")
    failures: Steps = Field(description="In each step.")
    lag: Steps = Field(description="At each step's end, all request topics.")
    running_calls: Steps = Field(description="At each step's end.")
    cost_usd: tuple[float | None, ...] = Field(description="Known cost in each step.")


class StateV1(WireModel):
    """One worker, its group and what it costs, as of `at`."""

    at: UtcDatetime
    service: ServiceState
    health: HealthState
    flow: FlowState
    kafka: KafkaLink
    workers: tuple[WorkerMember, ...] | None = Field(
        description="The whole group; null: not known (yet)."
    )
    providers: tuple[ProviderState, ...]
    cache: CacheUse
    budget: BudgetState
    failures: tuple[RecentFailure, ...] = Field(description="Newest first, at most 50.")
    settings: tuple[SettingState, ...]
    history: HistoryState
