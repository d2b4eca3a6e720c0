"""OpenAI's Chat Completions API, as the SDK 3.57.0 speaks it."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from llm_worker.adapters.providers import chat_completions
from llm_worker.adapters.providers.dialect import WireCall
from llm_worker.adapters.providers.fields import code_at, object_at, text_at
from llm_worker.adapters.providers.openai_models import RESPONSES_ONLY, gpt
from llm_worker.adapters.providers.statuses import ErrorAnswer, tells_of_length
from llm_worker.adapters.providers.waits import retry_after_s
from llm_worker.contracts.request import ReasoningEffort
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import (
    ModelMissingError,
    PromptTooLongError,
    ProviderError,
    QuotaExhaustedError,
    RefusedError,
)

if TYPE_CHECKING:
    from datetime import datetime

    from llm_worker.adapters.providers.dialect import Headers, JsonObject, Reply
    from llm_worker.adapters.providers.openai_models import Gpt
    from llm_worker.domain.judging import Question
    from llm_worker.domain.verdict import ReportedLimit

DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"
DEFAULT_MODEL: Final = "gpt-6-luna"
UNPRICED_MODELS: Final = ("gpt-6.2-astra", "gpt-6.2-sol")
"""Models of the SDK (types/shared/chat_model.py) for which genai-prices 0.2.3 has no price."""
UNUSABLE_MODELS: Final = RESPONSES_ONLY

_KINDS: Final[dict[str, type[ProviderError]]] = {
    "insufficient_quota": QuotaExhaustedError,
    "credit_balance_exhausted": QuotaExhaustedError,
    "billing_hard_limit_reached": QuotaExhaustedError,
    "billing_not_active": QuotaExhaustedError,
    "context_length_exceeded": PromptTooLongError,
    "string_above_max_length": PromptTooLongError,
    "content_policy_violation": RefusedError,
    "content_filter": RefusedError,
    "invalid_prompt": RefusedError,
    "model_not_found": ModelMissingError,
}
"""By `error.code`, else `error.type`; the rest is what the status says."""

_MAY_TELL_OF_LENGTH: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        # "Request too large for gpt-...": more than the limit of a whole minute, so no wait helps.
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIDialect:
    """What OpenAI's API is."""

    api_key: str | None = field(repr=False)
    name = ProviderName.OPENAI

    def judge_call(self, question: Question) -> WireCall:
        """Ask for a verdict, and for it not to be stored."""
        model = gpt(question.model)
        body: dict[str, Any] = {
            "model": question.model,
            "messages": chat_completions.messages_of(question, system_role="developer"),
            "max_completion_tokens": question.max_tokens,
            "response_format": chat_completions.RESPONSE_FORMAT,
            "store": False,
            # The project's, as without it; but only who asks is told which one it was.
            "service_tier": "auto",
        }
        adjustments = (
            *_set_effort(question, model, body),
            *_set_temperature(question, model, body),
        )
        if model.sells_cache:
            body["prompt_cache_options"] = {"mode": "explicit"}  # and without a breakpoint, none
        if question.verbosity is not None and model.has_verbosity:
            body["verbosity"] = question.verbosity.value
        return WireCall(
            path=chat_completions.PATH,
            headers=chat_completions.key_header(self.api_key),
            body=body,
            adjustments=adjustments,
        )

    def probe_call(self) -> WireCall:
        """List the models."""
        return WireCall(path="/models", headers=chat_completions.key_header(self.api_key))

    def read_reply(self, body: JsonObject, headers: Headers) -> Reply:
        """Read a completion."""
        return chat_completions.read_completion(body, request_id=headers.get("x-request-id"))

    def read_error(
        self, status: int, body: JsonObject, headers: Headers, now: datetime
    ) -> ProviderError:
        """Read an error by its code, its type, or its message."""
        error = object_at(body, "error")
        code, kind = code_at(error, "code"), code_at(error, "type")
        return ErrorAnswer(
            provider=self.name,
            status=status,
            kind=_kind_of(status, code, kind, text_at(error, "message")),
            code=code or kind,
            retry_after_s=retry_after_s(headers, now),
            request_id=headers.get("x-request-id"),
            may_retry=headers.get("x-should-retry") != "false",
        ).as_error()

    def read_limits(self, headers: Headers, now: datetime) -> tuple[ReportedLimit, ...]:  # noqa: ARG002 - durations need no now
        """Read `x-ratelimit-*`."""
        return chat_completions.read_limits(headers)


def _set_effort(question: Question, model: Gpt, body: dict[str, Any]) -> tuple[str, ...]:
    effort, least = question.effort, model.least_effort
    if effort is None or (least is None and effort is ReasoningEffort.NONE):
        return ()
    if least is None:
        return (f"reasoning_effort left out: {question.model} does not reason",)
    if effort is not ReasoningEffort.NONE:
        body["reasoning_effort"] = effort.value
        return ()
    body["reasoning_effort"] = least
    if least == ReasoningEffort.NONE:
        return ()
    return (f"reasoning_effort none became {least}: {question.model} always reasons",)


def _set_temperature(question: Question, model: Gpt, body: dict[str, Any]) -> tuple[str, ...]:
    """Say the temperature where the model takes one: where it does not reason in this call."""
    if question.temperature is None:
        return ()
    if model.least_effort is None or body.get("reasoning_effort") == ReasoningEffort.NONE:
        body["temperature"] = question.temperature
        return ()
    if model.least_effort == ReasoningEffort.NONE:
        reason = f"{question.model} takes a temperature with reasoning_effort none alone"
    else:
        reason = f"{question.model} takes no temperature"
    return (f"temperature_override left out: {reason}",)


def _kind_of(
    status: int, code: str | None, kind: str | None, message: str | None
) -> type[ProviderError] | None:
    known = _KINDS.get(code or "") or _KINDS.get(kind or "")
    if known is None and status in _MAY_TELL_OF_LENGTH and tells_of_length(message):
        return PromptTooLongError
    return known
