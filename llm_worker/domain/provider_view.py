"""What is known of a provider now: the one read model for health, metrics and pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.breaker import BreakerState


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerView:
    """One model's circuit breaker that is not closed, and since when."""

    state: BreakerState
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderView:
    """One provider, as of now; times in UTC, numbers since the start of the process.

    `breaker` is the default model's, `breakers` has every model's that is not closed.
    `success_rate` (0 to 1) and the response times are of the last 200 attempts. `allowed` calls
    may be in flight now, at most `max_in_flight`. `requests_left` and `tokens_left` may go at
    once, below zero that many wait; None where no limit is known. `paused_s` is how long the
    provider still wants to be left alone.
    """

    name: ProviderName
    enabled: bool
    configured: bool
    default_model: str | None
    breaker: BreakerState
    breakers: Mapping[str, BreakerView]
    attempts: int
    failures: int
    success_rate: float | None
    last_success: datetime | None
    last_failure: datetime | None
    last_error: str | None
    average_response_ms: float | None
    p50_response_ms: int | None
    p95_response_ms: int | None
    in_flight: int
    waiting: int
    allowed: int
    max_in_flight: int
    requests_per_minute: float | None
    requests_left: float | None
    tokens_per_minute: float | None
    tokens_left: float | None
    paused_s: float
