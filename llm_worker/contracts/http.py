"""Bodies of HTTP requests and answers; /api/openapi.json is generated from them."""

from __future__ import annotations

from typing import Any, Final, Literal
from uuid import UUID

from pydantic import Field

from llm_worker.contracts.envelope import UtcDatetime, WireModel
from llm_worker.contracts.result import TokenUsage
from llm_worker.contracts.vocabulary import ErrorCode, ProviderName, Winner

LONGEST_IDEMPOTENCY_KEY: Final = 255
"""Characters of the header Idempotency-Key."""

BreakerName = Literal["closed", "half_open", "open"]


class ErrorAnswer(WireModel):
    """Why there is no answer. Never holds prompt text or a key."""

    error: str = Field(description="In words: names the field or the cause, and the remedy.")
    error_type: ErrorCode
    correlation_id: UUID | None = None
    retry_after: float | None = Field(
        default=None, description="Seconds; null: unknown, or repeating does not help."
    )
    is_final: bool = Field(
        default=False,
        description="The request has failed, and with the same Idempotency-Key this stays the "
        "answer.",
    )


class LiveAnswer(WireModel):
    """The event loop turns."""

    status: Literal["alive"]
    event_loop_lag_s: float = Field(description="How late the loop's last timer was.")


class ReadyAnswer(WireModel):
    """Whether work may be given."""

    ready: bool
    reasons: list[str] = Field(description="Why not, in words; empty when ready.")


class KafkaState(WireModel):
    """How the process stands with Kafka; null is never."""

    assigned_partitions: int
    rebalancing: bool
    draining: bool
    publisher_available: bool
    last_broker_contact_age_s: float | None
    oldest_delivery_overdue_s: float


class RedisState(WireModel):
    """Whether Redis is asked."""

    available: bool


class CacheState(WireModel):
    """What remembers outcomes and verdicts."""

    cache_mode: Literal["local", "redis"]
    local_cache_available: bool
    redis_available: bool
    redis_failure_count: int = Field(description="Since Redis last answered.")


class Dependencies(WireModel):
    """What the process stands on."""

    kafka: KafkaState
    redis: RedisState
    cache: CacheState


class ProviderHealth(WireModel):
    """A provider in short."""

    enabled: bool
    configured: bool
    circuit_breaker_state: BreakerName


class HealthAnswer(WireModel):
    """The judgement, and the facts it rests on."""

    status: Literal["healthy", "degraded", "unhealthy"]
    service: str
    version: str
    environment: str
    dependencies: Dependencies
    providers: dict[str, ProviderHealth]
    warnings: list[str] = Field(description="In words; empty when healthy.")


class ProviderSummary(WireModel):
    """A provider as this worker sees it; counts since its start."""

    name: ProviderName
    enabled: bool
    available: bool = Field(description="Enabled, configured, and its breaker is not open.")
    circuit_breaker_state: BreakerName
    default_model: str | None
    last_success: UtcDatetime | None
    last_failure: UtcDatetime | None
    failure_count: int
    average_response_time_ms: float | None


class ProvidersAnswer(WireModel):
    """Every provider there is; today's totals are of all workers, null until they are read."""

    providers: list[ProviderSummary]
    default_provider: ProviderName
    selection_strategy: str
    total_requests_today: int | None
    total_cost_today: float | None = Field(description="USD, as far as it is known.")


class ProviderTestAnswer(WireModel):
    """What came of one tiny real call."""

    success: bool
    provider: ProviderName
    message: str


class QueuedAnswer(WireModel):
    """The broker holds the request."""

    queue_id: UUID = Field(description="The request's event id.")
    status: Literal["queued"] = "queued"
    message: str


class ComparisonAnswer(WireModel):
    """A verdict."""

    winner: Winner
    justification: str
    confidence: float = Field(ge=1, le=5, description="1 unsure, 5 sure.")
    provider: ProviderName
    model: str
    response_time_ms: int
    cached: bool
    token_usage: TokenUsage
    cost_estimate: float = Field(ge=0, description="USD; 0.0 with cost_known false is unknown.")
    cost_known: bool
    correlation_id: UUID
    trace_id: str | None
    metadata: dict[str, Any]


class UsageTotal(WireModel):
    """A total; money as decimal text, exact."""

    requests: int
    failures: int
    cache_hits: int
    tokens: dict[str, int]
    cost_usd: str
    unknown_costs: int = Field(description="Calls whose cost is in no sum.")
    savings_usd: str


class UsagePeriod(WireModel):
    """A day or a month, in UTC."""

    period: str
    total: UsageTotal
    by_provider: dict[str, UsageTotal]
    by_model: dict[str, UsageTotal]
    by_organization: dict[str, UsageTotal]
    by_lane: dict[str, UsageTotal]


class UsageAnswer(WireModel):
    """What was spent by all workers."""

    today: UsagePeriod
    month: UsagePeriod


class SettingAnswer(WireModel):
    """A runtime setting as it holds; the last three only where the control topic sets it."""

    name: str
    value: Any = Field(description="As JSON has it; null is none.")
    source: Literal["default", "environment", "control"]
    meaning: str
    changed_by: str | None = None
    changed_at: UtcDatetime | None = None
    reason: str | None = None


class ConfigAnswer(WireModel):
    """Every setting that can be changed while the processes run."""

    settings: list[SettingAnswer]


class Reason(WireModel):
    """Why something is changed."""

    reason: str | None = Field(default=None, max_length=500)


class SettingChange(Reason):
    """Another value for a runtime setting."""

    value: Any = Field(description="As JSON has it, or written as in the environment.")


class ChangeAnswer(SettingAnswer):
    """A setting after its change, which the broker holds."""

    previous: Any = Field(description="What held before; null is none.")
