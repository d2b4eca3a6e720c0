"""The events beside a result: what happened, what it cost, what is set."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, PlainSerializer, WithJsonSchema

from llm_worker.contracts.envelope import Milliseconds, Tokens, Unit, UtcDatetime, WireModel
from llm_worker.contracts.result import TokenUsage
from llm_worker.contracts.vocabulary import AlertType, FailureType, ProviderName, TopicName

DIGITS = 12
"""Before the point, and after it, of a plausible amount or count."""


def _plausible(usd: Decimal) -> Decimal:
    # Beyond that the sum of two would have more digits than anybody can keep.
    if usd and not -DIGITS <= usd.adjusted() < DIGITS:
        raise ValueError("is no plausible amount; send US dollars")
    return usd


def _countable(tokens: dict[str, int]) -> dict[str, int]:
    if any(not 0 <= count < 10**DIGITS for count in tokens.values()):
        raise ValueError("has a count below 0 or beyond any model; send tokens by kind")
    return tokens


UsdNumber = Annotated[
    Decimal,
    PlainSerializer(float, return_type=float, when_used="json"),
    Field(ge=0),
    AfterValidator(_plausible),
    WithJsonSchema({"type": "number", "minimum": 0, "x-unit": "USD"}),
]
"""US dollars: exact inside, a JSON number on the wire."""

UsdText = Annotated[
    Decimal,
    # Plain digits: str() would write 1E-7, which not every reader of decimal text understands.
    PlainSerializer("{:f}".format, return_type=str, when_used="json"),
    Field(ge=0),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$", "x-unit": "USD"}),
]
"""US dollars as decimal text on the wire, exact for ever."""

TokenCounts = dict[str, Tokens]
"""Tokens by kind; an unknown kind is left out, never null."""


Requests = Annotated[int, Unit("requests")]
Attempts = Annotated[int, Unit("attempts")]

RequestType = Annotated[str, Field(description="What was asked for: comparison.")]
CorrelationId = Annotated[UUID, Field(description="The request's; also the record's key.")]
Model = Annotated[str, Field(description="The provider's name of the model.")]
UserId = Annotated[str | None, Field(description="As in the request.")]
OrganizationId = Annotated[str | None, Field(description="As in the request.")]


class LLMRequestStartedV1(WireModel):
    """An attempt at a provider begins."""

    provider: ProviderName = Field(description="Who is called.")
    request_type: RequestType = "comparison"
    correlation_id: CorrelationId
    user_id: UserId = None
    metadata: dict[str, Any] = Field(
        description="model, attempt, request_id; circuit_breaker half_open for the probe of an "
        "open breaker; repair true when a malformed answer is asked for again."
    )


class LLMRequestCompletedV1(WireModel):
    """A request has its answer."""

    provider: ProviderName = Field(
        description="Who judged; where nobody was asked, who would have been asked first."
    )
    request_type: RequestType = "comparison"
    correlation_id: CorrelationId
    success: bool = Field(description="True: a verdict; false: an error.")
    response_time_ms: Milliseconds = Field(
        ge=0, description="Milliseconds from the request's arrival to its answer."
    )
    error_message: str | None = Field(
        default=None, description="Why there is no verdict; null on success."
    )
    token_usage: TokenUsage = Field(description="Tokens over all attempts of the request.")
    cost_estimate: UsdNumber = Field(description="USD, all attempts of the request.")
    metadata: dict[str, Any] = Field(
        description="cached, model, attempts, cost_known, request_id, organization_id, user_id, "
        "lane; circuit_breaker_closed true when a probe closed a breaker."
    )


class LLMProviderFailureV1(WireModel):
    """One attempt at a provider failed."""

    provider: ProviderName = Field(description="Who was called.")
    failure_type: FailureType = Field(description="How it failed, for a program.")
    correlation_id: CorrelationId
    error_details: str = Field(description="What went wrong, in words.")
    circuit_breaker_opened: bool = Field(description="Whether this failure opened the breaker.")
    metadata: dict[str, Any] = Field(
        description="model, http_status, attempt, retry_after, sent (whether the provider has, or "
        "may have, received it), provider_request_id, request_id."
    )


class LLMCacheHitV1(WireModel):
    """A request was answered without a purchase."""

    provider: ProviderName = Field(description="Who judged when the verdict was bought.")
    model: Model
    correlation_id: CorrelationId
    cache_tier: str = Field(description="Where the verdict was found: redis or local.")
    bought_by: UUID = Field(description="The correlation id that paid for the verdict.")
    saved_usd: UsdNumber = Field(description="USD that the verdict cost when it was bought.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="request_id.")


class LLMCacheMissV1(WireModel):
    """The cache was asked and had no answer."""

    provider: ProviderName = Field(description="Who would have judged.")
    model: Model
    correlation_id: CorrelationId
    metadata: dict[str, Any] = Field(default_factory=dict, description="request_id.")


class LLMCostTrackingV1(WireModel):
    """What one attempt cost, or one cache hit saved."""

    correlation_id: CorrelationId
    provider: ProviderName = Field(description="Who was paid, or whose verdict was cached.")
    model: Model
    request_type: RequestType = "comparison"
    cost_estimate_usd: UsdNumber = Field(description="USD; 0.0 with cost_known false is unknown.")
    cost_known: bool = Field(description="False: the cost is unknown, not zero.")
    token_usage: Annotated[TokenCounts, AfterValidator(_countable)] = Field(
        description="Tokens by kind: prompt_tokens, completion_tokens, total_tokens, "
        "cache_read_tokens, cache_write_tokens, reasoning_tokens."
    )
    cached: bool = Field(description="True: a cache hit, nothing was bought.")
    cache_cost_savings_usd: UsdNumber = Field(
        default=Decimal(0),
        description="USD that a cache hit did not spend.",
        json_schema_extra={"default": 0.0},  # else the text "0", in the schema of what is read
    )
    user_id: UserId = None
    organization_id: OrganizationId = None
    service_name: str = Field(description="The service that bought.")
    request_timestamp: UtcDatetime = Field(description="The request's event_timestamp, UTC.")
    response_time_ms: Milliseconds = Field(
        ge=0, description="Milliseconds of the attempt; of a cache hit, from arrival to answer."
    )
    attempt: int = Field(
        ge=0, description="The attempt's number over all targets, from 1; 0 for a cache hit."
    )
    outcome: str = Field(description="success, failure, unknown, superseded or cached.")
    metadata: dict[str, Any] = Field(
        default_factory=dict,
        description="lane, request_id, sent (the provider has, or may have, received it), "
        "provider_request_id; repair true when a malformed answer was asked for again; of a cache "
        "hit bought_by (the correlation id that paid), savings_known.",
    )


class ProviderStats(WireModel):
    """One provider's part of a window."""

    requests: Requests = Field(
        ge=0, description="Requests that it was asked for; without cache hits."
    )
    failures: Attempts = Field(ge=0, description="Attempts at it that failed.")
    tokens: Tokens = Field(ge=0, description="Tokens of all kinds together.")
    cost: UsdNumber = Field(description="USD; attempts of unknown cost count 0.")
    p50_response_ms: Annotated[float | None, Unit("ms")] = Field(
        default=None, description="Median milliseconds of its verdicts; null without one."
    )
    p95_response_ms: Annotated[float | None, Unit("ms")] = Field(
        default=None, description="Milliseconds that 95 % of its verdicts did not exceed."
    )


