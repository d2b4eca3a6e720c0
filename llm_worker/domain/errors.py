"""Everything that can go wrong with a request, as one tree.

WorkerError
├── InvalidDeliveryError           bytes that can never be honoured
│   ├── UnreadableError            not JSON, not UTF-8, too deep        PARSING_ERROR
│   ├── ValidationFailedError      a field is wrong or missing          VALIDATION_ERROR
│   ├── ConflictingRequestError    one event id, two contents           VALIDATION_ERROR
│   ├── InvalidPromptError         nothing to compare                   LLM_INVALID_PROMPT
│   ├── ContentTooLongError        more than any model reads            LLM_CONTENT_TOO_LONG
│   └── InvalidReplyTopicError     not allowed, or not there            LLM_INVALID_CALLBACK_TOPIC
├── DeadlinePassedError            nobody was asked in time             TIMEOUT
├── NoTargetError                  no provider answers for the request  CONFIGURATION_ERROR
├── OverBudgetError                the spend limit is reached           LLM_COST_LIMIT_EXCEEDED
├── WorkerFaultError               our own defect                       UNKNOWN_ERROR
└── ProviderError                  an attempt gave no usable verdict
    ├── ProviderTimeoutError       TIMEOUT                 retryable
    ├── RateLimitedError           RATE_LIMIT              retryable
    ├── ProviderDownError          SERVICE_UNAVAILABLE     retryable
    └── MalformedAnswerError       INVALID_RESPONSE        retryable

`message` names the field or the cause and the remedy; it never holds prompt text or a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from llm_worker.contracts.vocabulary import ErrorCode, FailureType

if TYPE_CHECKING:
    from llm_worker.domain.verdict import Billing


class WorkerError(Exception):
    """The base: a stable `code`, and whether the same request may succeed later."""

    code: ClassVar[ErrorCode] = ErrorCode.UNKNOWN_ERROR
    is_retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidDeliveryError(WorkerError):
    """A delivery that can never be honoured."""

    code = ErrorCode.VALIDATION_ERROR


class UnreadableError(InvalidDeliveryError):
    """The bytes are no JSON document that we can read."""

    code = ErrorCode.PARSING_ERROR


class ValidationFailedError(InvalidDeliveryError):
    """A field breaks the contract."""


class ConflictingRequestError(InvalidDeliveryError):
    """The event id was used before, for other data."""


class InvalidPromptError(InvalidDeliveryError):
    """The prompt gives a judge nothing to compare."""

    code = ErrorCode.LLM_INVALID_PROMPT


class ContentTooLongError(InvalidDeliveryError):
    """The prompt is longer than any model reads."""

    code = ErrorCode.LLM_CONTENT_TOO_LONG


class InvalidReplyTopicError(InvalidDeliveryError):
    """The reply topic is outside the allowed patterns, or does not exist."""

    code = ErrorCode.LLM_INVALID_CALLBACK_TOPIC


class DeadlinePassedError(WorkerError):
    """The request's time was over before anybody was asked; nothing was spent."""

    code = ErrorCode.TIMEOUT
    is_retryable = True


class NoTargetError(WorkerError):
    """No configured provider answers for this request."""

    code = ErrorCode.CONFIGURATION_ERROR


class OverBudgetError(WorkerError):
    """The spend limit leaves no room for this request."""

    code = ErrorCode.LLM_COST_LIMIT_EXCEEDED


class WorkerFaultError(WorkerError):
    """A defect of ours; the log has the traceback."""


class ProviderError(WorkerError):
    """An attempt gave no usable verdict.

    `billing` tells what was used and paid for all the same; None when nothing was sent.
    """

    code = ErrorCode.EXTERNAL_SERVICE_ERROR
    is_retryable = True
    failure: ClassVar[FailureType] = FailureType.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        billing: Billing | None = None,
        http_status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.billing = billing
        self.http_status = http_status
        self.retry_after_s = retry_after_s


class ProviderTimeoutError(ProviderError):
    """No answer in time."""

    code = ErrorCode.TIMEOUT
    failure = FailureType.TIMEOUT


class RateLimitedError(ProviderError):
    """The provider asks us to slow down."""

    code = ErrorCode.RATE_LIMIT
    failure = FailureType.RATE_LIMIT


class ProviderDownError(ProviderError):
    """The provider has a fault of its own."""

    code = ErrorCode.SERVICE_UNAVAILABLE
    failure = FailureType.SERVICE_UNAVAILABLE


class MalformedAnswerError(ProviderError):
    """The provider answered something that is no verdict."""

    code = ErrorCode.INVALID_RESPONSE
    failure = FailureType.INVALID_RESPONSE
