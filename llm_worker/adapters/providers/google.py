"""Google's Gemini API, generateContent, as the SDK google-genai 3.6.1 speaks it."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from llm_worker.adapters.providers.dialect import Reply, Stop, WireCall
from llm_worker.adapters.providers.fields import (
    code_at,
    count_at,
    object_at,
    objects_at,
    text_at,
    unless_odd,
)
from llm_worker.adapters.providers.google_models import gemini
from llm_worker.adapters.providers.statuses import ErrorAnswer, tells_of_length
from llm_worker.adapters.providers.turns import turns_of
from llm_worker.adapters.providers.waits import advised_s, duration_s, retry_after_s
from llm_worker.contracts.request import ReasoningEffort
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import (
    AuthenticationFailedError,
    PermissionDeniedError,
    PromptTooLongError,
    ProviderError,
    QuotaExhaustedError,
)
from llm_worker.domain.judging import VERDICT_SCHEMA
from llm_worker.domain.verdict import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from llm_worker.adapters.providers.dialect import Headers, JsonObject
    from llm_worker.adapters.providers.google_models import Gemini
    from llm_worker.domain.judging import Question
    from llm_worker.domain.verdict import ReportedLimit

DEFAULT_BASE_URL: Final = "https://generativelanguage.googleapis.com"
DEFAULT_MODEL: Final = "gemini-3.8-flash"
UNPRICED_MODELS: Final = ("gemini-4-carbon", "gemini-4-hydrogen", "gemini-4-neon")
"""Models of the SDK (_gaos/types/interactions/model.py) without a price in genai-prices 0.2.3."""
UNUSABLE_MODELS: Final[tuple[str, ...]] = ()

_STOPS: Final = {
    "MAX_TOKENS": Stop.LENGTH,
    "CONTINUATION": Stop.UNFINISHED,
    "SAFETY": Stop.FILTERED,
    "RECITATION": Stop.FILTERED,
    "LANGUAGE": Stop.FILTERED,
    "BLOCKLIST": Stop.FILTERED,
    "PROHIBITED_CONTENT": Stop.FILTERED,
    "SPII": Stop.FILTERED,
    "ESCALATION": Stop.FILTERED,
    "MODEL_ARMOR": Stop.FILTERED,
    "PUP_LIMITED_DISABLED": Stop.FILTERED,
    "OTHER": Stop.FAILED,
    "MALFORMED_RESPONSE": Stop.FAILED,
    "MALFORMED_FUNCTION_CALL": Stop.FAILED,
    "UNEXPECTED_TOOL_CALL": Stop.FAILED,
    "TOO_MANY_TOOL_CALLS": Stop.FAILED,
    "MISSING_THOUGHT_SIGNATURE": Stop.FAILED,
}
"""Every other reason, also one that is new, ends an answer that may be whole."""

_RETRY_INFO: Final = "type.googleapis.com/google.rpc.RetryInfo"
_QUOTA_FAILURE: Final = "type.googleapis.com/google.rpc.QuotaFailure"
_ERROR_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"

# Without a quotaId: credit that was paid ahead, and the cap that the project's owner has set.
_SPENT: Final = ("prepayment credits", "spending cap")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleDialect:
    """What Google's API is; `api_version` is v1, or v1beta for early features."""

    api_key: str | None = field(repr=False)
    api_version: str = "v1"
    name = ProviderName.GOOGLE

    def judge_call(self, question: Question) -> WireCall:
        """Ask for a verdict."""
        model = gemini(question.model)
        config: dict[str, Any] = {
            "responseMimeType": "application/json",
            "responseJsonSchema": VERDICT_SCHEMA,
            "maxOutputTokens": question.max_tokens,
        }
        adjustments = (
            *_set_effort(question, model, config),
            *_set_temperature(question, model, config),
        )
        body: dict[str, Any] = {
            "systemInstruction": {"parts": [{"text": question.system}]},
            "contents": [
                {"role": "user" if turn.is_ours else "model", "parts": [{"text": turn.text}]}
                for turn in turns_of(question)
            ],
            "generationConfig": config,
        }
        # The model comes from a request: quoted, it stays one step of the path.
        path = f"/{self.api_version}/models/{quote(question.model, safe='')}:generateContent"
        return WireCall(path=path, headers=self._headers(), body=body, adjustments=adjustments)

    def probe_call(self) -> WireCall:
        """List one model."""
        return WireCall(path=f"/{self.api_version}/models?pageSize=1", headers=self._headers())

    def read_reply(self, body: JsonObject, headers: Headers) -> Reply:  # noqa: ARG002 - the body has the id
        """Read a response; a prompt that was blocked has no candidate."""
        blocked = code_at(object_at(body, "promptFeedback"), "blockReason")
        candidates = objects_at(body, "candidates")
        if not candidates and blocked is None:
            raise LookupError("no candidate")
        candidate = candidates[0] if candidates else {}
        reason = code_at(candidate, "finishReason") or ""
        return Reply(
            stop=_STOPS.get(reason, Stop.DONE) if candidates else Stop.FILTERED,
            text="".join(_texts_of(candidate)),
            model=text_at(body, "modelVersion"),
            usage=_usage_of(object_at(body, "usageMetadata")),
            provider_request_id=text_at(body, "responseId"),
            response_id=code_at(body, "responseId"),
            detail=reason or blocked or "",
        )

    def read_error(
        self, status: int, body: JsonObject, headers: Headers, now: datetime
    ) -> ProviderError:
        """Read an error by its details, its status in words, or its message."""
        error = object_at(body, "error")
        reason = next((code_at(each, "reason") for each in _details(error, _ERROR_INFO)), None)
        return ErrorAnswer(
            provider=self.name,
            status=status,
            kind=_kind_of(status, error, reason),
            code=reason or code_at(error, "status"),
            retry_after_s=_retry_after_s(error, headers, now),
        ).as_error()

    def read_limits(self, headers: Headers, now: datetime) -> tuple[ReportedLimit, ...]:  # noqa: ARG002 - nothing is told
        """Read nothing: the API documents no such headers."""
        return ()

    def _headers(self) -> dict[str, str]:
        return {} if self.api_key is None else {"x-goog-api-key": self.api_key}


