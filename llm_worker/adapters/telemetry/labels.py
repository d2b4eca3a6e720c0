"""What the worker's metrics are told apart by; each set of values is bounded."""

from __future__ import annotations

from typing import Final

from llm_worker.adapters.telemetry.metric import Label
from llm_worker.contracts.vocabulary import AlertType, ErrorCode, FailureType, Lane, ProviderName
from llm_worker.domain.breaker import BreakerState
from llm_worker.domain.cached import CacheTier

LANE: Final = Label("lane", tuple(Lane))
PROVIDER: Final = Label("provider", tuple(ProviderName))
MODEL: Final = Label("model")
OUTCOME: Final = Label("outcome", ("success", *FailureType))
TOKEN_KIND: Final = Label(
    "kind", ("prompt", "completion", "cache_read", "cache_write", "reasoning")
)
BREAKER_STATE: Final = Label("state", tuple(BreakerState))
ERROR_CODE: Final = Label("code", tuple(ErrorCode))
SHARED_STEP: Final = Label("step", ("claim", "begin", "outcome"))
CACHE_TIER: Final = Label("tier", tuple(CacheTier))
CACHE_RESULT: Final = Label("result", ("hit", "miss"))
REDIS_FAULT: Final = Label(
    "reason", ("timeout", "connection", "refused", "full", "auth", "script", "other")
)
BUDGET_REASON: Final = Label("reason", ("over", "unpriced"))
TOPIC: Final = Label("topic")
PARTITION: Final = Label("partition")
PROCESS: Final = Label("process", ("worker", "accountant"))
VERSION: Final = Label("version")
ENVIRONMENT: Final = Label("environment")
BOOKING_RESULT: Final = Label("result", ("added", "repeated", "unreadable"))
ALERT_TYPE: Final = Label("type", tuple(AlertType))
PERIOD: Final = Label("period", ("day", "month"))
