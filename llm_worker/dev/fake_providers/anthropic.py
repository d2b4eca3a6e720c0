"""Anthropic's Messages API, version 2026-10-21 and the older 2023-06-01.

Facts: the anthropic SDK 2.13 (types/message_create_params.py, types/usage.py, _exceptions.py) and
platform.claude.com/docs/en/api/errors, /api/versioning.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from llm_worker.adapters.clock import SystemClock
from llm_worker.dev.fake_providers import anthropic_rules
from llm_worker.dev.fake_providers.anthropic_models import MODELS
from llm_worker.dev.fake_providers.behaviours import (
    AuthFailed,
    BadRequest,
    ContextTooLong,
    ErrorIn200,
    Overloaded,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    SafetyStop,
    ServerError,
    Timeout504,
)
from llm_worker.dev.fake_providers.drafts import Asked, Stop, draft
from llm_worker.dev.fake_providers.exchange import BAD_KEY, Answer, next_id
from llm_worker.dev.fake_providers.retry_after import retry_after_header, retry_after_words

if TYPE_CHECKING:
    from llm_worker.dev.fake_providers.behaviours import Failure, Reply
    from llm_worker.dev.fake_providers.drafts import Draft, Tokens
    from llm_worker.dev.fake_providers.exchange import Call
    from llm_worker.dev.fake_providers.provider import FakeProvider

_INVALID: Final = "invalid_request_error"
_STOP_REASONS: Final = {
    Stop.DONE: "end_turn",
    Stop.LENGTH: "max_tokens",
    Stop.REFUSAL: "refusal",
    Stop.FILTERED: "refusal",
    Stop.UNFINISHED: "pause_turn",
}
_SPENT: Final = {"error_code": "enforced_spend_limit_reached"}
_FAILURES: Final[dict[type[Failure], tuple[int, str, str]]] = {
    RateLimited: (429, "rate_limit_error", "This request would exceed your rate limit."),
    QuotaExhausted: (429, "rate_limit_error", "You have reached your monthly spend limit."),
    Overloaded: (529, "overloaded_error", "Overloaded"),
    ServerError: (500, "api_error", "Internal server error"),
    Timeout504: (504, "timeout_error", "Request timed out"),
    BadRequest: (400, _INVALID, "output_config.effort: Input should be 'low' or 'high'"),
    ContextTooLong: (400, _INVALID, "prompt is too long: 1000021 tokens > 1000000 maximum"),
    AuthFailed: (401, "authentication_error", "invalid x-api-key"),
    PermissionDenied: (403, "permission_error", "Your API key may not use this model"),
    ErrorIn200: (200, "overloaded_error", "Overloaded"),
}


class Anthropic:
    """The API at api.anthropic.com."""

    def __init__(self, provider: FakeProvider) -> None:
        self._provider = provider
        self._clock = SystemClock()

    def objection(self, call: Call) -> Answer | None:
        """Say what the API finds wrong with the call; None: nothing."""
        key = call.headers.get("x-api-key") or call.bearer()
        if not key or key == BAD_KEY:
            return self._error(401, "authentication_error", "invalid x-api-key")
        if fault := anthropic_rules.version_fault(call.headers.get("anthropic-version")):
            return self._error(400, _INVALID, fault)
        return None if call.method == "GET" else self._body_objection(call)

    def look_up(self, call: Call) -> Answer:
        """Answer a GET."""
        if call.path == "/v1/models":
            listing = {
                "data": [_describe(model) for model in MODELS],
                "has_more": False,
                "first_id": next(iter(MODELS)),
                "last_id": next(reversed(MODELS)),
            }
            return Answer.of(200, listing, self._headers(next_id("req_")))
        model = call.path.removeprefix("/v1/models/")
        if model in MODELS:
            return Answer.of(200, _describe(model), self._headers(next_id("req_")))
        return self._error(404, "not_found_error", "Not found")

    def reply(self, call: Call, reply: Reply) -> Answer:
        """Render a reply to a call without objections."""
        asked = _asked(call.body)
        answer = draft(reply, asked)
        stop_details = None
        if answer.stop in {Stop.REFUSAL, Stop.FILTERED}:
            category = "general_harms" if isinstance(reply, SafetyStop) else None
            stop_details = {"type": "refusal", "category": category, "explanation": None}
        body = {
            "id": next_id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": call.body["model"],
            "content": _content(answer, thinks=asked.reasons),
            "stop_reason": _STOP_REASONS[answer.stop],
            "stop_sequence": None,
            "stop_details": stop_details,
        }
        if answer.tokens is not None:
            body["usage"] = _usage(answer.tokens, answer.service_tier)
        return Answer.of(200, body, self._headers(next_id("req_")))

    def failure(self, call: Call, failure: Failure) -> Answer:  # noqa: ARG002 - a Wire
        """Render a failure."""
        status, kind, message = _FAILURES[type(failure)]
        return self._error(
            status,
            kind,
            message + retry_after_words(failure),
            details=_SPENT if isinstance(failure, QuotaExhausted) else None,
            headers=retry_after_header(failure, self._clock.now()),
        )

    def _body_objection(self, call: Call) -> Answer | None:
        if call.path != "/v1/messages":
            return self._error(404, "not_found_error", "Not found")
        fault = anthropic_rules.body_fault(call)
        if fault is None and call.body["model"] not in MODELS:
            return self._error(404, "not_found_error", f"model: {call.body['model']}")
        fault = fault or anthropic_rules.model_fault(call)
        return self._error(400, _INVALID, fault) if fault else None

    def _error(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        details: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        request_id = next_id("req_")
        error: dict[str, Any] = {"type": kind, "message": message}
        if details:
            error["details"] = details
        body = {"type": "error", "error": error, "request_id": request_id}
        # Anthropic sends rate limits with what it has counted; a wrong key has none.
        all_headers = (
            self._headers(request_id)
            if status != HTTPStatus.UNAUTHORIZED
            else {"request-id": request_id}
        )
        return Answer.of(status, body, all_headers | (headers or {}))

    def _headers(self, request_id: str) -> dict[str, str]:
        limits = self._provider.limits
        reset = (self._clock.now() + timedelta(seconds=limits.reset_s)).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )
        prefix = "anthropic-ratelimit-"
        return {
            "request-id": request_id,
            "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
            f"{prefix}requests-limit": str(limits.requests),
            f"{prefix}requests-remaining": str(limits.requests_remaining),
            f"{prefix}requests-reset": reset,
            f"{prefix}tokens-limit": str(limits.tokens),
            f"{prefix}tokens-remaining": str(limits.tokens_remaining),
            f"{prefix}tokens-reset": reset,
        }


def _asked(body: dict[str, Any]) -> Asked:
    texts = [_text(message["content"]) for message in body["messages"]]
    wanted = (body.get("output_config") or {}).get("format") or {}
    traits = MODELS[body["model"]]
    return Asked(
        prompt=texts[0],
        characters=len(_text(body.get("system") or "")) + sum(map(len, texts)),
        schema=wanted.get("schema"),
        max_tokens=body["max_tokens"],
        reasons=traits.thinks((body.get("thinking") or {}).get("type")),
    )


def _text(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


def _content(answer: Draft, *, thinks: bool) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if thinks and answer.stop is not Stop.REFUSAL:
        blocks.append({"type": "thinking", "thinking": "", "signature": "RmFrZQ=="})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    return blocks


def _usage(tokens: Tokens, service_tier: str | None) -> dict[str, Any]:
    return {
        "input_tokens": max(0, tokens.prompt - tokens.cache_read - tokens.cache_write),
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write - tokens.cache_write_1h,
            "ephemeral_1h_input_tokens": tokens.cache_write_1h,
        },
        "output_tokens": tokens.completion,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
        "service_tier": service_tier or "standard",
        "speed": "standard",
        "inference_geo": None,
        "server_tool_use": None,
    }


def _describe(model: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model,
        "display_name": model.replace("-", " ").title(),
        "created_at": "2026-09-28T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
    }