def _set_effort(question: Question, model: Gemini, config: dict[str, Any]) -> tuple[str, ...]:
    effort = question.effort
    if effort is None or (effort is ReasoningEffort.NONE and not model.thinking):
        return ()
    thinking = model.thinking.get(effort)
    if thinking is None:
        takes = " or ".join(model.thinking) or "no effort"
        return (f"reasoning_effort left out: {question.model} takes {takes}",)
    config["thinkingConfig"] = thinking
    if effort is not ReasoningEffort.NONE or not model.never_idle:
        return ()
    least = str(next(iter(thinking.values()))).lower()
    return (f"reasoning_effort none became {least}: {question.model} always thinks",)


def _set_temperature(question: Question, model: Gemini, config: dict[str, Any]) -> tuple[str, ...]:
    if question.temperature is None:
        return ()
    if not model.has_temperature:
        return (f"temperature_override left out: {question.model} takes no temperature",)
    config["temperature"] = question.temperature
    return ()


def _texts_of(candidate: JsonObject) -> Iterator[str]:
    for part in objects_at(object_at(candidate, "content"), "parts"):
        if part.get("thought") is not True:
            yield text_at(part, "text") or ""


@unless_odd
def _usage_of(usage: JsonObject) -> Usage:
    prompt = count_at(usage, "promptTokenCount")
    answer = count_at(usage, "candidatesTokenCount")
    thoughts = count_at(usage, "thoughtsTokenCount")
    total = count_at(usage, "totalTokenCount")
    # A zero is left out of proto3's JSON; the total tells it from a count that is not known.
    completion = (answer or 0) + (thoughts or 0)
    is_told = completion == total - (prompt or 0) if total is not None else answer is not None
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion if is_told else None,
        cache_read_tokens=count_at(usage, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )


def _kind_of(status: int, error: JsonObject, reason: str | None) -> type[ProviderError] | None:
    message = text_at(error, "message") or ""
    if status == HTTPStatus.BAD_REQUEST:
        if reason == "API_KEY_INVALID" or "api key not valid" in message.lower():
            return AuthenticationFailedError
        if text_at(error, "status") == "FAILED_PRECONDITION":
            # Billing is not set up, or the region is not served.
            return PermissionDeniedError
        return PromptTooLongError if tells_of_length(message) else None
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        is_spent = any(words in message.lower() for words in _SPENT)
        return QuotaExhaustedError if is_spent or _is_daily(error) else None
    return None


def _is_daily(error: JsonObject) -> bool:
    return any(
        "PerDay" in (text_at(violation, "quotaId") or "")
        for failure in _details(error, _QUOTA_FAILURE)
        for violation in objects_at(failure, "violations")
    )


def _retry_after_s(error: JsonObject, headers: Headers, now: datetime) -> float | None:
    """Find the wait: in RetryInfo, else in the message, else in a header that a proxy may add."""
    told = next((text_at(each, "retryDelay") for each in _details(error, _RETRY_INFO)), None)
    for wait in (duration_s(told), advised_s(text_at(error, "message"))):
        if wait is not None:
            return wait
    return retry_after_s(headers, now)


def _details(error: JsonObject, kind: str) -> list[JsonObject]:
    return [each for each in objects_at(error, "details") if each.get("@type") == kind]
