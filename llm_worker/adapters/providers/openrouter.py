"""OpenRouter's Chat Completions API, as the SDK 1.3.84 speaks it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from llm_worker.adapters.providers import chat_completions
from llm_worker.adapters.providers.dialect import Reply, Stop, WireCall
from llm_worker.adapters.providers.fields import code_at, object_at, text_at
from llm_worker.adapters.providers.statuses import ErrorAnswer, tells_of_length
from llm_worker.adapters.providers.waits import retry_after_s
from llm_worker.contracts.events import DIGITS
from llm_worker.contracts.request import ReasoningEffort
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import (
    PromptTooLongError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    RefusedError,
    RequestRefusedError,
)
from llm_worker.domain.verdict import Billing

if TYPE_CHECKING:
    from datetime import datetime

    from llm_worker.adapters.providers.dialect import Headers, JsonObject
    from llm_worker.domain.judging import Question
    from llm_worker.domain.verdict import ReportedLimit

DEFAULT_BASE_URL: Final = "https://openrouter.ai/api/v1"
DEFAULT_MODEL: Final = "anthropic/claude-haiku-5.5"
UNPRICED_MODELS: Final[tuple[str, ...]] = ()
UNUSABLE_MODELS: Final[tuple[str, ...]] = ()

# What is known of models behind it, from where the other dialects have it. The rest is asked as it
# is wanted; with require_parameters what no one takes is an error and never dropped unsaid.
_NO_TEMPERATURE: Final = re.compile(
    r"~?anthropic/claude-(?:opus-(?:4\.[78]|[5-9])|sonnet-[5-9]|haiku-[5-9]|fable|mythos)"
    r"|~?openai/(?:gpt-[5-9]|o\d)|~?google/gemini-(?:3\.5-flash-lite|3\.[6-9]|[4-9])"
)
_ALWAYS_REASONS: Final = re.compile(
    r"~?anthropic/claude-(?:opus-5\.5|fable|mythos)"
    r"|~?openai/(?:gpt-6-astra|gpt-6\.1-sol|gpt-6\.2|gpt-5(?![.\d])|o\d)"
    r"|~?google/gemini-(?:2\.5-pro|[3-9])"
)
_NEVER_REASONS: Final = re.compile(
    r"openai/(?:gpt-[34]|chatgpt)|anthropic/claude-3(?:-|\.5)|google/gemini-(?:1|2\.0)"
)

_KINDS: Final[dict[str, type[ProviderError]]] = {
    "context_length_exceeded": PromptTooLongError,
    "token_limit_exceeded": PromptTooLongError,
    "string_too_long": PromptTooLongError,
    "content_policy_violation": RefusedError,
    "invalid_prompt": RefusedError,
    "refusal": RefusedError,
}
"""By the canonical error type (SDK: components/apierrortype.py); the rest is as the code says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRouterDialect:
    """What OpenRouter's API is; `http_referer` and `title` name the caller in its rankings."""

    api_key: str | None = field(repr=False)
    http_referer: str | None = None
    title: str | None = None
    name = ProviderName.OPENROUTER

    def judge_call(self, question: Question) -> WireCall:
        """Ask for a verdict of those alone who take every parameter sent."""
        body: dict[str, Any] = {
            "model": question.model,
            "messages": chat_completions.messages_of(question, system_role="system"),
            # Not max_completion_tokens: with require_parameters all whose endpoints do not name it
            # would fall out, DeepSeek's among them (openstory-so/openstory#1318).
            "max_tokens": question.max_tokens,
            "response_format": chat_completions.RESPONSE_FORMAT,
            "provider": {"require_parameters": True},
        }
        adjustments = (*_set_effort(question, body), *_set_temperature(question, body))
        return WireCall(
            path=chat_completions.PATH,
            headers=self._headers(),
            body=body,
            adjustments=adjustments,
        )

    def probe_call(self) -> WireCall:
        """Ask what is known of the key."""
        return WireCall(path="/key", headers=self._headers())

    def read_reply(self, body: JsonObject, headers: Headers) -> Reply | ProviderError:  # noqa: ARG002 - the body has the id
        """Read a completion; one that failed after it had begun comes with status 200 too."""
        if object_at(body, "error"):
            return self._begun_and_failed(body, object_at(body, "error"))
        reply = chat_completions.read_completion(body, request_id=text_at(body, "id"))
        if reply.stop is Stop.FAILED:
            return self._begun_and_failed(body, object_at(body["choices"][0], "error"))
        cost_usd = _cost_of(object_at(body, "usage"))
        # No list has its price: it is that of whichever endpoint it chose, and of its own fee.
        return replace(reply, cost_usd=cost_usd, is_cost_unknown=cost_usd is None)

    def read_error(
        self, status: int, body: JsonObject, headers: Headers, now: datetime
    ) -> ProviderError:
        """Read an error by its metadata or its code, which is the status."""
        waits_s = retry_after_s(headers, now)
        return self._error_answer(status, body, object_at(body, "error"), waits_s).as_error()

    def read_limits(self, headers: Headers, now: datetime) -> tuple[ReportedLimit, ...]:  # noqa: ARG002 - nothing is told
        """Read nothing: the API documents no such headers."""
        return ()

    def _begun_and_failed(self, body: JsonObject, error: JsonObject) -> ProviderError:
        code = error.get("code")
        status = code if type(code) is int else HTTPStatus.BAD_GATEWAY
        usage = object_at(body, "usage")
        billing = Billing(usage=chat_completions.usage_of(usage), cost_usd=_cost_of(usage))
        return self._error_answer(status, body, error, None).as_error(billing=billing)

    def _error_answer(
        self, status: int, body: JsonObject, error: JsonObject, waits_s: float | None
    ) -> ErrorAnswer:
        metadata = object_at(error, "metadata")
        code = code_at(metadata, "error_type")
        return ErrorAnswer(
            provider=self.name,
            status=status,
            kind=_KINDS.get(code or "") or _kind_of(status, error, waits_s),
            code=code,
            retry_after_s=waits_s,
            request_id=text_at(body, "id"),
        )

    def _headers(self) -> dict[str, str]:
        headers = chat_completions.key_header(self.api_key)
        if self.http_referer is not None:
            headers["http-referer"] = self.http_referer
        if self.title is not None:
            headers["x-openrouter-title"] = self.title
        return headers


