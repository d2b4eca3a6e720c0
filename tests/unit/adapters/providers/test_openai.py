from __future__ import annotations

import typing
from typing import Any

import pytest
from openai.types.shared.chat_model import ChatModel

from llm_worker.adapters.providers.dialect import Reply, Stop
from llm_worker.adapters.providers.openai import (
    DEFAULT_MODEL,
    UNPRICED_MODELS,
    UNUSABLE_MODELS,
    OpenAIDialect,
)
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
    RefusedError,
    RequestRefusedError,
)
from llm_worker.domain.judging import VERDICT_SCHEMA
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

_DIALECT = OpenAIDialect(api_key=KEY)
_USAGE = Usage(
    prompt_tokens=1500,
    completion_tokens=60,
    cache_read_tokens=1024,
    cache_write_tokens=0,
    reasoning_tokens=0,
)


def _body(model: str, **wanted: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of the question
    body = _DIALECT.judge_call(question(model, **wanted)).body
    assert body is not None
    return body


def test_a_question_becomes_a_completion_that_is_not_stored() -> None:
    call = _DIALECT.judge_call(question("gpt-6-luna", max_tokens=900))

    assert call.path == "/chat/completions"
    assert call.headers == {"authorization": f"Bearer {KEY}"}
    assert call.adjustments == ()
    assert call.body == {
        "model": "gpt-6-luna",
        "messages": [
            {"role": "developer", "content": "You are an impartial judge."},
            {"role": "user", "content": "Which essay is better?"},
        ],
        "max_completion_tokens": 900,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": VERDICT_SCHEMA},
        },
        "store": False,
        "service_tier": "auto",
        "prompt_cache_options": {"mode": "explicit"},
    }


@pytest.mark.parametrize(
    ("model", "is_told"),
    [
        ("gpt-6.2-astra", True),
        ("gpt-5.6-luna", True),
        ("gpt-5.5", False),
        ("gpt-5", False),
        ("ft:gpt-4.1-mini:school", False),
        ("gpt-7-new", False),
    ],
)
def test_nothing_is_written_to_the_cache_where_that_costs_more(
    model: str, *, is_told: bool
) -> None:
    """An older model refuses the parameter, and a new one might."""
    assert ("prompt_cache_options" in _body(model)) is is_told


def test_a_repair_shows_the_answer_and_asks_again() -> None:
    messages = _body("gpt-6-luna", repair=REPAIR)["messages"]

    assert [message["role"] for message in messages] == ["developer", "user", "assistant", "user"]
    assert messages[2]["content"] == "Essay A, I think."
    assert "no JSON object" in messages[3]["content"]


@pytest.mark.parametrize(
    ("model", "effort", "sent", "adjustments"),
    [
        ("gpt-6-luna", "none", "none", ()),
        ("gpt-6-sol", "none", "none", ()),
        ("gpt-5.6-luna", "none", "none", ()),
        ("gpt-5.1", "none", "none", ()),
        (
            "gpt-6-astra",
            "none",
            "low",
            ("reasoning_effort none became low: gpt-6-astra always reasons",),
        ),
        (
            "gpt-6.1-sol",
            "none",
            "low",
            ("reasoning_effort none became low: gpt-6.1-sol always reasons",),
        ),
        (
            "gpt-6.2-astra",
            "none",
            "low",
            ("reasoning_effort none became low: gpt-6.2-astra always reasons",),
        ),
        (
            "gpt-5-nano-2025-08-07",
            "none",
            "minimal",
            ("reasoning_effort none became minimal: gpt-5-nano-2025-08-07 always reasons",),
        ),
        ("o3", "none", "low", ("reasoning_effort none became low: o3 always reasons",)),
        (
            "gpt-7-new",
            "none",
            "low",
            ("reasoning_effort none became low: gpt-7-new always reasons",),
        ),
        ("gpt-4.1-mini", "none", None, ()),
        ("gpt-6-luna", "high", "high", ()),
        ("o4-mini", "medium", "medium", ()),
        ("gpt-6-astra", "low", "low", ()),
        ("gpt-4o", "high", None, ("reasoning_effort left out: gpt-4o does not reason",)),
        (
            "ft:gpt-4o-mini:school",
            "low",
            None,
            ("reasoning_effort left out: ft:gpt-4o-mini:school does not reason",),
        ),
    ],
)
def test_effort_is_said_as_the_model_takes_it(
    model: str, effort: str, sent: str | None, adjustments: tuple[str, ...]
) -> None:
    call = _DIALECT.judge_call(question(model, effort=ReasoningEffort(effort)))

    assert call.body is not None
    assert call.body.get("reasoning_effort") == sent
    assert call.adjustments == adjustments