class LLMUsageAnalyticsV1(WireModel):
    """What happened in one window of time."""

    period_start: UtcDatetime = Field(description="The window's start, UTC, included.")
    period_end: UtcDatetime = Field(description="The next window's start, UTC, excluded.")
    provider_stats: dict[str, ProviderStats] = Field(description="Each provider's part, by name.")
    total_requests: Requests = Field(ge=0, description="Requests answered, of either ending.")
    successful_requests: Requests = Field(ge=0, description="Those of them with a verdict.")
    failed_requests: Requests = Field(ge=0, description="Those of them without a verdict.")
    total_tokens: TokenCounts = Field(description="Tokens by kind.")
    total_cost: UsdNumber = Field(description="USD; attempts of unknown cost count 0.")
    average_response_time_ms: Annotated[float, Unit("ms")] = Field(
        ge=0, description="Mean milliseconds from arrival to answer."
    )
    metadata: dict[str, Any] = Field(
        default_factory=dict,
        description="cache_hit_rate, 0 to 1; unknown_costs, attempts whose cost is unknown; "
        "next_offsets, the first record of each source partition that is in a later window.",
    )


class LLMCostAlertV1(WireModel):
    """Spend has crossed a threshold; raised once per scope, period and threshold."""

    alert_type: AlertType = Field(description="Which kind of limit it is about.")
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
    provider: ProviderName | None = Field(default=None, description="Null: all providers.")
    model: str | None = Field(default=None, description="Null: all models.")
    lane: str | None = Field(default=None, description="normal or bulk; null: both.")


class LLMSpendStateV1(WireModel):
    """Totals of one scope and period, from one source partition."""

    scope: SpendScope = Field(description="Whose spend it is.")
    period: str = Field(description="Day 2026-11-23 or month 2026-11, UTC.")
    source: TopicName = Field(
        default=TopicName.COST_TRACKING,
        description="Logical name of the topic that was added up: cost_tracking (money, tokens, "
        "cache hits) or request_completed (requests, failures). Add both for the whole.",
    )
    partition: int = Field(ge=0, description="Of the topic that was added up.")
    requests: Requests = Field(
        ge=0, description="Requests that were answered, with or without verdict."
    )
    failures: Requests = Field(ge=0, description="Those of them without a verdict.")
    cache_hits: Requests = Field(
        ge=0, description="Requests that were answered without a purchase."
    )
    tokens: TokenCounts = Field(description="Tokens by kind.")
    cost_usd: UsdText = Field(description="USD, known costs, exact decimal text.")
    unknown_costs: Attempts = Field(ge=0, description="Attempts whose cost is unknown.")
    savings_usd: UsdText = Field(
        description="USD that cache hits did not spend, exact decimal text."
    )
    last_offset: int = Field(ge=0, description="Last offset of the partition that is in here.")
    alerts_raised: list[str] = Field(description="Thresholds that were told already.")
    updated_at: UtcDatetime = Field(description="When these totals were told, UTC.")


class LLMControlV1(WireModel):
    """One runtime setting; unset is a tombstone."""

    setting: str = Field(description="The setting's name in the TOML file; also the record's key.")
    value: Any = Field(description="In the setting's own type.")
    changed_by: str = Field(description="Name of the admin key, or of the user, that changed it.")
    changed_at: UtcDatetime = Field(description="When it was changed, UTC.")
    reason: str | None = Field(default=None, description="Why, in the words of who changed it.")
    previous: Any = Field(default=None, description="The value before; null when it was unset.")
