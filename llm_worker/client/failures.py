"""Why there is no verdict: one error for each code of the wire.

ComparisonError
├── RequestValidationError      VALIDATION_ERROR
├── InvalidRequestError         INVALID_REQUEST
├── ConfigurationError          CONFIGURATION_ERROR
├── AuthenticationError         AUTHENTICATION_ERROR
├── AuthorizationError          AUTHORIZATION_ERROR
├── RateLimitError              RATE_LIMIT
├── QuotaExceededError          QUOTA_EXCEEDED
├── ComparisonTimeoutError      TIMEOUT
├── ProviderConnectionError     CONNECTION_ERROR
├── ServiceUnavailableError     SERVICE_UNAVAILABLE
├── ExternalServiceError        EXTERNAL_SERVICE_ERROR
├── CircuitBreakerOpenError     CIRCUIT_BREAKER_OPEN
├── ParsingError                PARSING_ERROR
├── InvalidResponseError        INVALID_RESPONSE
├── KafkaPublishError           KAFKA_PUBLISH_ERROR
├── UnknownError                UNKNOWN_ERROR
├── InvalidPromptError          LLM_INVALID_PROMPT
├── ContentTooLongError         LLM_CONTENT_TOO_LONG
├── InvalidCallbackTopicError   LLM_INVALID_CALLBACK_TOPIC
└── CostLimitExceededError      LLM_COST_LIMIT_EXCEEDED
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from llm_worker.client.errors import ClientError
from llm_worker.contracts.vocabulary import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from llm_worker.contracts.http import ErrorAnswer
    from llm_worker.contracts.result import LLMComparisonResultV1


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureFacts:
    """What is known of a failure beside its code and its words.

    Attributes:
        correlation_id: Of the request, where it has been sent.
        is_retryable: Whether the same question may be answered later. It then is another request,
            with an event id of its own: what a request has failed with stays its answer.
        retry_after_s: Seconds to wait before, where the provider has named them.
        details: provider, model, http_status, errors per target.
        result: The error result, where one came.
    """

    correlation_id: UUID | None = None
    is_retryable: bool = False
    retry_after_s: float | None = None
    details: Mapping[str, Any] | None = None
    result: LLMComparisonResultV1 | None = None


class ComparisonError(ClientError):
    """There is no verdict; the text names the cause and the remedy."""

    code: ClassVar[ErrorCode]

    def __init__(self, message: str, facts: FailureFacts = FailureFacts()) -> None:
        super().__init__(message)
        self.facts = facts

    @property
    def is_retryable(self) -> bool:
        """Whether the same question may be answered later, as another request."""
        return self.facts.is_retryable

    @property
    def retry_after_s(self) -> float | None:
        """Seconds to wait before, None where nobody has named them."""
        return self.facts.retry_after_s

    @property
    def correlation_id(self) -> UUID | None:
        """The request's, None where it was never sent."""
        return self.facts.correlation_id

    @classmethod
    def by_code(cls, code: ErrorCode) -> type[Self]:
        """Give the error of a code."""
        return next(kind for kind in cls.__subclasses__() if kind.code is code)


class RequestValidationError(ComparisonError):
    """A field of the request breaks the contract; or its event id was used for other data."""

    code = ErrorCode.VALIDATION_ERROR


class InvalidRequestError(ComparisonError):
    """The provider does not take such a request, or nobody has the model."""

    code = ErrorCode.INVALID_REQUEST


class ConfigurationError(ComparisonError):
    """The worker is not set up for this request: no provider, no such model, a wrong address."""

    code = ErrorCode.CONFIGURATION_ERROR


class AuthenticationError(ComparisonError):
    """The provider does not know the worker's key."""

    code = ErrorCode.AUTHENTICATION_ERROR


class AuthorizationError(ComparisonError):
    """The provider knows the worker's key and does not allow the call."""

    code = ErrorCode.AUTHORIZATION_ERROR


class RateLimitError(ComparisonError):
    """No limit left room in time."""

    code = ErrorCode.RATE_LIMIT


class QuotaExceededError(ComparisonError):
    """The account at the provider has no credit, or has reached its limit."""

    code = ErrorCode.QUOTA_EXCEEDED


class ComparisonTimeoutError(ComparisonError):
    """The request's time was over before there was a verdict."""

    code = ErrorCode.TIMEOUT


class ProviderConnectionError(ComparisonError):
    """No provider could be reached."""

    code = ErrorCode.CONNECTION_ERROR


class ServiceUnavailableError(ComparisonError):
    """The provider, or the worker asked over HTTP, is not able to answer now."""

    code = ErrorCode.SERVICE_UNAVAILABLE


class ExternalServiceError(ComparisonError):
    """The provider answered something that its API does not speak."""

    code = ErrorCode.EXTERNAL_SERVICE_ERROR


class CircuitBreakerOpenError(ComparisonError):
    """Every provider has failed so often lately that none is asked."""

    code = ErrorCode.CIRCUIT_BREAKER_OPEN


class ParsingError(ComparisonError):
    """The request is no JSON document that the worker can read."""

    code = ErrorCode.PARSING_ERROR


class InvalidResponseError(ComparisonError):
    """The model's answer is no verdict, or was cut off."""

    code = ErrorCode.INVALID_RESPONSE


class KafkaPublishError(ComparisonError):
    """The broker did not take the result."""

    code = ErrorCode.KAFKA_PUBLISH_ERROR


class UnknownError(ComparisonError):
    """A defect of the worker; its log has the traceback."""

    code = ErrorCode.UNKNOWN_ERROR


class InvalidPromptError(ComparisonError):
    """The prompt gives nothing to compare, or the model will not judge it."""

    code = ErrorCode.LLM_INVALID_PROMPT


class ContentTooLongError(ComparisonError):
    """The prompt is longer than the model reads."""

    code = ErrorCode.LLM_CONTENT_TOO_LONG


class InvalidCallbackTopicError(ComparisonError):
    """The reply topic is not allowed, or not there."""

    code = ErrorCode.LLM_INVALID_CALLBACK_TOPIC


class CostLimitExceededError(ComparisonError):
    """A spend limit leaves no room."""

    code = ErrorCode.LLM_COST_LIMIT_EXCEEDED


def error_of(result: LLMComparisonResultV1) -> ComparisonError | None:
    """Give what an error result says as an error, None for a verdict."""
    detail = result.error_detail
    if detail is None:
        return None
    wait_s = detail.details.get("retry_after")
    facts = FailureFacts(
        correlation_id=result.correlation_id,
        is_retryable=detail.details.get("is_retryable") is True,
        retry_after_s=wait_s if isinstance(wait_s, int | float) else None,
        details=detail.details,
        result=result,
    )
    return ComparisonError.by_code(detail.error_code)(detail.message, facts)


def error_of_answer(answer: ErrorAnswer, *, is_retryable: bool) -> ComparisonError:
    """Give what an HTTP answer says as an error."""
    facts = FailureFacts(
        correlation_id=answer.correlation_id,
        is_retryable=is_retryable,
        retry_after_s=answer.retry_after,
    )
    return ComparisonError.by_code(answer.error_type)(answer.error, facts)
