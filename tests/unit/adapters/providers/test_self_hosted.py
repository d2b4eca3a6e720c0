from __future__ import annotations

from typing import Any

import pytest

from llm_worker.adapters.providers.chat_completions import usage_of
from llm_worker.adapters.providers.dialect import Reply, Stop
from llm_worker.adapters.providers.self_hosted import SelfHostedDialect
from llm_worker.contracts.request import ReasoningEffort
from llm_worker.domain.errors import (
    AuthenticationFailedError,
    ModelMissingError,
    PromptTooLongError,
    ProviderDownError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
    RequestRefusedError,
)
from llm_worker.domain.judging import VERDICT_SCHEMA
from llm_worker.domain.verdict import Billing, LimitKind, ReportedLimit, Usage
from tests.support.builders import NOW
from tests.support.recorded import (
    KEY,
    REPAIR,
    VERDICT,
    error_of,
    names_of,
    question,
    reply_of,
)

_DIALECT = SelfHostedDialect()


def test_a_question_becomes_a_completion_without_a_key() -> None:
    call = _DIALECT.judge_call(question("qwen3-8b", max_tokens=900))

    assert call.path == "/chat/completions"
    assert call.headers == {}
    assert call.body == {
        "model": "qwen3-8b",
        "messages": [
            {"role": "system", "content": "You are an impartial judge."},
            {"role": "user", "content": "Which essay is better?"},
        ],
        "max_tokens": 900,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": VERDICT_SCHEMA},
        },
    }


def test_usage_that_contradicts_its_total_is_of_unknown_cost() -> None:
    """As a gateway tells it that leaves out what was reasoned."""
    told = {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 399}

    assert usage_of(told) == Usage(prompt_tokens=12, completion_tokens=None)
    assert usage_of(told | {"total_tokens": 13}).completion_tokens == 1


def test_a_server_that_wants_a_key_is_shown_one() -> None:
    locked = SelfHostedDialect(api_key=KEY)

    assert locked.judge_call(question("m")).headers == {"authorization": f"Bearer {KEY}"}
    assert locked.probe_call().headers == {"authorization": f"Bearer {KEY}"}
    assert KEY not in repr(locked)


def test_every_override_is_passed_on() -> None:
    call = _DIALECT.judge_call(question("m", effort=ReasoningEffort.NONE, temperature=0.0))

    assert call.body is not None
    assert call.body["reasoning_effort"] == "none"
    assert call.body["temperature"] == 0.0
    assert call.adjustments == ()


def test_a_repair_shows_the_answer_and_asks_again() -> None:
    body = _DIALECT.judge_call(question("m", repair=REPAIR)).body

    assert body is not None
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


_REPLIES = {
    "verdict_vllm": Reply(
        stop=Stop.DONE, text=VERDICT, detail="stop", provider_request_id="vllm-1"
    ),
    "verdict_after_reasoning": Reply(stop=Stop.DONE, text=VERDICT, detail="stop"),
    "verdict_llama_cpp": Reply(stop=Stop.DONE, text=VERDICT, detail="stop"),
    "verdict_ollama": Reply(stop=Stop.DONE, text=VERDICT, detail="stop"),
    "verdict_in_parts": Reply(stop=Stop.DONE, text=VERDICT, detail="stop"),
    "truncated": Reply(stop=Stop.LENGTH, text='{"winner":', detail="length"),
    "empty": Reply(stop=Stop.DONE, detail="stop"),
    "partial": Reply(stop=Stop.DONE, text='{"winner": "Essay A"}', detail="stop"),
}


@pytest.mark.parametrize("name", _REPLIES)
def test_an_answer_is_read(name: str) -> None:
    reply, expected = reply_of(_DIALECT, name), _REPLIES[name]

    assert (reply.stop, reply.text, reply.detail) == (
        expected.stop,
        expected.text,
        expected.detail,
    )
    assert reply.model == "qwen3-8b"
    assert reply.usage == Usage(prompt_tokens=1500, completion_tokens=60)
    assert reply.tier is None
    assert reply.provider_request_id == (expected.provider_request_id or "chatcmpl-77")


_ERRORS: dict[str, tuple[type[ProviderError], float | None]] = {
    "error_vllm_too_long": (PromptTooLongError, None),
    "error_old_vllm_too_long": (PromptTooLongError, None),
    "error_llama_cpp_too_long": (PromptTooLongError, None),
    "error_vllm_unknown_model": (ModelMissingError, None),
    "error_ollama_unknown_model": (ModelMissingError, None),
    "error_llama_cpp_loading": (ProviderDownError, None),
    "error_vllm_bad_key": (AuthenticationFailedError, None),
    "error_parameter": (RequestRefusedError, None),
    "error_gateway_limit": (RateLimitedError, 2.0),
    "error_nginx_timeout": (ProviderTimeoutError, None),
}


@pytest.mark.parametrize("name", _ERRORS)
def test_an_error_is_read(name: str) -> None:
    error = error_of(_DIALECT, name)
    kind, retry_after_s = _ERRORS[name]

    assert type(error) is kind
    assert error.retry_after_s == retry_after_s
    assert error.billing == (Billing() if kind is ProviderTimeoutError else None)


def test_a_code_in_words_is_named_and_without_one_the_type() -> None:
    worded = {"error": {"message": "busy", "type": "server_error", "code": "queue_full"}}

    assert "queue_full" in _DIALECT.read_error(503, worded, {}, NOW).message
    assert "unavailable_error" in error_of(_DIALECT, "error_llama_cpp_loading").message


def test_every_recorded_answer_is_expected_here() -> None:
    assert names_of(_DIALECT.name) == {*_REPLIES, *_ERRORS}


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": ["text"]}, {"error": "busy"}])
def test_an_answer_of_another_form_is_not_read(body: dict[str, Any]) -> None:
    with pytest.raises((LookupError, TypeError, ValueError)):
        _DIALECT.read_reply(body, {})


def test_limits_of_a_gateway_are_read() -> None:
    assert _DIALECT.read_limits({"x-ratelimit-limit-requests": "60"}, NOW) == (
        ReportedLimit(kind=LimitKind.REQUESTS, per_minute=60, remaining=None, reset_s=None),
    )


def test_a_probe_lists_the_models() -> None:
    call = _DIALECT.probe_call()

    assert (call.path, call.body, call.headers) == ("/models", None, {})
