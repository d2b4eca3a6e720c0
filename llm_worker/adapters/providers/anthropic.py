"""Anthropic's Messages API, version 2026-10-21, as the SDK 2.13.0 speaks it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson

from llm_worker.adapters.providers.anthropic_models import claude
from llm_worker.adapters.providers.dialect import Reply, Stop, WireCall
from llm_worker.adapters.providers.fields import (
    code_at,
    count_at,
    number_in,
    object_at,
    objects_at,
    part_at,
    text_at,
    tier_at,
    unless_odd,
)
from llm_worker.adapters.providers.statuses import ErrorAnswer, tells_of_length
from llm_worker.adapters.providers.turns import turns_of
from llm_worker.adapters.providers.waits import retry_after_s, until_s
from llm_worker.contracts.request import ReasoningEffort
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import (
    PermissionDeniedError,
    PromptTooLongError,
    ProviderError,
    QuotaExhaustedError,
    UnreachableError,
)
from llm_worker.domain.judging import VERDICT_NAME, VERDICT_SCHEMA
from llm_worker.domain.verdict import LimitKind, ReportedLimit, Usage

if TYPE_CHECKING:
    from datetime import datetime

    from llm_worker.adapters.providers.anthropic_models import Claude
    from llm_worker.adapters.providers.dialect import Headers, JsonObject
    from llm_worker.domain.judging import Question

DEFAULT_BASE_URL: Final = "https://api.anthropic.com"
DEFAULT_MODEL: Final = "claude-haiku-5-5"
UNPRICED_MODELS: Final = ("claude-mythos-5", "claude-mythos-5-1", "claude-mythos-preview")
"""Models of the SDK (types/model.py) for which genai-prices 0.2.3 has no price."""
UNUSABLE_MODELS: Final[tuple[str, ...]] = ()

_API_VERSION: Final = "2026-10-21"

_STOPS: Final = {
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
    "refusal": Stop.REFUSAL,
    "pause_turn": Stop.UNFINISHED,
}
"""Every other reason, also one that is new, ends an answer that may be whole."""

_BILLED_REFUSALS: Final = frozenset({"bio", "frontier_llm", "reasoning_extraction"})
"""What a refusal is about that is billed though nothing was said; any other is free then.

Claude's release notes of 2026-06-02 and 2026-09-24.
"""

_KINDS: Final[dict[str, type[ProviderError]]] = {
    "enforced_spend_limit_reached": QuotaExhaustedError,
    "contract_spend_limit_reached": QuotaExhaustedError,
    "organization_on_hold": PermissionDeniedError,
    "request_body_timeout": UnreachableError,
}
"""By `error.details.error_code` (SDK: _error_classes.py); the rest is what the status says."""

_LIST_PRICE_SPEEDS: Final = frozenset({None, "standard"})
_LIST_PRICE_GEOS: Final = frozenset({None, "global", "not_available"})
"""Where inference has the list price. In "us", which a workspace may have as its default, all
tokens cost 1.1 times that (platform.claude.com/docs/en/about-claude/pricing), and genai-prices
0.2.3 does not know it. Models older than the setting say not_available."""

# Spend limits that come as a 400 without a code.
_SPENT: Final = ("credit balance is too low", "specified api usage limits")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicDialect:
    """What Anthropic's API is."""

    api_key: str | None = field(repr=False)
    name = ProviderName.ANTHROPIC

    def judge_call(self, question: Question) -> WireCall:
        """Ask for a verdict."""
        model = claude(question.model)
        body: dict[str, Any] = {
            "model": question.model,
            "max_tokens": question.max_tokens,
            "system": question.system,
            "messages": [
                {"role": "user" if turn.is_ours else "assistant", "content": turn.text}
                for turn in turns_of(question)
            ],
        }
        output_config: dict[str, Any] = {}
        if model.has_schema:
            output_config["format"] = {"type": "json_schema", "schema": VERDICT_SCHEMA}
        else:
            body |= _FORCED_TOOL
        adjustments = _set_effort(question, model, body, output_config)
        if question.temperature is not None:
            adjustments += (
                f"temperature_override left out: {question.model} takes no temperature",
            )
        if output_config:
            body["output_config"] = output_config
        return WireCall(
            path="/v1/messages", headers=self._headers(), body=body, adjustments=adjustments
        )

    def probe_call(self) -> WireCall:
        """List one model."""
        return WireCall(path="/v1/models?limit=1", headers=self._headers())

    def read_reply(self, body: JsonObject, headers: Headers) -> Reply:
        """Read a message."""
        if not isinstance(body["content"], list):
            raise TypeError("content is no list")
        reason = code_at(body, "stop_reason")
        category = code_at(object_at(body, "stop_details"), "category")
        stop = _STOPS.get(reason or "", Stop.DONE)
        usage = _usage_of(object_at(body, "usage"))
        says_nothing = not body["content"] and usage.completion_tokens == 0
        is_free = stop is Stop.REFUSAL and says_nothing and category not in _BILLED_REFUSALS
        return Reply(
            stop=stop,
            text=_text_of(body),
            model=text_at(body, "model"),
            usage=usage,
            cost_usd=Decimal(0) if is_free else None,
            tier=_tier_of(object_at(body, "usage")),
            provider_request_id=headers.get("request-id"),
            response_id=code_at(body, "id"),
            detail=category or reason or "",
        )

    def read_error(
        self, status: int, body: JsonObject, headers: Headers, now: datetime
    ) -> ProviderError:
        """Read an error: `error.details.error_code` is the cause, `error.type` its class."""
        error = object_at(body, "error")
        code = code_at(object_at(error, "details"), "error_code")
        return ErrorAnswer(
            provider=self.name,
            status=status,
            kind=_KINDS.get(code or "") or _kind_by_message(status, text_at(error, "message")),
            code=code or code_at(error, "type"),
            retry_after_s=retry_after_s(headers, now),
            request_id=headers.get("request-id") or text_at(body, "request_id"),
            may_retry=headers.get("x-should-retry") != "false",
        ).as_error()

    def read_limits(self, headers: Headers, now: datetime) -> tuple[ReportedLimit, ...]:
        """Read `anthropic-ratelimit-*`; input tokens are limited apart where they are named."""
        apart = "anthropic-ratelimit-input-tokens-limit" in headers
        asked = (
            (LimitKind.REQUESTS, "requests"),
            (LimitKind.TOKENS, "input-tokens" if apart else "tokens"),
        )
        return tuple(
            ReportedLimit(
                kind=kind,
                per_minute=number_in(headers.get(f"anthropic-ratelimit-{name}-limit")),
                remaining=number_in(headers.get(f"anthropic-ratelimit-{name}-remaining")),
                reset_s=until_s(headers.get(f"anthropic-ratelimit-{name}-reset"), now),
            )
            for kind, name in asked
            if f"anthropic-ratelimit-{name}-limit" in headers
        )

    def _headers(self) -> dict[str, str]:
        version = {"anthropic-version": _API_VERSION}
        return version | ({"authorization": f"Bearer {self.api_key}"} if self.api_key else {})


