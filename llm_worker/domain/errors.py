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
├── UnknownModelError              no provider has the model asked for  INVALID_REQUEST
├── AllTargetsOpenError            every circuit breaker is open        CIRCUIT_BREAKER_OPEN
├── AllTargetsLimitedError         no limit leaves room in time         RATE_LIMIT
├── OverBudgetError                the spend limit is reached           LLM_COST_LIMIT_EXCEEDED
├── WorkerFaultError               our own defect                       UNKNOWN_ERROR
└── ProviderError                  an attempt gave no usable verdict
    ├── ProviderTimeoutError       no answer in time            TIMEOUT                 retry
    ├── UnreachableError           no connection, or cut        CONNECTION_ERROR        retry
    ├── RateLimitedError           asked to slow down           RATE_LIMIT              retry
    ├── ProviderDownError          a fault of the provider      SERVICE_UNAVAILABLE     retry
    ├── StrangeAnswerError         not what the API speaks      EXTERNAL_SERVICE_ERROR  retry
    ├── MalformedAnswerError       an answer, but no verdict    INVALID_RESPONSE        repair
    ├── AdapterFaultError          a defect of our adapter      EXTERNAL_SERVICE_ERROR  elsewhere
    ├── TruncatedAnswerError       cut off at its token limit   INVALID_RESPONSE        elsewhere
    ├── RefusedError               the model or a filter won't  LLM_INVALID_PROMPT      elsewhere
    ├── PromptTooLongError         more than this model reads   LLM_CONTENT_TOO_LONG    elsewhere
    ├── RequestRefusedError        a parameter it does not take INVALID_REQUEST         elsewhere
    ├── ModelMissingError          no such model there          CONFIGURATION_ERROR     elsewhere
    ├── WrongAddressError          its API is not at that URL   CONFIGURATION_ERROR     elsewhere
    ├── AuthenticationFailedError  the key is wrong             AUTHENTICATION_ERROR    elsewhere
    ├── PermissionDeniedError      the key may not              AUTHORIZATION_ERROR     elsewhere
    └── QuotaExhaustedError        no credit left               QUOTA_EXCEEDED          elsewhere
`message` names the field or the cause and the remedy; it never holds prompt text or a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from llm_worker.contracts.vocabulary import ErrorCode, FailureType
from llm_worker.domain.verdict import NO_FACTS

if TYPE_CHECKING:
    from llm_worker.domain.verdict import Billing, CallFacts


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


class UnknownModelError(WorkerError):
    """The request names a model that no provider asked for it has."""

    code = ErrorCode.INVALID_REQUEST


class AllTargetsOpenError(WorkerError):
    """The circuit breaker of every target is open until after the deadline."""

    code = ErrorCode.CIRCUIT_BREAKER_OPEN
    is_retryable = True


class AllTargetsLimitedError(WorkerError):
    """No target's rate limit leaves room before the deadline."""

    code = ErrorCode.RATE_LIMIT
    is_retryable = True


class OverBudgetError(WorkerError):
    """The spend limit leaves no room; `may_go_elsewhere`: another target may still be tried."""

    code = ErrorCode.LLM_COST_LIMIT_EXCEEDED
    may_go_elsewhere = False


class WorkerFaultError(WorkerError):
    """A defect of ours; the log has the traceback."""


class ProviderError(WorkerError):
    """An attempt gave no usable verdict.

    `billing` tells what was used and paid for all the same, or may have been; None when the
    provider cannot have billed it. `retry_after_s` is how long it asked us to wait.
    """

    code = ErrorCode.EXTERNAL_SERVICE_ERROR
    is_retryable = True
    failure: ClassVar[FailureType] = FailureType.UNKNOWN
    trips_breaker: ClassVar[bool] = True
    """Whether it says that the target is unwell, rather than something about this one request."""

    def __init__(
        self,
        message: str,
        *,
        billing: Billing | None = None,
        retry_after_s: float | None = None,
        facts: CallFacts = NO_FACTS,
    ) -> None:
        super().__init__(message)
        self.billing = billing
        self.retry_after_s = retry_after_s
        self.facts = facts

    @property
    def is_sent(self) -> bool:
        """Whether the provider has, or may have, received the call."""
        return self.billing is not None or self.facts.http_status is not None


class ProviderTimeoutError(ProviderError):
    """No answer in time."""

    code = ErrorCode.TIMEOUT
    failure = FailureType.TIMEOUT


class UnreachableError(ProviderError):
    """No connection, or it broke."""

    code = ErrorCode.CONNECTION_ERROR
    failure = FailureType.CONNECTION


class RateLimitedError(ProviderError):
    """The provider asks us to slow down."""

    code = ErrorCode.RATE_LIMIT
    failure = FailureType.RATE_LIMIT
    trips_breaker = False


class ProviderDownError(ProviderError):
    """The provider has a fault of its own."""

    code = ErrorCode.SERVICE_UNAVAILABLE
    failure = FailureType.SERVICE_UNAVAILABLE


class StrangeAnswerError(ProviderError):
    """What came back is not what the provider's API speaks: a proxy's page, half an answer."""

    failure = FailureType.INVALID_RESPONSE


class _ElsewhereError(ProviderError):
    """The same target would fail again; another one may not."""

    is_retryable = False
    trips_breaker = False


class MalformedAnswerError(_ElsewhereError):
    """No verdict: asked again with its `fault`, once. `answer` may quote essays: never logged."""

    code = ErrorCode.INVALID_RESPONSE
    failure = FailureType.INVALID_RESPONSE

    def __init__(
        self,
        message: str,
        *,
        answer: str = "",
        fault: str = "",
        billing: Billing | None = None,
        facts: CallFacts = NO_FACTS,
    ) -> None:
        super().__init__(message, billing=billing, facts=facts)
        self.answer = answer
        self.fault = fault or message


class AdapterFaultError(_ElsewhereError):
    """Our adapter has a defect; the log has the traceback."""


class TruncatedAnswerError(_ElsewhereError):
    """The answer was cut off at its token limit."""

    code = ErrorCode.INVALID_RESPONSE
    failure = FailureType.INVALID_RESPONSE


class RefusedError(_ElsewhereError):
    """The model, or a safety filter, will not judge this text."""

    code = ErrorCode.LLM_INVALID_PROMPT
    failure = FailureType.REFUSED


class PromptTooLongError(_ElsewhereError):
    """The prompt is longer than this model reads."""

    code = ErrorCode.LLM_CONTENT_TOO_LONG
    failure = FailureType.CONTENT_TOO_LONG


class RequestRefusedError(_ElsewhereError):
    """The provider does not take a request of this form."""

    code = ErrorCode.INVALID_REQUEST


class ModelMissingError(_ElsewhereError):
    """The provider has no such model, or no longer."""

    code = ErrorCode.CONFIGURATION_ERROR


class WrongAddressError(_ElsewhereError):
    """The base URL is not where the provider's API is."""

    code = ErrorCode.CONFIGURATION_ERROR
    trips_breaker = True


class AuthenticationFailedError(_ElsewhereError):
    """The provider does not know the key."""

    code = ErrorCode.AUTHENTICATION_ERROR
    failure = FailureType.AUTHENTICATION
    trips_breaker = True


class PermissionDeniedError(AuthenticationFailedError):
    """The provider knows the key and does not allow the call."""

    code = ErrorCode.AUTHORIZATION_ERROR


class QuotaExhaustedError(_ElsewhereError):
    """The account has no credit, or has reached its spend limit."""

    code = ErrorCode.QUOTA_EXCEEDED
    failure = FailureType.RATE_LIMIT
    trips_breaker = True