def _set_effort(question: Question, body: dict[str, Any]) -> tuple[str, ...]:
    effort, model = question.effort, question.model
    if effort is None:
        return ()
    if _NEVER_REASONS.match(model):
        if effort is ReasoningEffort.NONE:
            return ()
        return (f"reasoning_effort left out: {model} does not reason",)
    if effort is ReasoningEffort.NONE and _ALWAYS_REASONS.match(model):
        body["reasoning"] = {"effort": "low"}
        return (f"reasoning_effort none became low: {model} always reasons",)
    body["reasoning"] = {"effort": effort.value}
    return ()


def _set_temperature(question: Question, body: dict[str, Any]) -> tuple[str, ...]:
    if question.temperature is None:
        return ()
    if _NO_TEMPERATURE.match(question.model):
        return (f"temperature_override left out: {question.model} takes no temperature",)
    body["temperature"] = question.temperature
    return ()


def _kind_of(status: int, error: JsonObject, waits_s: float | None) -> type[ProviderError] | None:
    metadata, message = object_at(error, "metadata"), text_at(error, "message")
    if status == HTTPStatus.PAYMENT_REQUIRED and waits_s is not None:
        # Not the credit is used up but the budget of what is in flight.
        return RateLimitedError
    if status == HTTPStatus.FORBIDDEN:
        return _kind_of_forbidden(metadata, message or "")
    if status == HTTPStatus.NOT_FOUND and "parameters" in (message or ""):
        # "No endpoints found that can handle the requested parameters": the model is there.
        return RequestRefusedError
    if status == HTTPStatus.BAD_REQUEST and tells_of_length(
        f"{message} {text_at(metadata, 'raw')}"
    ):
        return PromptTooLongError
    return None


def _kind_of_forbidden(metadata: JsonObject, message: str) -> type[ProviderError] | None:
    if "reasons" in metadata or "flagged_input" in metadata:
        return RefusedError
    return QuotaExhaustedError if "key limit exceeded" in message.lower() else None


def _cost_of(usage: JsonObject) -> Decimal | None:
    """Say what was charged; with a key of one's own (BYOK) the provider's bill comes on top."""
    charged = _money(usage.get("cost"))
    if charged is None or not _is_byok(usage):
        return charged
    upstream = _money(object_at(usage, "cost_details").get("upstream_inference_cost"))
    return None if upstream is None else charged + upstream


def _is_byok(usage: JsonObject) -> bool:
    return usage.get("is_byok") is not None and usage.get("is_byok") is not False


def _money(told: object) -> Decimal | None:
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    amount = Decimal(str(told))
    is_plausible = amount.is_finite() and amount >= 0 and abs(amount.adjusted()) < DIGITS
    return amount if is_plausible else None
