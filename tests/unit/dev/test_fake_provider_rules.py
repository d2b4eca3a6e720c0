"""The rules of the APIs that the fake providers keep, each with the request that breaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from multidict import CIMultiDict

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.dev.fake_providers import (
    FakeProvider,
)
from llm_worker.dev.fake_providers.anthropic import Anthropic
from llm_worker.dev.fake_providers.exchange import Answer, Call
from llm_worker.dev.fake_providers.google import Google
from llm_worker.dev.fake_providers.openai import OpenAI
from llm_worker.dev.fake_providers.openrouter import OpenRouter
from llm_worker.dev.fake_providers.self_hosted import SelfHosted
from llm_worker.domain.judging import VERDICT_SCHEMA

if TYPE_CHECKING:
    from llm_worker.dev.fake_providers.exchange import Wire

_USER = {"role": "user", "content": "Which is better?"}
_ASSISTANT = {"role": "assistant", "content": "{"}
_NUMBER_WITH_LIMIT = {
    **VERDICT_SCHEMA,
    "properties": {**VERDICT_SCHEMA["properties"], "confidence": {"type": "number", "maximum": 1}},
}
_OPEN = {**VERDICT_SCHEMA, "additionalProperties": True}
_OPTIONAL = {**VERDICT_SCHEMA, "required": ["winner"]}
_FORCED: dict[str, Any] = {"tool_choice": {"type": "tool", "name": "verdict"}}


def _call(wire: Wire, path: str, body: Any, headers: dict[str, str]) -> Answer | None:  # noqa: ANN401 - a body
    call = Call(method="POST", path=path, query="", headers=CIMultiDict(headers), body=body)
    return wire.objection(call)


def _read(answer: Answer | None) -> tuple[int, dict[str, Any]]:
    assert answer is not None, "the API has no objection"
    return answer.status, orjson.loads(answer.body)


def _to_anthropic(*, version: str | None = "2026-10-21", **changes: object) -> Answer | None:
    body = {"model": "claude-haiku-5-5", "max_tokens": 2000, "messages": [_USER], **changes}
    headers = {"x-api-key": "k"} | ({"anthropic-version": version} if version else {})
    return _call(
        Anthropic(FakeProvider(ProviderName.ANTHROPIC)),
        "/v1/messages",
        _without_none(body),
        headers,
    )


def _to_openai(**changes: object) -> Answer | None:
    body = {"model": "gpt-6-luna", "messages": [_USER], **changes}
    return _call(
        OpenAI(FakeProvider(ProviderName.OPENAI)),
        "/chat/completions",
        _without_none(body),
        {"Authorization": "Bearer k"},
    )


def _to_google(
    model: str = "gemini-3.8-flash", version: str = "v1", **changes: object
) -> Answer | None:
    contents = [{"role": "user", "parts": [{"text": "Which is better?"}]}]
    body = {"contents": contents, **changes}
    path = f"/{version}/models/{model}:generateContent"
    return _call(Google(), path, _without_none(body), {"x-goog-api-key": "k"})


def _to_openrouter(**changes: object) -> Answer | None:
    body = {"model": "anthropic/claude-haiku-5.5", "messages": [_USER], **changes}
    return _call(
        OpenRouter(FakeProvider(ProviderName.OPENROUTER)),
        "/chat/completions",
        _without_none(body),
        {"Authorization": "Bearer k"},
    )


def _to_self_hosted(**changes: object) -> Answer | None:
    body = {"model": "llama", "messages": [_USER], **changes}
    return _call(SelfHosted(), "/chat/completions", _without_none(body), {})


def _without_none(body: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if value is not None}


def _format(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": "verdict", "strict": True, "schema": schema},
    }


def _config(**fields: object) -> dict[str, Any]:
    return {"generationConfig": fields}


def _effort(effort: str) -> dict[str, str]:
    return {"effort": effort}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": None}, "anthropic-version: header is required"),
        ({"version": "2027-01-01"}, "is not a valid version"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": [{"role": "judge", "content": "?"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": ""}]}, "non-empty content"),
        ({"temperature": 1}, "temperature: Extra inputs are not permitted"),
        ({"top_k": 1, "version": "2026-10-21"}, "top_k: Extra inputs are not permitted"),
        ({"seed": 1}, "seed: Extra inputs are not permitted"),
        ({"output_config": {"verbosity": "low"}}, "output_config.verbosity: Extra inputs"),
        ({"output_config": _effort("minimal")}, "output_config.effort: Input should be"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "schema: Field required"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {}, "strict": True}}},
            "output_config.format.strict: Extra inputs",
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": _NUMBER_WITH_LIMIT}}},
            "property 'maximum' is not supported",
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": _OPEN}}},
            "'additionalProperties' is required",
        ),
        ({"model": "claude-opus-5-5", "thinking": {"type": "disabled"}}, "thinking.type.disabled"),
        ({"model": "claude-fable-5-1", "thinking": {"type": "disabled"}}, "thinking.type.disabled"),
        ({"model": "claude-sonnet-5-5", "thinking": {"type": "disabled"}}, "type.disabled"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type.between_tools"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking.type.enabled"),
        (
            {"thinking": {"type": "disabled"}, "output_config": _effort("max")},
            "not supported with effort max",
        ),
        (
            {
                "model": "claude-haiku-4-5",
                "thinking": {"type": "enabled", "budget_tokens": 512},
            },
            "budget_tokens: Input should be greater than or equal to 1024",
        ),
        (
            {
                "model": "claude-haiku-4-5",
                "thinking": {"type": "enabled", "budget_tokens": 2000},
            },
            "`max_tokens` must be greater",
        ),
        ({"model": "claude-haiku-4-5", "thinking": {"type": "adaptive"}}, "type.adaptive"),
        ({"model": "claude-haiku-4-5", "output_config": _effort("low")}, "the effort parameter"),
        ({"messages": [_USER, _ASSISTANT]}, "assistant message prefill"),
        (_FORCED, "tool_choice forces tool use"),
        ({"temperature": 0, "version": "2023-06-01"}, "temperature: this model takes the default"),
    ],
)
def test_anthropic_refuses(changes: dict[str, Any], words: str) -> None:
    status, body = _read(_to_anthropic(**changes))

    assert status == 400
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"
    assert words in body["error"]["message"]
    assert body["request_id"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"output_config": {"format": {"type": "json_schema", "schema": VERDICT_SCHEMA}}},
        {"output_config": {"format": {"type": "json_schema", "schema": _OPTIONAL}}},
        {"output_config": _effort("max")},
        {"thinking": {"type": "disabled"}, "output_config": _effort("high")},
        {"thinking": {"type": "adaptive"}},
        {"thinking": {"type": "disabled"}} | _FORCED,
        {"model": "claude-sonnet-5-5", "thinking": {"type": "between_tools"}},
        {"model": "claude-haiku-4-5", "messages": [_USER, _ASSISTANT]},
        {"model": "claude-haiku-4-5", "temperature": 0, "version": "2023-06-01"},
        {"model": "claude-sonnet-5", "temperature": 1, "version": "2023-06-01"},
        {"messages": [_USER, _ASSISTANT, _USER], "system": "You are a judge."},
    ],
)
def test_anthropic_takes(changes: dict[str, Any]) -> None:
    assert _to_anthropic(**changes) is None


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": [{"role": "judge", "content": "?"}]}, "messages[0].role", "invalid_value"),
        ({"thinking": {}}, "thinking", "unknown_parameter"),
        ({"max_tokens": 100}, "max_tokens", "unsupported_parameter"),
        ({"model": "o3", "max_tokens": 100}, "max_tokens", "unsupported_parameter"),
        ({"temperature": 0}, "temperature", "unsupported_value"),
        ({"top_p": 0.5, "reasoning_effort": "low"}, "top_p", "unsupported_value"),
        ({"top_logprobs": 2}, "top_logprobs", "unsupported_parameter"),
        ({"reasoning_effort": "minimal"}, "reasoning_effort", "unsupported_value"),
        (
            {"model": "gpt-6-astra", "reasoning_effort": "none"},
            "reasoning_effort",
            "unsupported_value",
        ),
        ({"model": "gpt-5", "reasoning_effort": "none"}, "reasoning_effort", "unsupported_value"),
        (
            {"model": "gpt-4.1", "reasoning_effort": "low"},
            "reasoning_effort",
            "unsupported_parameter",
        ),
        ({"verbosity": "loud"}, "verbosity", "unsupported_value"),
        ({"model": "gpt-4.1", "verbosity": "low"}, "verbosity", "unsupported_value"),
        ({"response_format": {"type": "yaml"}}, "response_format.type", "invalid_value"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
            "response_format.json_schema.name",
            "invalid_value",
        ),
        ({"response_format": _format(_OPTIONAL)}, "response_format", "invalid_json_schema"),
        ({"response_format": _format(_OPEN)}, "response_format", "invalid_json_schema"),
        (
            {"response_format": _format(_NUMBER_WITH_LIMIT)},
            "response_format",
            "invalid_json_schema",
        ),
    ],
)
def test_openai_refuses(changes: dict[str, Any], param: str, code: str) -> None:
    status, body = _read(_to_openai(**changes))

    assert status == 400
    assert body["error"]["type"] == "invalid_request_error"
    assert (body["error"]["param"], body["error"]["code"]) == (param, code)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"response_format": _format(VERDICT_SCHEMA), "max_completion_tokens": 100},
        {"temperature": 0, "reasoning_effort": "none"},
        {"temperature": 1},
        {"model": "gpt-5.5", "temperature": 0},
        {"model": "gpt-4.1", "temperature": 0, "max_tokens": 100, "verbosity": "medium"},
        {"model": "gpt-6-astra", "reasoning_effort": "xhigh", "verbosity": "low"},
        {"messages": [{"role": "developer", "content": "You are a judge."}, _USER, _ASSISTANT]},
    ],
)
def test_openai_takes(changes: dict[str, Any]) -> None:
    assert _to_openai(**changes) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"contents": None}, "contents is not specified"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "?"}]}]}, "valid role"),
        ({"contents": [{"role": "user", "parts": []}]}, "must have parts"),
        ({"messages": []}, 'Unknown name "messages": Cannot find field'),
        (_config(max_tokens=5), "Unknown name \"maxTokens\" at 'generation_config'"),
        (_config(thinkingConfig={"effort": "low"}), 'Unknown name "effort"'),
        (_config(responseJsonSchema=VERDICT_SCHEMA), "JSON response mime type"),
        (
            _config(
                responseMimeType="application/json",
                responseJsonSchema={**VERDICT_SCHEMA, "minLength": 1},
            ),
            "'minLength' is not supported",
        ),
        (
            _config(
                responseMimeType="application/json",
                responseJsonSchema=VERDICT_SCHEMA,
                responseSchema={"type": "OBJECT"},
            ),
            "Only one of",
        ),
        (_config(temperature=3), "must be in the range"),
        (_config(maxOutputTokens=0), "must be positive"),
        ({"model": "gemini-4-argon"} | _config(temperature=0), "temperature is not supported"),
        (_config(thinkingConfig={"thinkingLevel": "MINIMAL"}), "MINIMAL is not supported"),
        (_config(thinkingConfig={"thinkingBudget": 0}), "only works in thinking mode"),
        (
            {"model": "gemini-2.5-pro"} | _config(thinkingConfig={"thinkingBudget": 100}),
            "only works in thinking mode",
        ),
        (
            {"model": "gemini-2.5-flash"} | _config(thinkingConfig={"thinkingLevel": "LOW"}),
            "Thinking level is not supported",
        ),
        (
            _config(thinkingConfig={"thinkingLevel": "LOW", "thinkingBudget": 100}),
            "only one of thinking budget and thinking level",
        ),
        (
            {
                "contents": [
                    {"role": "user", "parts": [{"text": "?"}]},
                    {"role": "model", "parts": [{"text": "{"}]},
                ]
            },
            "must not be the model's",
        ),
    ],
)
def test_google_refuses(changes: dict[str, Any], words: str) -> None:
    status, body = _read(_to_google(**changes))

    assert (status, body["error"]["code"]) == (400, 400)
    assert body["error"]["status"] == "INVALID_ARGUMENT"
    assert words in body["error"]["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "v1beta"},
        _config(
            responseMimeType="application/json", responseJsonSchema=VERDICT_SCHEMA, temperature=0
        ),
        {
            "generation_config": {
                "max_output_tokens": 5,
                "thinking_config": {"thinking_level": "LOW"},
            }
        },
        {"model": "gemini-2.5-flash"} | _config(thinkingConfig={"thinkingBudget": 0}),
        {"model": "gemini-3.6-flash"} | _config(thinkingConfig={"thinkingLevel": "MINIMAL"}),
        {"systemInstruction": {"parts": [{"text": "You are a judge."}]}, "serviceTier": "flex"},
    ],
)
def test_google_takes(changes: dict[str, Any]) -> None:
    assert _to_google(**changes) is None


def test_google_knows_no_other_version_of_its_api() -> None:
    status, body = _read(_to_google(version="v2"))

    assert (status, body["error"]["status"]) == (404, "NOT_FOUND")


def test_google_names_the_reason_of_a_wrong_key_in_the_details() -> None:
    answer = _call(Google(), "/v1/models/x:generateContent", {}, {"x-goog-api-key": "bad-key"})

    status, body = _read(answer)
    assert status == 400
    assert body["error"]["details"][0]["reason"] == "API_KEY_INVALID"


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"messages": None}, 400, "Input required"),
        ({"model": "aol/judge"}, 400, "aol/judge is not a valid model ID"),
        ({"model": "qwen/no-such-model"}, 404, "No endpoints found for qwen/no-such-model."),
        ({"reasoning": {"effort": "hard"}}, 400, "reasoning.effort"),
        (
            {"temperature": 0, "provider": {"require_parameters": True}},
            404,
            "No endpoints found that can handle the requested parameters.",
        ),
        ({"messages": [_USER, _ASSISTANT]}, 400, "Provider returned error"),
        ({"response_format": _format(_OPTIONAL)}, 400, "Provider returned error"),
    ],
)
def test_openrouter_refuses(changes: dict[str, Any], status: int, words: str) -> None:
    found, body = _read(_to_openrouter(**changes))

    assert (found, body["error"]["code"]) == (status, status)
    assert words in body["error"]["message"]
    assert body["user_id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0, "unknown": 1},  # dropped without a word
        {"provider": {"require_parameters": True}, "response_format": _format(VERDICT_SCHEMA)},
        {
            "model": "qwen/qwen3-max",
            "temperature": 0,
            "provider": {"require_parameters": True},
        },
        {"model": "~anthropic/claude-opus-latest", "reasoning": {"effort": "low"}},
    ],
)
def test_openrouter_takes(changes: dict[str, Any]) -> None:
    assert _to_openrouter(**changes) is None


def test_self_hosted_server_takes_what_it_does_not_know() -> None:
    assert _to_self_hosted(temperature=0, max_tokens=5, reasoning_effort="low", unknown=1) is None


@pytest.mark.parametrize(
    ("changes", "status", "kind"),
    [
        ({"messages": None}, 400, "BadRequestError"),
        ({"model": "no-such-model"}, 404, "NotFoundError"),
    ],
)
def test_self_hosted_server_refuses(changes: dict[str, Any], status: int, kind: str) -> None:
    found, body = _read(_to_self_hosted(**changes))

    assert (found, body["error"]["code"], body["error"]["type"]) == (status, status, kind)


_APIS: list[tuple[Wire, str, dict[str, str]]] = [
    (
        Anthropic(FakeProvider(ProviderName.ANTHROPIC)),
        "/v1/messages",
        {"Authorization": "Bearer k", "anthropic-version": "2026-10-21"},
    ),
    (
        OpenAI(FakeProvider(ProviderName.OPENAI)),
        "/chat/completions",
        {"Authorization": "Bearer k"},
    ),
    (Google(), "/v1/models/gemini-3.8-flash:generateContent", {"x-goog-api-key": "k"}),
    (
        OpenRouter(FakeProvider(ProviderName.OPENROUTER)),
        "/chat/completions",
        {"Authorization": "Bearer k"},
    ),
    (SelfHosted(), "/chat/completions", {}),
]


@pytest.mark.parametrize(("wire", "path", "headers"), _APIS)
def test_no_api_takes_what_is_no_json(wire: Wire, path: str, headers: dict[str, str]) -> None:
    assert _read(_call(wire, path, None, headers))[0] == 400


@pytest.mark.parametrize(("wire", "path", "headers"), _APIS)
def test_no_api_knows_another_path(wire: Wire, path: str, headers: dict[str, str]) -> None:
    assert _read(_call(wire, path + "/more", {}, headers))[0] == 404


@pytest.mark.parametrize(("wire", "path", "headers"), _APIS[:-1])  # one's own server wants none
def test_no_providers_api_takes_a_call_without_a_key(
    wire: Wire, path: str, headers: dict[str, str]
) -> None:
    keyless = {name: "" if "key" in name else "Basic k" for name in headers}

    assert _read(_call(wire, path, {}, keyless))[0] in {401, 403}
