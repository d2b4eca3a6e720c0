"""OpenRouter's chat completions.

Facts: the openrouter SDK 1.3.84 (chat.py, components/chatresult.py, errors/) and
openrouter.ai/docs/api/reference/errors-and-debugging.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llm_worker.adapters.clock import SystemClock
from llm_worker.dev.fake_providers import chat, openrouter_rules
from llm_worker.dev.fake_providers.behaviours import (
    AuthFailed,
    BadRequest,
    ContextTooLong,
    ErrorIn200,
    Overloaded,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    ServerError,
    Timeout504,
)
from llm_worker.dev.fake_providers.drafts import Stop, draft
from llm_worker.dev.fake_providers.exchange import BAD_KEY, Answer, next_id
from llm_worker.dev.fake_providers.retry_after import retry_after_header, retry_after_words

if TYPE_CHECKING:
    from llm_worker.dev.fake_providers.behaviours import Failure, Reply
    from llm_worker.dev.fake_providers.drafts import Draft, Tokens
    from llm_worker.dev.fake_providers.exchange import Call
    from llm_worker.dev.fake_providers.provider import FakeProvider

_USER: Final = "user_2fake"
_NATIVE_REASONS: Final = {
    Stop.DONE: "end_turn",
    Stop.LENGTH: "max_tokens",
    Stop.REFUSAL: "refusal",
    Stop.FILTERED: "content_filter",
    Stop.UNFINISHED: "tool_use",
}
_USD_PER_PROMPT_TOKEN: Final = 1e-6
_USD_PER_COMPLETION_TOKEN: Final = 5e-6
_UPSTREAM: Final = {"provider_name": "Anthropic", "raw": "upstream connect error"}
_FAILURES: Final[dict[type[Failure], tuple[int, str, dict[str, Any]]]] = {
    RateLimited: (429, "Provider returned error", {**_UPSTREAM, "provider_code": 429}),
    QuotaExhausted: (402, "Insufficient credits. Add more on the credits page.", {}),
    Overloaded: (529, "Provider is overloaded", _UPSTREAM),
    ServerError: (500, "Internal Server Error", {}),
    Timeout504: (524, "The upstream took too long", {}),
    BadRequest: (400, "Provider returned error", {**_UPSTREAM, "raw": "unsupported parameter"}),
    ContextTooLong: (
        400,
        "This endpoint's maximum context length is 1000000 tokens; you requested about 1000021.",
        {},
    ),
    AuthFailed: (401, "User not found.", {}),
    PermissionDenied: (403, "This model is not allowed by your guardrails.", {}),
    ErrorIn200: (502, "Provider returned error", _UPSTREAM),
}


class OpenRouter:
    """The API at openrouter.ai/api/v1."""

    def __init__(self, provider: FakeProvider) -> None:
        self._provider = provider
        self._clock = SystemClock()

    def objection(self, call: Call) -> Answer | None:
        """Say what the API finds wrong with the call; None: nothing."""
        if call.method == "GET" and call.path == "/models":
            return None  # the list is public
        if not call.bearer():
            return _error(401, "Missing Authentication header")
        if call.bearer() == BAD_KEY:
            return _error(401, "User not found.")
        return None if call.method == "GET" else _body_objection(call)

    def look_up(self, call: Call) -> Answer:
        """Answer a GET."""
        if call.path == "/models":
            return Answer.of(200, openrouter_rules.listing(), {})
        if call.path == "/key":
            return Answer.of(200, {"data": openrouter_rules.KEY}, {})
        return _error(404, "Not Found")

    def reply(self, call: Call, reply: Reply) -> Answer:
        """Render a reply to a call without objections."""
        reasons = openrouter_rules.reasons(call.body)
        answer = draft(reply, chat.asked(call.body, reasons=reasons))
        choice = chat.choice(answer)
        choice["native_finish_reason"] = _NATIVE_REASONS[answer.stop]
        choice["message"]["reasoning"] = None
        body = self._completion(call, choice)
        body["service_tier"] = answer.service_tier
        if answer.tokens is not None:
            body["usage"] = _usage(answer, answer.tokens)
        return Answer.of(200, body, self._headers())

    def failure(self, call: Call, failure: Failure) -> Answer:
        """Render a failure."""
        if isinstance(failure, ErrorIn200) and failure.in_choice:
            return Answer.of(200, self._completion(call, chat.failed_choice()), self._headers())
        code, message, metadata = _FAILURES[type(failure)]
        body = _error_body(code, message + retry_after_words(failure), metadata)
        status = 200 if isinstance(failure, ErrorIn200) else code
        headers = retry_after_header(failure, self._clock.now())
        return Answer.of(status, body, self._headers() | headers)

    def _completion(self, call: Call, choice: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": next_id("gen-"),
            "object": "chat.completion",
            "created": int(self._clock.now().timestamp()),
            "model": call.body["model"],
            "provider": openrouter_rules.upstream(call.body["model"]),
            "system_fingerprint": None,
            "choices": [choice],
        }

    def _headers(self) -> dict[str, str]:
        limits = self._provider.limits
        reset_ms = int((self._clock.now().timestamp() + limits.reset_s) * 1000)
        return {
            "X-RateLimit-Limit": str(limits.requests),
            "X-RateLimit-Remaining": str(limits.requests_remaining),
            "X-RateLimit-Reset": str(reset_ms),
        }


def _body_objection(call: Call) -> Answer | None:
    if call.path != "/chat/completions":
        return _error(404, "Not Found")
    found = openrouter_rules.objection(call.body)
    return _error(found.status, found.message, found.metadata) if found else None


def _error(code: int, message: str, metadata: dict[str, Any] | None = None) -> Answer:
    return Answer.of(code, _error_body(code, message, metadata or {}), {})


def _error_body(code: int, message: str, metadata: dict[str, Any]) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if metadata:
        error["metadata"] = metadata
    return {"error": error, "user_id": _USER}


def _usage(answer: Draft, tokens: Tokens) -> dict[str, Any]:
    prompt_cost = tokens.prompt * _USD_PER_PROMPT_TOKEN
    completion_cost = tokens.completion * _USD_PER_COMPLETION_TOKEN
    cost = prompt_cost + completion_cost if answer.cost_usd is None else float(answer.cost_usd)
    return chat.usage(tokens) | {
        "cost": cost,
        "is_byok": False,
        "cost_details": {
            "upstream_inference_cost": None,
            "upstream_inference_prompt_cost": prompt_cost,
            "upstream_inference_completions_cost": completion_cost,
        },
    }
