"""The closed vocabularies of the wire."""

from __future__ import annotations

from enum import StrEnum


class ProviderName(StrEnum):
    """The company, or machine, that judges. `self_hosted` only where an operator enabled it."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"
    GOOGLE = "google"
    OPENROUTER = "openrouter"
    SELF_HOSTED = "self_hosted"
    MOCK = "mock"


class Winner(StrEnum):
    """The better essay."""

    A = "Essay A"
    B = "Essay B"


class ErrorCode(StrEnum):
    """Why a request has no verdict. The list is closed."""

    VALIDATION_ERROR = "VALIDATION_ERROR"
    INVALID_REQUEST = "INVALID_REQUEST"
    CONFIGURATION_ERROR = "CONFIGURATION_ERROR"
    AUTHENTICATION_ERROR = "AUTHENTICATION_ERROR"
    AUTHORIZATION_ERROR = "AUTHORIZATION_ERROR"
    RATE_LIMIT = "RATE_LIMIT"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    TIMEOUT = "TIMEOUT"
    CONNECTION_ERROR = "CONNECTION_ERROR"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    EXTERNAL_SERVICE_ERROR = "EXTERNAL_SERVICE_ERROR"
    CIRCUIT_BREAKER_OPEN = "CIRCUIT_BREAKER_OPEN"
    PARSING_ERROR = "PARSING_ERROR"
    INVALID_RESPONSE = "INVALID_RESPONSE"
    KAFKA_PUBLISH_ERROR = "KAFKA_PUBLISH_ERROR"
    UNKNOWN_ERROR = "UNKNOWN_ERROR"
    LLM_INVALID_PROMPT = "LLM_INVALID_PROMPT"
    LLM_CONTENT_TOO_LONG = "LLM_CONTENT_TOO_LONG"
    LLM_INVALID_CALLBACK_TOPIC = "LLM_INVALID_CALLBACK_TOPIC"
    LLM_COST_LIMIT_EXCEEDED = "LLM_COST_LIMIT_EXCEEDED"


class FailureType(StrEnum):
    """How an attempt at a provider failed."""

    TIMEOUT = "timeout"
    RATE_LIMIT = "rate_limit"
    AUTHENTICATION = "authentication"
    SERVICE_UNAVAILABLE = "service_unavailable"
    CONNECTION = "connection"
    INVALID_RESPONSE = "invalid_response"
    REFUSED = "refused"
    CONTENT_TOO_LONG = "content_too_long"
    UNKNOWN = "unknown"


class AlertType(StrEnum):
    """Which kind of limit a cost alert is about."""

    DAILY_LIMIT = "daily_limit"
    MONTHLY_LIMIT = "monthly_limit"
    RATE_SPIKE = "rate_spike"
    BUDGET_THRESHOLD = "budget_threshold"


class Lane(StrEnum):
    """The queue a request stands in; neither starves the other."""

    NORMAL = "normal"
    BULK = "bulk"


class TopicName(StrEnum):
    """The logical names in topics.yaml."""

    COMPARISON_REQUESTED = "comparison_requested"
    COMPARISON_REQUESTED_BULK = "comparison_requested_bulk"
    COMPARISON_RESULT = "comparison_result"
    REQUEST_STARTED = "request_started"
    REQUEST_COMPLETED = "request_completed"
    PROVIDER_FAILURE = "provider_failure"
    CACHE_HIT = "cache_hit"
    CACHE_MISS = "cache_miss"
    COST_TRACKING = "cost_tracking"
    USAGE_ANALYTICS = "usage_analytics"
    COST_ALERT = "cost_alert"
    SPEND_STATE = "spend_state"
    CONTROL = "control"
    DEAD_LETTER = "dead_letter"


REQUEST_TOPICS = {
    Lane.NORMAL: TopicName.COMPARISON_REQUESTED,
    Lane.BULK: TopicName.COMPARISON_REQUESTED_BULK,
}
"""The request topic of each lane."""
