from __future__ import annotations

import typing
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from anthropic.types import Model

from llm_worker.adapters.providers.anthropic import (
    DEFAULT_MODEL,
    UNPRICED_MODELS,
    AnthropicDialect,
)
from llm_worker.adapters.providers.dialect import Reply, Stop
from llm_worker.adapters.providers.prices import PriceBook
from llm_worker.contracts.request import OutputVerbosity, ReasoningEffort
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import (
    AuthenticationFailedError,
    ModelMissingError,
    PermissionDeniedError,
    PromptTooLongError,
    ProviderDownError,
    ProviderError,
    ProviderTimeoutError,
    QuotaExhaustedError,
    RateLimitedError,
    RequestRefusedError,
    UnreachableError,
)
from llm_worker.domain.judging import VERDICT_SCHEMA
from llm_worker.domain.outcome import Repair
from llm_worker.domain.verdict import Billing, LimitKind, ReportedLimit, Usage
from tests.support.builders import NOW
from tests.support.fakes import ManualClock
from tests.support.recorded import (
    KEY,
    REPAIR,
    VERDICT,
    error_of,
    names_of,
    question,
    recorded,
    reply_of,
)

_DIALECT = AnthropicDialect(api_key=KEY)
_FORMAT = {"type": "json_schema", "schema": VERDICT_SCHEMA}
_USAGE = Usage(
    prompt_tokens=200,
    completion_tokens=60,
    cache_read_tokens=0,
    cache_write_tokens=0,
    reasoning_tokens=0,
    cache_write_1h_tokens=0,
)
_REFUSED = replace(_USAGE, completion_tokens=0)


def _body(model: str, **wanted: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of the question
    body = _DIALECT.judge_call(question(model, **wanted)).body
    assert body is not None
    return body


def test_a_question_becomes_a_message_with_a_schema() -> None:
    call = _DIALECT.judge_call(question("claude-haiku-5-5", max_tokens=900))

    assert call.path == "/v1/messages"
    assert call.headers == {"authorization": f"Bearer {KEY}", "anthropic-version": "2026-10-21"}
    assert call.adjustments == ()
    assert call.body == {
        "model": "claude-haiku-5-5",
        "max_tokens": 900,
        "system": "You are an impartial judge.",
        "messages": [{"role": "user", "content": "Which essay is better?"}],
        "output_config": {"format": _FORMAT},
    }


def test_a_repair_shows_the_answer_and_ends_with_our_turn() -> None:
    asked, answered, again = _body("claude-haiku-5-5", repair=REPAIR)["messages"]

    assert asked["content"] == "Which essay is better?"
    assert answered == {"role": "assistant", "content": "Essay A, I think."}
    assert again["role"] == "user"
    assert "no JSON object" in again["content"]


def test_an_answer_without_text_is_no_turn() -> None:
    messages = _body("claude-haiku-5-5", repair=Repair(answer=" \n", fault="empty"))["messages"]

    assert [message["role"] for message in messages] == ["user", "user"]


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-4-1-20250805",
        "claude-opus-4-0",
        "claude-sonnet-4-20250514",
        "claude-3-7-sonnet-latest",
    ],
)
def test_a_model_without_structured_output_must_call_a_tool(model: str) -> None:
    # Thinking excludes it, and none of them thinks unasked.
    body = _body(model, effort=ReasoningEffort.NONE)

    assert not {"output_config", "thinking"} & set(body)
    assert body["tools"][0]["input_schema"] == VERDICT_SCHEMA
    assert body["tool_choice"] == {
        "type": "tool",
        "name": body["tools"][0]["name"],
        "disable_parallel_tool_use": True,
    }


@pytest.mark.parametrize(
    "model", ["claude-haiku-5-5", "claude-3-haiku-20240307", "claude-fable-5-2"]
)
def test_no_model_takes_a_temperature(model: str) -> None:
    call = _DIALECT.judge_call(question(model, temperature=0.0))

    assert call.body is not None
    assert "temperature" not in call.body
    assert call.adjustments == (f"temperature_override left out: {model} takes no temperature",)


