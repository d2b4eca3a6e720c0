"""OpenAI's Chat Completions API.

Facts: the openai SDK 3.57 (types/chat/completion_create_params.py, types/completion_usage.py,
types/shared/error_object.py) and developers.openai.com/api/docs/guides/error-codes.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from llm_worker.adapters.clock import SystemClock
from llm_worker.dev.fake_providers import chat, openai_rules
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
from llm_worker.dev.fake_providers.drafts import draft
from llm_worker.dev.fake_providers.exchange import BAD_KEY, Answer, next_id
from llm_worker.dev.fake_providers.openai_rules import MODELS, Objection
from llm_worker.dev.fake_providers.retry_after import retry_after_header, retry_after_words

if TYPE_CHECKING:
    from llm_worker.dev.fake_providers.behaviours import Failure, Reply
    from llm_worker.dev.fake_providers.exchange import Call
    from llm_worker.dev.fake_providers.provider import FakeProvider

_INVALID: Final = "invalid_request_error"
_OVERLOADED: Final = Objection(
    status=503,
    kind="service_unavailable_error",
    code="server_is_overloaded",
    message="Our servers are currently overloaded. Please try again later.",
)
_WRONG_KEY: Final = Objection(
    status=401,
    code="invalid_api_key",
    message="Incorrect API key provided: ***. You can find your API key at "
    "https://platform.openai.com/account/api-keys.",
)
_FAILURES: Final[dict[type[Failure], Objection]] = {
    RateLimited: Objection(
        status=429,
        kind="requests",
        code="rate_limit_exceeded",
        message="Rate limit reached for requests per min (RPM).",
    ),
    QuotaExhausted: Objection(
        status=429,
        kind="insufficient_quota",
        code="credit_balance_exhausted",
        message="You exceeded your current quota, please check your plan and billing details.",
    ),
    Overloaded: _OVERLOADED,
    ServerError: Objection(
        status=500, kind="server_error", message="The server had an error processing your request."
    ),
    Timeout504: Objection(
        status=504, kind="server_error", message="The server timed out processing your request."
    ),
    BadRequest: Objection(
        status=400,
        param="reasoning_effort",
        code="unsupported_value",
        message="Unsupported value: 'reasoning_effort' does not support 'low' with this model.",
    ),
    ContextTooLong: Objection(
        status=400,
        param="messages",
        code="context_length_exceeded",
        message="This model's maximum context length is 400000 tokens. However, your messages "
        "resulted in 400021 tokens. Please reduce the length of the messages.",
    ),
    AuthFailed: _WRONG_KEY,
    PermissionDenied: Objection(
        status=403,
        kind="insufficient_permissions",
        message="You have insufficient permissions for this operation.",
    ),
    ErrorIn200: _OVERLOADED,
}


class OpenAI:
    """The API at api.openai.com/v1."""

    def __init__(self, provider: FakeProvider) -> None:
        self._provider = provider
        self._clock = SystemClock()

    def objection(self, call: Call) -> Answer | None:
        """Say what the API finds wrong with the call; None: nothing."""
        key = call.bearer()
        if not key:
            return self._error(Objection(status=401, message="You didn't provide an API key."))
        if key == BAD_KEY:
            return self._error(_WRONG_KEY)
        if call.method == "GET":
            return None
        if call.path != "/chat/completions":
            url = f"Invalid URL ({call.method} /v1{call.path})"
            return self._error(Objection(status=404, message=url))
        found = openai_rules.objection(call.body)
        return self._error(found) if found else None

    def look_up(self, call: Call) -> Answer:
        """Answer a GET."""
        if call.path == "/models":
            listing = {"object": "list", "data": [_describe(model) for model in MODELS]}
            return Answer.of(200, listing, self._headers())
        model = call.path.removeprefix("/models/")
        if model in MODELS:
            return Answer.of(200, _describe(model), self._headers())
        return self._error(openai_rules.no_such_model(model))

    def reply(self, call: Call, reply: Reply) -> Answer:
        """Render a reply to a call without objections."""
        effort = openai_rules.effort_of(call.body)
        answer = draft(reply, chat.asked(call.body, reasons=effort != "none"))
        choice = chat.choice(answer)
        choice["message"]["annotations"] = []
        body = self._completion(call, choice)
        body["service_tier"] = answer.service_tier or "default"
        if answer.tokens is not None:
            body["usage"] = chat.usage(answer.tokens)
        return Answer.of(200, body, self._headers())

    def failure(self, call: Call, failure: Failure) -> Answer:
        """Render a failure."""
        if isinstance(failure, ErrorIn200):
            if failure.in_choice:
                body = self._completion(call, chat.failed_choice())
                return Answer.of(200, body, self._headers())
            return Answer.of(200, _body(_OVERLOADED), self._headers())
        found = _FAILURES[type(failure)]
        words = retry_after_words(failure)
        headers = retry_after_header(failure, self._clock.now())
        return Answer.of(found.status, _body(found, words), self._headers() | headers)

    def _error(self, found: Objection) -> Answer:
        headers = self._headers()
        if found.status == HTTPStatus.UNAUTHORIZED:
            headers = {"x-request-id": headers["x-request-id"]}
        return Answer.of(found.status, _body(found), headers)

    def _completion(self, call: Call, choice: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": next_id("chatcmpl-"),
            "object": "chat.completion",
            "created": int(self._clock.now().timestamp()),
            "model": call.body["model"],
            "choices": [choice],
            "system_fingerprint": None,
        }

    def _headers(self) -> dict[str, str]:
        limits = self._provider.limits
        reset = _go_duration(limits.reset_s)
        return {
            "x-request-id": next_id("req_"),
            "openai-version": "2020-10-01",
            "openai-organization": "fake-organization",
            "openai-processing-ms": "1",
            "x-ratelimit-limit-requests": str(limits.requests),
            "x-ratelimit-limit-tokens": str(limits.tokens),
            "x-ratelimit-remaining-requests": str(limits.requests_remaining),
            "x-ratelimit-remaining-tokens": str(limits.tokens_remaining),
            "x-ratelimit-reset-requests": reset,
            "x-ratelimit-reset-tokens": reset,
        }


def _body(found: Objection, words: str = "") -> dict[str, Any]:
    return {
        "error": {
            "message": found.message + words,
            "type": found.kind,
            "param": found.param,
            "code": found.code,
        }
    }


def _describe(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": 1_790_000_000, "owned_by": "openai"}


def _go_duration(seconds: float) -> str:
    """Write seconds as Go does: `12ms`, `1s`, `39.9s`, `6m0s`, `1h0m0s`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:g}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text
