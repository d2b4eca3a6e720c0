"""The events beside a result: what happened, what it cost, what is set."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, PlainSerializer, WithJsonSchema

from llm_worker.contracts.envelope import UtcDatetime, WireModel
from llm_worker.contracts.result import TokenUsage
from llm_worker.contracts.vocabulary import AlertType, FailureType, ProviderName, TopicName

_DIGITS = 12


def _plausible(usd: Decimal) -> Decimal:
    # Beyond that the sum of two would have more digits than anybody can keep.
    if usd and not -_DIGITS <= usd.adjusted() < _DIGITS:
        raise ValueError("is no plausible amount; send US dollars")
    return usd


def _countable(tokens: dict[str, int]) -> dict[str, int]:
    if any(not 0 <= count < 10**_DIGITS for count in tokens.values()):
        raise ValueError("has a count below 0 or beyond any model; send tokens by kind")
    return tokens


UsdNumber = Annotated[
    Decimal,
    PlainSerializer(float, return_type=float, when_used="json"),
    Field(ge=0),
    AfterValidator(_plausible),
    WithJsonSchema({"type": "number", "minimum": 0}),
]
"""US dollars: exact inside, a JSON number on the wire."""

UsdText = Annotated[
    Decimal,
    # Plain digits: str() would write 1E-7, which not every reader of decimal text understands.
    PlainSerializer("{:f}".format, return_type=str, when_used="json"),
    Field(ge=0),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}),
]
"""US dollars as decimal text on the wire, exact for ever."""

TokenCounts = dict[str, int]
"""Tokens by kind; an unknown kind is left out, never null."""


class LLMRequestStartedV1(WireModel):
    """An attempt at a provider begins."""

    provider: ProviderName
    request_type: str = "comparison"
    correlation_id: UUID
    user_id: str | None = None
    metadata: dict[str, Any] = Field(
        description="model, attempt, request_id; circuit_breaker half_open for the probe of an "
        "open breaker; repair true when a malformed answer is asked for again."
    )


class LLMRequestCompletedV1(WireModel):
    """A request has its answer."""

    provider: ProviderName
    request_type: str = "comparison"
    correlation_id: UUID
    success: bool
    response_time_ms: int = Field(ge=0)
    error_message: str | None = Field(default=None, description="Null on success.")
    token_usage: TokenUsage
    cost_estimate: UsdNumber = Field(description="USD, all attempts of the request.")
    metadata: dict[str, Any] = Field(
        description="cached, model, attempts, cost_known, request_id, organization_id, user_id, "
        "lane; circuit_breaker_closed true when a probe closed a breaker."
    )


class LLMProviderFailureV1(WireModel):
    """One attempt at a provider failed."""

    provider: ProviderName
    failure_type: FailureType
    correlation_id: UUID
    error_details: str
    circuit_breaker_opened: bool = Field(description="Whether this failure opened the breaker.")
    metadata: dict[str, Any] = Field(
        description="model, http_status, attempt, retry_after, sent (whether the provider has, or "
        "may have, received it), provider_request_id, request_id."
    )


class LLMCacheHitV1(WireModel):
    """A request was answered without a purchase."""

    provider: ProviderName
    model: str
    correlation_id: UUID
    cache_tier: str = Field(description="redis or local.")
    bought_by: UUID = Field(description="The correlation id that paid for the verdict.")
    saved_usd: UsdNumber = Field(description="What the verdict cost when it was bought.")
    metadata: dict[str, Any] = Field(default_factory=dict)


class LLMCacheMissV1(WireModel):
    """The cache was asked and had no answer."""

    provider: ProviderName
    model: str
    correlation_id: UUID
    metadata: dict[str, Any] = Field(default_factory=dict)


class LLMCostTrackingV1(WireModel):
    """What one attempt cost, or one cache hit saved."""

    correlation_id: UUID
    provider: ProviderName
    model: str
    request_type: str = "comparison"
    cost_estimate_usd: UsdNumber = Field(description="0 with cost_known false is unknown.")
    cost_known: bool = Field(description="False: the cost is unknown, not zero.")
    token_usage: Annotated[TokenCounts, AfterValidator(_countable)] = Field(
        description="prompt_tokens, completion_tokens, total_tokens, cache_read_tokens, "
        "cache_write_tokens, reasoning_tokens."
    )
    cached: bool
    cache_cost_savings_usd: UsdNumber = Field(
        default=Decimal(0),
        description="What a cache hit did not spend.",
        json_schema_extra={"default": 0.0},  # else the text "0", in the schema of what is read
    )
    user_id: str | None = None
    organization_id: str | None = None
    service_name: str
    request_timestamp: UtcDatetime
    response_time_ms: int = Field(ge=0)
    attempt: int = Field(ge=0)
    outcome: str = Field(description="success, failure, unknown, superseded or cached.")
    metadata: dict[str, Any] = Field(default_factory=dict)


class ProviderStats(WireModel):
    """One provider's part of a window."""

    requests: int = Field(ge=0, description="Requests that it was asked for; without cache hits.")
    failures: int = Field(ge=0, description="Attempts at it that failed.")
    tokens: int = Field(ge=0, description="All kinds together.")
    cost: UsdNumber = Field(description="USD; attempts of unknown cost count 0.")
    p50_response_ms: float | None = Field(
        default=None, description="Median time of its verdicts; null without one."
    )
    p95_response_ms: float | None = Field(
        default=None, description="Time that 95 % of its verdicts did not exceed."
    )


