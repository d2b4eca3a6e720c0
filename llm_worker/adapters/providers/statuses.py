"""What an HTTP status other than 200 means where the provider says no more, and how we word it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from llm_worker.domain.errors import (
    AuthenticationFailedError,
    ModelMissingError,
    PermissionDeniedError,
    PromptTooLongError,
    ProviderDownError,
    ProviderError,
    ProviderTimeoutError,
    QuotaExhaustedError,
    RateLimitedError,
    RefusedError,
    RequestRefusedError,
    StrangeAnswerError,
    UnreachableError,
)
from llm_worker.domain.verdict import Billing, CallFacts

if TYPE_CHECKING:
    from llm_worker.contracts.vocabulary import ProviderName

_EDGE_BROKEN: Final = 520
"""Cloudflare's: the provider behind it broke off, perhaps when it had answered."""
_EDGE_TIMEOUT: Final = 524
"""Cloudflare's: the provider behind it took too long; it may have finished, and be billed."""

_KINDS: Final[dict[int, type[ProviderError]]] = {
    HTTPStatus.UNAUTHORIZED: AuthenticationFailedError,
    HTTPStatus.PAYMENT_REQUIRED: QuotaExhaustedError,
    HTTPStatus.FORBIDDEN: PermissionDeniedError,
    HTTPStatus.NOT_FOUND: ModelMissingError,
    HTTPStatus.REQUEST_TIMEOUT: ProviderTimeoutError,
    # A lock that another call held; the SDKs of Anthropic and OpenAI try again.
    HTTPStatus.CONFLICT: ProviderDownError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: PromptTooLongError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitedError,
    HTTPStatus.GATEWAY_TIMEOUT: ProviderTimeoutError,
    _EDGE_TIMEOUT: ProviderTimeoutError,
}
_MAYBE_BILLED: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GATEWAY_TIMEOUT, _EDGE_BROKEN, _EDGE_TIMEOUT}
)
_WORDS: Final[dict[type[ProviderError], str]] = {
    AuthenticationFailedError: "does not know the key: check {settings}API_KEY",
    PermissionDeniedError: "does not allow this key the call: check its rights and the region",
    QuotaExhaustedError: "has no credit or quota left for this key: raise it, or wait",
    ModelMissingError: "has no such model, or not there: check it and {settings}BASE_URL",
    RateLimitedError: "limits the rate: wait, or raise the limit of this key there",
    ProviderTimeoutError: "took too long: try again",
    ProviderDownError: "has a fault or is overloaded: try again, and see its status page",
    UnreachableError: "broke the connection: try again",
    PromptTooLongError: "takes no prompt this long for the model: shorten it, or use another model",
    RefusedError: "will not judge this text: a safety filter refuses the prompt",
    RequestRefusedError: "takes no request of this form: check the model and its overrides",
    StrangeAnswerError: "answered as its API does not: check {settings}BASE_URL",
}
_TOO_LONG: Final = re.compile(
    r"context (?:length|window|size|limit)|prompt is too long|too many (?:input )?tokens"
    r"|input token count .{0,40}exceeds|request too large for|input length .{0,80}exceeds?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """What an answer with an error says, read; `kind` None: what the status says.

    `code` is the provider's own name for the cause, never its text. `may_retry` is False where
    the provider says that the same call would fail again.
    """

    provider: ProviderName
    status: int
    kind: type[ProviderError] | None = None
    code: str | None = None
    retry_after_s: float | None = None
    request_id: str | None = None
    may_retry: bool = True

    def as_error(self, *, billing: Billing | None = None) -> ProviderError:
        """Make the leaf of the error tree; `billing` where the call is known to have begun."""
        kind = self.kind or kind_of_status(self.status)
        if kind.is_retryable and not self.may_retry:
            limited = issubclass(kind, RateLimitedError)
            kind = QuotaExhaustedError if limited else RequestRefusedError
        if billing is None and self.status in _MAYBE_BILLED:
            billing = Billing()
        return kind(
            self._message(kind),
            billing=billing,
            retry_after_s=self.retry_after_s,
            facts=CallFacts(provider_request_id=self.request_id),
        )

    def _message(self, kind: type[ProviderError]) -> str:
        words = _WORDS[kind].format(settings=f"LLM_WORKER_PROVIDERS__{self.provider.upper()}__")
        cause = f"status {self.status}, {self.code}" if self.code else f"status {self.status}"
        return f"{self.provider} {words} ({cause})"


def kind_of_status(status: int) -> type[ProviderError]:
    """Say which failure a status is, where the provider says no more."""
    known = _KINDS.get(status)
    if known is not None:
        return known
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderDownError
    return RequestRefusedError if status >= HTTPStatus.BAD_REQUEST else StrangeAnswerError


def tells_of_length(message: str | None) -> bool:
    """Say whether a message is one of those in use for a prompt longer than the model reads."""
    return bool(_TOO_LONG.search(message or ""))