@pytest.mark.parametrize(
    ("model", "effort", "why"),
    [
        ("gpt-4.1", None, None),
        ("gpt-6-luna", ReasoningEffort.NONE, None),
        ("gpt-6-luna", None, "gpt-6-luna takes a temperature with reasoning_effort none alone"),
        (
            "gpt-5.6-sol",
            ReasoningEffort.LOW,
            "gpt-5.6-sol takes a temperature with reasoning_effort none alone",
        ),
        ("gpt-6-astra", None, "gpt-6-astra takes no temperature"),
        ("gpt-5-mini", None, "gpt-5-mini takes no temperature"),
        ("o3", ReasoningEffort.HIGH, "o3 takes no temperature"),
    ],
)
def test_temperature_is_said_where_the_model_does_not_reason(
    model: str, effort: ReasoningEffort | None, why: str | None
) -> None:
    call = _DIALECT.judge_call(question(model, temperature=0.3, effort=effort))

    assert call.body is not None
    assert call.body.get("temperature") == (0.3 if why is None else None)
    assert call.adjustments == (() if why is None else (f"temperature_override left out: {why}",))


def test_both_adjustments_of_one_call_are_told() -> None:
    call = _DIALECT.judge_call(
        question("gpt-6-astra", temperature=0.3, effort=ReasoningEffort.NONE)
    )

    assert [sentence.split()[0] for sentence in call.adjustments] == [
        "reasoning_effort",
        "temperature_override",
    ]


@pytest.mark.parametrize(
    ("model", "sent"),
    [("gpt-6-luna", "low"), ("gpt-5-mini", "low"), ("gpt-4o", None), ("o3", None)],
)
def test_verbosity_is_said_where_there_is_such_a_parameter(model: str, sent: str | None) -> None:
    call = _DIALECT.judge_call(question(model, verbosity=OutputVerbosity.LOW))

    assert call.body is not None
    assert call.body.get("verbosity") == sent
    assert call.adjustments == ()


_REPLIES = {
    "verdict": Reply(stop=Stop.DONE, text=VERDICT, detail="stop"),
    "verdict_after_reasoning": Reply(
        stop=Stop.DONE,
        text=VERDICT,
        detail="stop",
        usage=Usage(
            prompt_tokens=1500,
            completion_tokens=400,
            cache_read_tokens=1024,
            cache_write_tokens=0,
            reasoning_tokens=340,
        ),
    ),
    "verdict_by_tool": Reply(stop=Stop.DONE, text=VERDICT, detail="tool_calls"),
    "refusal": Reply(stop=Stop.REFUSAL, detail="refusal"),
    "filtered": Reply(stop=Stop.FILTERED, detail="content_filter"),
    "truncated": Reply(stop=Stop.LENGTH, text='{"winner": "Essay A", "justif', detail="length"),
    "truncated_in_thought": Reply(
        stop=Stop.LENGTH,
        detail="length",
        usage=Usage(
            prompt_tokens=1500,
            completion_tokens=4096,
            cache_read_tokens=1024,
            cache_write_tokens=0,
            reasoning_tokens=4096,
        ),
    ),
    "empty": Reply(stop=Stop.DONE, detail="stop"),
    "partial": Reply(stop=Stop.DONE, text='{"winner": "Essay A"}', detail="stop"),
    "usage_cached": Reply(
        stop=Stop.DONE,
        text=VERDICT,
        detail="stop",
        usage=Usage(
            prompt_tokens=10_000,
            completion_tokens=1000,
            cache_read_tokens=6000,
            cache_write_tokens=2000,
            reasoning_tokens=700,
        ),
    ),
    "usage_flex": Reply(
        stop=Stop.DONE,
        text=VERDICT,
        detail="stop",
        tier="flex",
        usage=Usage(
            prompt_tokens=10_000,
            completion_tokens=1000,
            cache_read_tokens=6000,
            cache_write_tokens=0,
            reasoning_tokens=700,
        ),
    ),
    "usage_without_details": Reply(
        stop=Stop.DONE,
        text=VERDICT,
        detail="stop",
        usage=Usage(prompt_tokens=1500, completion_tokens=60),
    ),
}


@pytest.mark.parametrize("name", _REPLIES)
def test_an_answer_is_read(name: str) -> None:
    reply, expected = reply_of(_DIALECT, name), _REPLIES[name]

    assert (reply.stop, reply.text, reply.detail) == (
        expected.stop,
        expected.text,
        expected.detail,
    )
    assert reply.model == "gpt-6-luna"
    assert reply.usage == (_USAGE if expected.usage == Usage() else expected.usage)
    assert reply.tier == expected.tier
    assert reply.cost_usd is None
    assert (reply.provider_request_id, reply.response_id) == ("req_a1b2", "chatcmpl-9x")


def test_usage_that_is_missing_is_unknown() -> None:
    assert reply_of(_DIALECT, "usage_missing").usage == Usage()