_FORCED_TOOL: Final = {
    "tools": [
        {
            "name": VERDICT_NAME,
            "description": "Gives the verdict.",
            "input_schema": VERDICT_SCHEMA,
        }
    ],
    "tool_choice": {"type": "tool", "name": VERDICT_NAME, "disable_parallel_tool_use": True},
}
"""For models without structured output. They do not think unasked, which it would exclude."""


def _set_effort(
    question: Question, model: Claude, body: dict[str, Any], output_config: dict[str, Any]
) -> tuple[str, ...]:
    effort = question.effort
    if effort is None or (effort is ReasoningEffort.NONE and not model.thinks_unasked):
        return ()
    if effort is ReasoningEffort.NONE:
        if model.thinking_off is not None:
            body["thinking"] = {"type": model.thinking_off}
            return ()
        output_config["effort"] = "low"
        return (f"reasoning_effort none became low: {question.model} always thinks",)
    if not model.has_effort:
        return (f"reasoning_effort left out: {question.model} takes no effort",)
    output_config["effort"] = effort.value
    if model.thinking_on is not None:
        body["thinking"] = {"type": model.thinking_on}
    return ()


def _text_of(body: JsonObject) -> str:
    """Join the text, or give the tool's input; thinking is passed over."""
    blocks = objects_at(body, "content")
    tools = [block for block in blocks if block.get("type") == "tool_use"]
    verdicts = [tool for tool in tools if tool.get("name") == VERDICT_NAME]
    if verdicts:  # two of them in a row are not one object, and so no verdict
        return "".join(orjson.dumps(verdict.get("input")).decode() for verdict in verdicts)
    return "".join(text_at(block, "text") or "" for block in blocks if block.get("type") == "text")


@unless_odd
def _usage_of(usage: JsonObject) -> Usage:
    fresh = count_at(usage, "input_tokens")
    read = count_at(usage, "cache_read_input_tokens")
    written = count_at(usage, "cache_creation_input_tokens")
    return Usage(
        # The three are apart: input_tokens is what was neither read from nor written to a cache.
        prompt_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        completion_tokens=count_at(usage, "output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=count_at(part_at(usage, "output_tokens_details"), "thinking_tokens"),
        cache_write_1h_tokens=count_at(
            part_at(usage, "cache_creation"), "ephemeral_1h_input_tokens"
        ),
    )


def _tier_of(usage: JsonObject) -> str | None:
    speed = tier_at(usage, "speed")
    if speed not in _LIST_PRICE_SPEEDS:
        return speed
    geo = tier_at(usage, "inference_geo")
    if geo not in _LIST_PRICE_GEOS:
        return geo
    tier = tier_at(usage, "service_tier")
    return None if tier == "standard" else tier


def _kind_by_message(status: int, message: str | None) -> type[ProviderError] | None:
    if status != HTTPStatus.BAD_REQUEST:
        return None
    if tells_of_length(message):
        return PromptTooLongError
    lowered = (message or "").lower()
    return QuotaExhaustedError if any(words in lowered for words in _SPENT) else None