@pytest.mark.parametrize(
    ("model", "effort", "sent", "adjustments"),
    [
        ("claude-haiku-5-5", "none", {"thinking": {"type": "disabled"}}, ()),
        ("claude-opus-5", "none", {"thinking": {"type": "disabled"}}, ()),
        ("claude-sonnet-5", "none", {"thinking": {"type": "disabled"}}, ()),
        ("claude-sonnet-5-5", "none", {"thinking": {"type": "between_tools"}}, ()),
        ("claude-opus-4-8", "none", {}, ()),
        ("claude-opus-4-5", "none", {}, ()),
        ("claude-haiku-4-5", "none", {}, ()),
        ("claude-sonnet-4-5", "none", {}, ()),
        (
            "claude-opus-5-5",
            "none",
            {"effort": "low"},
            ("reasoning_effort none became low: claude-opus-5-5 always thinks",),
        ),
        (
            "claude-new-6",
            "none",
            {"effort": "low"},
            ("reasoning_effort none became low: claude-new-6 always thinks",),
        ),
        ("claude-haiku-5-5", "low", {"effort": "low"}, ()),
        ("claude-opus-5-5", "high", {"effort": "high"}, ()),
        ("claude-mythos-5-2", "medium", {"effort": "medium"}, ()),
        ("claude-opus-4-8", "low", {"effort": "low", "thinking": {"type": "adaptive"}}, ()),
        ("claude-opus-4-7", "high", {"effort": "high", "thinking": {"type": "adaptive"}}, ()),
        ("claude-opus-4-6", "high", {"effort": "high", "thinking": {"type": "adaptive"}}, ()),
        ("claude-sonnet-4-6", "low", {"effort": "low", "thinking": {"type": "adaptive"}}, ()),
        ("claude-opus-4-5-20251101", "high", {"effort": "high"}, ()),
        (
            "claude-haiku-4-5-20251001",
            "low",
            {},
            ("reasoning_effort left out: claude-haiku-4-5-20251001 takes no effort",),
        ),
        (
            "claude-sonnet-4-5",
            "high",
            {},
            ("reasoning_effort left out: claude-sonnet-4-5 takes no effort",),
        ),
    ],
)
def test_effort_is_said_as_the_model_takes_it(
    model: str, effort: str, sent: dict[str, Any], adjustments: tuple[str, ...]
) -> None:
    call = _DIALECT.judge_call(question(model, effort=ReasoningEffort(effort)))

    assert call.body is not None
    said = {"thinking": call.body["thinking"]} if "thinking" in call.body else {}
    if "effort" in call.body["output_config"]:
        said["effort"] = call.body["output_config"]["effort"]
    assert said == sent
    assert call.adjustments == adjustments


def test_verbosity_is_said_in_the_prompt_alone() -> None:
    assert _body("claude-haiku-5-5", verbosity=OutputVerbosity.LOW) == _body("claude-haiku-5-5")


_REPLIES = {
    "verdict": Reply(stop=Stop.DONE, text=VERDICT, detail="end_turn"),
    "verdict_after_thinking": Reply(
        stop=Stop.DONE,
        text=VERDICT,
        detail="end_turn",
        usage=Usage(
            prompt_tokens=200,
            completion_tokens=180,
            cache_read_tokens=0,
            cache_write_tokens=0,
            reasoning_tokens=120,
            cache_write_1h_tokens=0,
        ),
    ),
    "verdict_by_tool": Reply(
        stop=Stop.DONE,
        text='{"winner":"Essay A","justification":"Its argument is clearer.","confidence":0.8}',
        model="claude-opus-4-1-20250805",
        detail="tool_use",
    ),
    "verdict_in_two_blocks": Reply(stop=Stop.DONE, text=VERDICT, detail="end_turn"),
    "refusal": Reply(
        stop=Stop.REFUSAL, detail="general_harms", usage=_REFUSED, cost_usd=Decimal(0)
    ),
    "refusal_billed": Reply(stop=Stop.REFUSAL, detail="reasoning_extraction", usage=_REFUSED),
    "refusal_midway": Reply(stop=Stop.REFUSAL, text='{"winner": "Essay', detail="refusal"),
    "truncated": Reply(stop=Stop.LENGTH, text='{"winner": "Essay A", "justif', detail="max_tokens"),
    "truncated_in_thought": Reply(stop=Stop.LENGTH, detail="max_tokens"),
    "truncated_by_window": Reply(
        stop=Stop.LENGTH, text='{"winner":', detail="model_context_window_exceeded"
    ),
    "paused": Reply(stop=Stop.UNFINISHED, detail="pause_turn"),
    "empty": Reply(stop=Stop.DONE, detail="end_turn"),
    "partial": Reply(stop=Stop.DONE, text='{"winner": "Essay A"}', detail="end_turn"),
    "usage_cached": Reply(
        stop=Stop.DONE,
        text=VERDICT,
        model="claude-opus-5-5",
        detail="end_turn",
        usage=Usage(
            prompt_tokens=10_000,
            completion_tokens=1000,
            cache_read_tokens=6000,
            cache_write_tokens=2000,
            reasoning_tokens=700,
            cache_write_1h_tokens=1500,
        ),
    ),
    "usage_cache_read": Reply(
        stop=Stop.DONE,
        text=VERDICT,
        detail="end_turn",
        usage=Usage(
            prompt_tokens=8000,
            completion_tokens=1000,
            cache_read_tokens=6000,
            cache_write_tokens=0,
            reasoning_tokens=700,
            cache_write_1h_tokens=0,
        ),
    ),
    "usage_nulls": Reply(
        stop=Stop.DONE,
        text=VERDICT,
        detail="end_turn",
        usage=Usage(prompt_tokens=200, completion_tokens=60),
    ),
    "usage_priority": Reply(stop=Stop.DONE, text=VERDICT, tier="priority", detail="end_turn"),
    "usage_fast": Reply(stop=Stop.DONE, text=VERDICT, tier="fast", detail="end_turn"),
}