_ERRORS: dict[str, tuple[type[ProviderError], float | None]] = {
    "error_rate_limited": (RateLimitedError, 0.12),
    "error_slow_down": (RateLimitedError, 20.0),
    "error_request_too_large": (PromptTooLongError, None),
    "error_insufficient_quota": (QuotaExhaustedError, None),
    "error_credit_exhausted": (QuotaExhaustedError, None),
    "error_unknown_code_of_quota": (QuotaExhaustedError, None),
    "error_limit_for_good": (QuotaExhaustedError, None),
    "error_authentication": (AuthenticationFailedError, None),
    "error_permission": (PermissionDeniedError, None),
    "error_model_not_allowed": (ModelMissingError, None),
    "error_unknown_model": (ModelMissingError, None),
    "error_parameter": (RequestRefusedError, None),
    "error_prompt_too_long": (PromptTooLongError, None),
    "error_prompt_too_long_without_code": (PromptTooLongError, None),
    "error_prompt_flagged": (RefusedError, None),
    "error_too_large": (PromptTooLongError, None),
    "error_unprocessable": (RequestRefusedError, None),
    "error_conflict": (ProviderDownError, None),
    "error_request_timeout": (ProviderTimeoutError, None),
    "error_internal": (ProviderDownError, None),
    "error_bad_gateway": (ProviderDownError, None),
    "error_overloaded": (ProviderDownError, 5.0),
    "error_gateway_timeout": (ProviderTimeoutError, None),
}


@pytest.mark.parametrize("name", _ERRORS)
def test_an_error_is_read(name: str) -> None:
    error = error_of(_DIALECT, name)
    kind, retry_after_s = _ERRORS[name]

    assert type(error) is kind
    assert error.retry_after_s == retry_after_s
    request_id = recorded(_DIALECT.name, name).headers.get("x-request-id")
    assert error.facts.provider_request_id == request_id
    assert error.billing == (Billing() if kind is ProviderTimeoutError else None)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "insufficient_quota", QuotaExhaustedError),
        (429, "credit_balance_exhausted", QuotaExhaustedError),
        (429, "billing_not_active", QuotaExhaustedError),
        (400, "billing_hard_limit_reached", QuotaExhaustedError),
        (400, "context_length_exceeded", PromptTooLongError),
        (400, "string_above_max_length", PromptTooLongError),
        (400, "content_policy_violation", RefusedError),
        (400, "content_filter", RefusedError),
        (400, "invalid_prompt", RefusedError),
        (400, "model_not_found", ModelMissingError),
        (400, "something_new", RequestRefusedError),
    ],
)
def test_a_code_says_more_than_its_status(
    status: int, code: str, kind: type[ProviderError]
) -> None:
    body = {"error": {"message": "", "type": "invalid_request_error", "code": code}}

    assert type(_DIALECT.read_error(status, body, {}, NOW)) is kind


def test_the_code_is_named_and_without_one_the_type() -> None:
    assert "insufficient_quota" in error_of(_DIALECT, "error_insufficient_quota").message
    assert "server_error" in error_of(_DIALECT, "error_internal").message


def test_every_recorded_answer_is_expected_here() -> None:
    assert names_of(_DIALECT.name) == {*_REPLIES, *_ERRORS, "usage_missing"}


def test_limits_are_read_with_their_resets_as_durations() -> None:
    headers = recorded(_DIALECT.name, "verdict").headers

    assert _DIALECT.read_limits(headers, NOW) == (
        ReportedLimit(kind=LimitKind.REQUESTS, per_minute=500, remaining=499, reset_s=0.12),
        ReportedLimit(kind=LimitKind.TOKENS, per_minute=200_000, remaining=150_000, reset_s=360.0),
    )
    assert _DIALECT.read_limits({}, NOW) == ()


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": None}, {"choices": ["text"]}])
def test_an_answer_of_another_form_is_not_read(body: dict[str, Any]) -> None:
    with pytest.raises((LookupError, TypeError, ValueError)):
        _DIALECT.read_reply(body, {})


def test_a_probe_lists_the_models() -> None:
    call = _DIALECT.probe_call()

    assert (call.path, call.body) == ("/models", None)
    assert call.headers == {"authorization": f"Bearer {KEY}"}


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(_DIALECT)


def test_models_of_the_sdk_without_a_price_are_listed() -> None:
    prices = PriceBook(ProviderName.OPENAI, clock=ManualClock(NOW))
    current = [name for name in typing.get_args(ChatModel) if name.startswith("gpt-6")]

    assert {name for name in current if not prices.knows(name)} == set(UNPRICED_MODELS)
    assert prices.knows(DEFAULT_MODEL)


def test_what_chat_completions_serves_is_not_called_unusable() -> None:
    assert not set(typing.get_args(ChatModel)) & set(UNUSABLE_MODELS)