class LLMUsageAnalyticsV1(WireModel):
    """What happened in one window of time."""

    period_start: UtcDatetime
    period_end: UtcDatetime = Field(description="Excluded: the next window's start.")
    provider_stats: dict[str, ProviderStats] = Field(description="By provider.")
    total_requests: int = Field(ge=0)
    successful_requests: int = Field(ge=0)
    failed_requests: int = Field(ge=0)
    total_tokens: TokenCounts = Field(description="Tokens by kind.")
    total_cost: UsdNumber = Field(description="USD; attempts of unknown cost count 0.")
    average_response_time_ms: float = Field(ge=0)
    metadata: dict[str, Any] = Field(
        default_factory=dict,
        description="cache_hit_rate, 0 to 1; unknown_costs, attempts whose cost is unknown; "
        "next_offsets, the first record of each source partition that is in a later window.",
    )


class LLMCostAlertV1(WireModel):
    """Spend has crossed a threshold; raised once per scope, period and threshold."""

    alert_type: AlertType
    provider: ProviderName | None = Field(default=None, description="Null: all providers.")
    current_cost: UsdNumber = Field(description="USD spent in the period.")
    threshold: UsdNumber = Field(description="USD that were reached.")
    period: str = Field(description="Day 2026-11-23 or month 2026-11, UTC.")
    metadata: dict[str, Any] = Field(
        description="scope, organization_id, share (1 is the whole limit; null for a spike)."
    )


class SpendScope(WireModel):
    """Whose spend it is; null stands for all.

    Scopes without any null are disjoint and complete: together they are everything.
    """

    organization_id: str | None = Field(
        default=None, description="Empty: of requests that name no organisation."
    )
    provider: ProviderName | None = None
    model: str | None = None
    lane: str | None = None


class LLMSpendStateV1(WireModel):
    """Totals of one scope and period, from one source partition."""

    scope: SpendScope
    period: str = Field(description="Day 2026-11-23 or month 2026-11, UTC.")
    source: TopicName = Field(
        default=TopicName.COST_TRACKING,
        description="Logical name of the topic that was added up: cost_tracking (money, tokens, "
        "cache hits) or request_completed (requests, failures). Add both for the whole.",
    )
    partition: int = Field(ge=0, description="Of the topic that was added up.")
    requests: int = Field(ge=0, description="Requests that were answered, with or without verdict.")
    failures: int = Field(ge=0, description="Those of them without a verdict.")
    cache_hits: int = Field(ge=0, description="Requests that were answered without a purchase.")
    tokens: TokenCounts = Field(description="Tokens by kind.")
    cost_usd: UsdText = Field(description="Known costs, exact.")
    unknown_costs: int = Field(ge=0, description="Attempts whose cost is unknown.")
    savings_usd: UsdText = Field(description="What cache hits did not spend, exact.")
    last_offset: int = Field(ge=0, description="Last offset of the partition that is in here.")
    alerts_raised: list[str] = Field(description="Thresholds told already.")
    updated_at: UtcDatetime


class LLMControlV1(WireModel):
    """One runtime setting; unset is a tombstone."""

    setting: str
    value: Any = Field(description="In the setting's own type.")
    changed_by: str = Field(description="Name of the key that was used.")
    changed_at: UtcDatetime
    reason: str | None = None
    previous: Any = Field(default=None, description="The value before; null when it was unset.")