@pytest.mark.parametrize("name", _REPLIES)
def test_an_answer_is_read(name: str) -> None:
    reply, expected = reply_of(_DIALECT, name), _REPLIES[name]

    assert (reply.stop, reply.text, reply.detail) == (
        expected.stop,
        expected.text,
        expected.detail,
    )
    assert reply.model == (expected.model or "claude-haiku-5-5")
    assert reply.usage == (_USAGE if expected.usage == Usage() else expected.usage)
    assert reply.tier == expected.tier
    assert reply.cost_usd == expected.cost_usd
    assert (reply.provider_request_id, reply.response_id) == ("req_011CTx", "msg_01ABC")


_ERRORS: dict[str, tuple[type[ProviderError], float | None]] = {
    "error_rate_limited": (RateLimitedError, 12.0),
    "error_ramp_limited": (RateLimitedError, 30.0),
    "error_spend_limit": (QuotaExhaustedError, None),
    "error_contract_spend_limit": (QuotaExhaustedError, None),
    "error_authentication": (AuthenticationFailedError, None),
    "error_billing": (QuotaExhaustedError, None),
    "error_permission": (PermissionDeniedError, None),
    "error_unknown_model": (ModelMissingError, None),
    "error_request_timeout": (ProviderTimeoutError, None),
    "error_conflict": (ProviderDownError, None),
    "error_parameter": (RequestRefusedError, None),
    "error_prompt_too_long": (PromptTooLongError, None),
    "error_credit": (QuotaExhaustedError, None),
    "error_own_spend_limit": (QuotaExhaustedError, None),
    "error_on_hold": (PermissionDeniedError, None),
    "error_body_timeout": (UnreachableError, None),
    "error_too_large": (PromptTooLongError, None),
    "error_internal": (ProviderDownError, None),
    "error_internal_for_good": (RequestRefusedError, None),
    "error_bad_gateway": (ProviderDownError, None),
    "error_cmek": (ProviderDownError, None),
    "error_gateway_timeout": (ProviderTimeoutError, None),
    "error_overloaded": (ProviderDownError, None),
}


@pytest.mark.parametrize("name", _ERRORS)
def test_an_error_is_read(name: str) -> None:
    error = error_of(_DIALECT, name)
    kind, retry_after_s = _ERRORS[name]

    assert type(error) is kind
    assert error.retry_after_s == retry_after_s
    has_body = bool(recorded(_DIALECT.name, name).body)
    assert error.facts.provider_request_id == ("req_011CTx" if has_body else None)
    assert error.billing == (Billing() if kind is ProviderTimeoutError else None)


def test_the_body_names_the_request_where_no_header_does() -> None:
    body = recorded(_DIALECT.name, "error_overloaded").body

    error = _DIALECT.read_error(529, body, {}, NOW)

    assert error.facts.provider_request_id == "req_011CTx"


def test_another_tool_s_input_is_no_verdict() -> None:
    block = {"type": "tool_use", "id": "toolu_1", "name": "search", "input": {"winner": "A"}}

    reply = _DIALECT.read_reply({"content": [block]}, {})

    assert (reply.stop, reply.text) == (Stop.DONE, "")


def test_the_stable_cause_is_named_before_the_class() -> None:
    assert "enforced_spend_limit_reached" in error_of(_DIALECT, "error_spend_limit").message
    assert "authentication_error" in error_of(_DIALECT, "error_authentication").message


def test_every_recorded_answer_is_expected_here() -> None:
    assert names_of(_DIALECT.name) == {*_REPLIES, *_ERRORS}


def test_limits_are_those_of_requests_and_of_input_tokens() -> None:
    headers = recorded(_DIALECT.name, "error_rate_limited").headers

    assert _DIALECT.read_limits(headers, NOW) == (
        ReportedLimit(kind=LimitKind.REQUESTS, per_minute=50, remaining=0, reset_s=12.0),
        ReportedLimit(kind=LimitKind.TOKENS, per_minute=40_000, remaining=35_000, reset_s=7.5),
    )


def test_limits_of_all_tokens_count_where_input_has_none_of_its_own() -> None:
    headers = {"anthropic-ratelimit-tokens-limit": "48000"}

    assert _DIALECT.read_limits(headers, NOW) == (
        ReportedLimit(kind=LimitKind.TOKENS, per_minute=48_000, remaining=None, reset_s=None),
    )
    assert _DIALECT.read_limits({}, NOW) == ()


@pytest.mark.parametrize("body", [{}, {"content": None}, {"content": "text"}])
def test_an_answer_of_another_form_is_not_read(body: dict[str, Any]) -> None:
    with pytest.raises((LookupError, TypeError, ValueError)):
        _DIALECT.read_reply(body, {})


def test_a_probe_lists_one_model() -> None:
    call = _DIALECT.probe_call()

    assert (call.path, call.body) == ("/v1/models?limit=1", None)
    assert call.headers["authorization"] == f"Bearer {KEY}"


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(_DIALECT)


def test_models_of_the_sdk_without_a_price_are_listed() -> None:
    prices = PriceBook(ProviderName.ANTHROPIC, clock=ManualClock(NOW))
    names = typing.get_args(typing.get_args(Model)[0])

    assert {name for name in names if not prices.knows(name)} == set(UNPRICED_MODELS)
    assert prices.knows(DEFAULT_MODEL)
