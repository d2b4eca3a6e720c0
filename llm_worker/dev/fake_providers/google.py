"""Google's Gemini API, `generateContent` of v1 and v1beta.

Facts: the google-genai SDK 3.6 (types.py, errors.py) and ai.google.dev/gemini-api/docs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from llm_worker.adapters.clock import SystemClock
from llm_worker.dev.fake_providers import google_failures, google_rules
from llm_worker.dev.fake_providers.behaviours import ErrorIn200
from llm_worker.dev.fake_providers.drafts import Asked, Stop, draft
from llm_worker.dev.fake_providers.exchange import BAD_KEY, Answer, next_id
from llm_worker.dev.fake_providers.google_rules import MODELS, camel
from llm_worker.dev.fake_providers.retry_after import retry_after_header

if TYPE_CHECKING:
    from llm_worker.dev.fake_providers.behaviours import Failure, Reply
    from llm_worker.dev.fake_providers.drafts import Draft, Tokens
    from llm_worker.dev.fake_providers.exchange import Call

_FINISH_REASONS: Final = {
    Stop.DONE: "STOP",
    Stop.LENGTH: "MAX_TOKENS",
    Stop.FILTERED: "SAFETY",
    Stop.UNFINISHED: "CONTINUATION",
}
_HEADERS: Final = {"Content-Type": "application/json; charset=UTF-8", "Server": "scaffolding"}
_ACTION: Final = ":generateContent"


class Google:
    """The API at generativelanguage.googleapis.com."""

    def __init__(self) -> None:
        self._clock = SystemClock()

    def objection(self, call: Call) -> Answer | None:
        """Say what the API finds wrong with the call; None: nothing."""
        key = call.headers.get("x-goog-api-key") or parse_qs(call.query).get("key", [""])[0]
        if not key:
            return _error(google_failures.NO_KEY)
        if key == BAD_KEY:
            return _error(google_failures.WRONG_KEY)
        return _address_objection(call) or _body_objection(call)

    def look_up(self, call: Call) -> Answer:
        """Answer a GET."""
        version, model = _address(call.path)
        if not model:
            return _answer({"models": [_describe(model) for model in MODELS]})
        if model in MODELS:
            return _answer(_describe(model))
        return _error(google_failures.no_such_model(model, version))

    def reply(self, call: Call, reply: Reply) -> Answer:
        """Render a reply to a call without objections."""
        model = _address(call.path)[1]
        answer = draft(reply, _asked(call.body, model))
        body: dict[str, Any] = {}
        if answer.stop is Stop.REFUSAL:
            body["promptFeedback"] = {"blockReason": "PROHIBITED_CONTENT"}
        else:
            body["candidates"] = [_candidate(answer)]
        if answer.tokens is not None:
            body["usageMetadata"] = _usage(answer.tokens)
        return _answer(body | {"modelVersion": model, "responseId": next_id("")})

    def failure(self, call: Call, failure: Failure) -> Answer:  # noqa: ARG002 - a Wire
        """Render a failure."""
        if isinstance(failure, ErrorIn200):
            if failure.in_choice:
                candidate = {"index": 0, "finishReason": "OTHER", "content": {"role": "model"}}
                return _answer({"candidates": [candidate], "responseId": next_id("")})
            return _answer(google_failures.body(google_failures.of(failure)))
        headers: dict[str, str] = {}
        if getattr(failure, "form", "") == "date":
            headers = retry_after_header(failure, self._clock.now())
        return _error(google_failures.of(failure), headers)


def _address_objection(call: Call) -> Answer | None:
    version, _model = _address(call.path)
    is_action = call.path.endswith(_ACTION)
    if version not in {"v1", "v1beta"} or is_action != (call.method == "POST"):
        return _error(google_failures.no_such_page(call.path))
    return None


def _body_objection(call: Call) -> Answer | None:
    if call.method == "GET":
        return None
    version, model = _address(call.path)
    if model not in MODELS:
        return _error(google_failures.no_such_model(model, version))
    found = google_rules.objection(call.body, MODELS[model])
    return _error(google_failures.invalid(found)) if found else None


def _address(path: str) -> tuple[str, str]:
    """Read the API's version and the model's name, if there is one, out of a path."""
    _, version, *rest = path.split("/", 3)
    model = rest[1] if rest[:1] == ["models"] and len(rest) > 1 else ""
    return version, model.removesuffix(_ACTION)


def _answer(body: dict[str, Any]) -> Answer:
    return Answer.of(200, body, _HEADERS)


def _error(failed: google_failures.Failed, headers: dict[str, str] | None = None) -> Answer:
    return Answer.of(failed.code, google_failures.body(failed), _HEADERS | (headers or {}))


def _asked(body: dict[str, Any], model: str) -> Asked:
    given = {camel(name): value for name, value in body.items()}
    config = {camel(name): value for name, value in given.get("generationConfig", {}).items()}
    texts = [_text(content) for content in given["contents"]]
    return Asked(
        prompt=texts[0],
        characters=len(_text(given.get("systemInstruction") or {})) + sum(map(len, texts)),
        schema=config.get("responseJsonSchema") or config.get("responseSchema"),
        max_tokens=config.get("maxOutputTokens"),
        reasons=MODELS[model].thinks(config.get("thinkingConfig") or {}),
    )


def _text(content: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in content.get("parts", ()))


def _candidate(answer: Draft) -> dict[str, Any]:
    content: dict[str, Any] = {"role": "model"}
    if answer.text:
        content["parts"] = [{"text": answer.text, "thoughtSignature": "RmFrZQ=="}]
    candidate: dict[str, Any] = {
        "index": 0,
        "content": content,
        "finishReason": _FINISH_REASONS[answer.stop],
    }
    if answer.stop is Stop.UNFINISHED:
        candidate["continuationToken"] = "RmFrZQ=="
    if answer.stop is Stop.FILTERED:
        rating = {"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}
        candidate["safetyRatings"] = [rating]
    return candidate


def _usage(tokens: Tokens) -> dict[str, Any]:
    counts = {
        "promptTokenCount": tokens.prompt,
        "candidatesTokenCount": tokens.completion - tokens.reasoning,
        "thoughtsTokenCount": tokens.reasoning,
        "cachedContentTokenCount": tokens.cache_read,
        "totalTokenCount": tokens.prompt + tokens.completion,
    }
    # Protobuf's JSON leaves zeros out.
    said: dict[str, Any] = {name: count for name, count in counts.items() if count}
    return said | {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.prompt}]}


def _describe(model: str) -> dict[str, Any]:
    return {
        "name": f"models/{model}",
        "version": "001",
        "displayName": model.replace("-", " ").title(),
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
