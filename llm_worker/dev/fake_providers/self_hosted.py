"""An OpenAI-compatible server of one's own, as vLLM 0.11 speaks.

It takes any model whose name does not begin with `no-such-`, ignores what it does not know, and
needs no key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llm_worker.adapters.clock import SystemClock
from llm_worker.dev.fake_providers import chat
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
from llm_worker.dev.fake_providers.retry_after import retry_after_header, retry_after_words

if TYPE_CHECKING:
    from llm_worker.dev.fake_providers.behaviours import Failure, Reply
    from llm_worker.dev.fake_providers.exchange import Call

SELF_HOSTED_MODEL: Final = "meta-llama/Llama-3.3-70B-Instruct"
_UNKNOWN_MODEL: Final = "no-such-"
_BAD_REQUEST: Final = "BadRequestError"
_FAILURES: Final[dict[type[Failure], tuple[int, str, str]]] = {
    RateLimited: (429, "RateLimitError", "Too many requests."),
    QuotaExhausted: (429, "insufficient_quota", "The quota is used up."),
    Overloaded: (503, "ServiceUnavailableError", "The server is overloaded."),
    ServerError: (500, "InternalServerError", "EngineCore encountered an issue."),
    Timeout504: (504, "GatewayTimeoutError", "The upstream server timed out."),
    BadRequest: (400, _BAD_REQUEST, "temperature must be non-negative, got -1.0."),
    ContextTooLong: (
        400,
        _BAD_REQUEST,
        "This model's maximum context length is 8192 tokens, but your request has 9000 of input.",
    ),
    AuthFailed: (401, "Unauthorized", "Unauthorized"),
    PermissionDenied: (403, "PermissionDeniedError", "Forbidden"),
    ErrorIn200: (500, "InternalServerError", "EngineCore encountered an issue."),
}


class SelfHosted:
    """The API at any address that ends in /v1."""

    def __init__(self) -> None:
        self._clock = SystemClock()

    def objection(self, call: Call) -> Answer | None:
        """Say what the API finds wrong with the call; None: nothing."""
        if call.bearer() == BAD_KEY:
            return Answer.of(401, {"error": "Unauthorized"}, {})
        return None if call.method == "GET" else _body_objection(call)

    def look_up(self, call: Call) -> Answer:
        """Answer a GET."""
        if call.path != "/models":
            return Answer.of(404, {"detail": "Not Found"}, {})
        model = {
            "id": SELF_HOSTED_MODEL,
            "object": "model",
            "created": 1_790_000_000,
            "owned_by": "vllm",
        }
        return Answer.of(200, {"object": "list", "data": [model | {"max_model_len": 8192}]}, {})

    def reply(self, call: Call, reply: Reply) -> Answer:
        """Render a reply to a call without objections."""
        answer = draft(reply, chat.asked(call.body, reasons=False))
        body = self._completion(call, chat.choice(answer))
        if answer.tokens is not None:
            usage = chat.usage(answer.tokens)
            # vLLM tells these two only where it is started so, and the second never.
            cached = {"cached_tokens": answer.tokens.cache_read}
            usage["prompt_tokens_details"] = cached if answer.tokens.cache_read else None
            del usage["completion_tokens_details"]
            body["usage"] = usage
        return Answer.of(200, body, {})

    def failure(self, call: Call, failure: Failure) -> Answer:
        """Render a failure."""
        if isinstance(failure, ErrorIn200) and failure.in_choice:
            return Answer.of(200, self._completion(call, chat.failed_choice()), {})
        status, kind, message = _FAILURES[type(failure)]
        answer = _error(status, kind, message + retry_after_words(failure))
        headers = retry_after_header(failure, self._clock.now())
        return Answer(
            status=200 if isinstance(failure, ErrorIn200) else status,
            body=answer.body,
            headers={**answer.headers, **headers},
        )

    def _completion(self, call: Call, choice: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": next_id("chatcmpl-"),
            "object": "chat.completion",
            "created": int(self._clock.now().timestamp()),
            "model": call.body["model"],
            "choices": [choice],
            "service_tier": None,
            "system_fingerprint": None,
        }


def _body_objection(call: Call) -> Answer | None:
    if call.path != "/chat/completions":
        return Answer.of(404, {"detail": "Not Found"}, {})
    body = call.body
    if not isinstance(body, dict):
        return _error(400, _BAD_REQUEST, "The body is no JSON object.")
    for required in ("model", "messages"):
        if not body.get(required):
            return _error(400, _BAD_REQUEST, f"Field required: body.{required}")
    if body["model"].startswith(_UNKNOWN_MODEL):
        message = f"The model `{body['model']}` does not exist."
        return _error(404, "NotFoundError", message, param="model")
    return None


def _error(status: int, kind: str, message: str, *, param: str | None = None) -> Answer:
    error = {"message": message, "type": kind, "param": param, "code": status}
    return Answer.of(status, {"error": error}, {})
