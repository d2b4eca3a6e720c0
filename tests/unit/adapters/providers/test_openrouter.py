from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from llm_worker.adapters.providers.dialect import Reply, Stop
from llm_worker.adapters.providers.openrouter import DEFAULT_MODEL, OpenRouterDialect
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
from llm_worker.domain.verdict import Billing, Usage
from tests.support.builders import NOW
from tests.support.fakes import ManualClock
from tests.support.recorded import (
    KEY,
    REPAIR,
    VERDICT,
    answer_of,
    error_of,
    names_of,
    question,
    reply_of,
)

_DIALECT = OpenRouterDialect(api_key=KEY)
_MODEL = "anthropic/claude-haiku-5.5"
_USAGE = Usage(
    prompt_tokens=1500,
    completion_tokens=60,
    cache_read_tokens=0,
    cache_write_tokens=0,
    reasoning_tokens=20,
)
_COST = Decimal("0.0041")


def test_a_question_goes_to_those_who_take_every_parameter() -> None:
    call = _DIALECT.judge_call(question(_MODEL, max_tokens=900))

    assert call.path == "/chat/completions"
    assert call.headers == {"authorization": f"Bearer {KEY}"}
    assert call.adjustments == ()
    assert call.body == {
        "model": _MODEL,
        "messages": [
            {"role": "system", "content": "You are an impartial judge."},
            {"role": "user", "content": "Which essay is better?"},
        ],
        "max_tokens": 900,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": VERDICT_SCHEMA},
        },
        "provider": {"require_parameters": True},
    }


def test_the_caller_is_named_where_that_is_wanted() -> None:
    named = OpenRouterDialect(api_key=KEY, http_referer="https://school.example", title="Essays")

    headers = named.judge_call(question(_MODEL)).headers

    assert headers["http-referer"] == "https://school.example"
    assert headers["x-openrouter-title"] == "Essays"


def test_a_repair_shows_the_answer_and_asks_again() -> None:
    body = _DIALECT.judge_call(question(_MODEL, repair=REPAIR)).body

    assert body is not None
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    ("model", "effort", "sent", "adjustment"),
    [
        (_MODEL, "low", "low", None),
        (_MODEL, "none", "none", None),
        ("openai/gpt-6-luna", "none", "none", None),
        ("mistralai/mistral-large-3", "high", "high", None),
        (
            "anthropic/claude-opus-5.5",
            "none",
            "low",
            "reasoning_effort none became low: anthropic/claude-opus-5.5 always reasons",
        ),
        (
            "openai/gpt-5-mini",
            "none",
            "low",
            "reasoning_effort none became low: openai/gpt-5-mini always reasons",
        ),
        ("openai/gpt-5.6-luna", "none", "none", None),
        (
            "google/gemini-3.8-flash",
            "none",
            "low",
            "reasoning_effort none became low: google/gemini-3.8-flash always reasons",
        ),
        ("google/gemini-2.5-flash", "none", "none", None),
        (
            "openai/gpt-4o",
            "high",
            None,
            "reasoning_effort left out: openai/gpt-4o does not reason",
        ),
        ("openai/gpt-4o", "none", None, None),
        ("anthropic/claude-3.7-sonnet", "low", "low", None),
    ],
)
def test_effort_is_said_as_the_model_takes_it(
    model: str, effort: str, sent: str | None, adjustment: str | None
) -> None:
    call = _DIALECT.judge_call(question(model, effort=ReasoningEffort(effort)))

    assert call.body is not None
    assert call.body.get("reasoning") == (None if sent is None else {"effort": sent})
    assert call.adjustments == (() if adjustment is None else (adjustment,))


@pytest.mark.parametrize(
    ("model", "is_taken"),
    [
        ("mistralai/mistral-large-3", True),
        ("openai/gpt-4.1", True),
        ("anthropic/claude-sonnet-4.6", True),
        ("google/gemini-2.5-flash", True),
        ("anthropic/claude-opus-4.7", False),
        (_MODEL, False),
        ("~anthropic/claude-fable-latest", False),
        ("openai/gpt-6-luna", False),
        ("openai/o3", False),
        ("google/gemini-3.8-flash", False),
    ],
)
def test_temperature_is_said_unless_the_model_is_known_to_refuse_it(
    model: str, *, is_taken: bool
) -> None:
    call = _DIALECT.judge_call(question(model, temperature=0.3))

    assert call.body is not None
    assert call.body.get("temperature") == (0.3 if is_taken else None)
    left_out = f"temperature_override left out: {model} takes no temperature"
    assert call.adjustments == (() if is_taken else (left_out,))


def test_verbosity_is_said_in_the_prompt_alone() -> None:
    terse = _DIALECT.judge_call(question(_MODEL, verbosity=OutputVerbosity.LOW))

    assert terse.body == _DIALECT.judge_call(question(_MODEL)).body


_REPLIES = {
    "verdict": Reply(stop=Stop.DONE, text=VERDICT, detail="stop"),
    "verdict_after_reasoning": Reply(stop=Stop.DONE, text=VERDICT, detail="stop"),
    "refusal": Reply(stop=Stop.REFUSAL, detail="refusal"),
    "filtered": Reply(stop=Stop.FILTERED, detail="content_filter"),
    "truncated": Reply(stop=Stop.LENGTH, text='{"winner":', detail="length"),
    "empty": Reply(stop=Stop.DONE, detail="stop"),
    "partial": Reply(stop=Stop.DONE, text='{"winner": "Essay A"}', detail="stop"),
    "stopped_for_no_reason": Reply(stop=Stop.DONE, text=VERDICT),
    "usage_flex": Reply(stop=Stop.DONE, text=VERDICT, detail="stop", tier="flex"),
}


@pytest.mark.parametrize("name", _REPLIES)
def test_an_answer_is_read_with_what_it_cost(name: str) -> None:
    reply, expected = reply_of(_DIALECT, name), _REPLIES[name]

    assert (reply.stop, reply.text, reply.detail) == (
        expected.stop,
        expected.text,
        expected.detail,
    )
    assert reply.model == _MODEL
    assert reply.usage == _USAGE
    assert reply.tier == expected.tier
    assert reply.cost_usd == _COST
    assert reply.provider_request_id == reply.response_id == "gen-1795-x"


_COSTS = {
    "usage_tiny": Decimal("0.0000125"),
    # OpenRouter's fee, and what the owner of the key pays the provider.
    "usage_own_key": Decimal("0.0043"),
    "usage_own_key_untold": None,
    "usage_cached": None,
    "usage_cache_read": None,
}


@pytest.mark.parametrize("name", _COSTS)
def test_the_cost_is_what_was_charged_or_unknown(name: str) -> None:
    reply = reply_of(_DIALECT, name)
    assert reply.cost_usd == _COSTS[name]
    assert reply.is_cost_unknown == (_COSTS[name] is None)


def test_a_model_for_nothing_costs_nothing() -> None:
    reply = _DIALECT.read_reply({"choices": [{"message": {}}], "usage": {"cost": 0}}, {})

    assert isinstance(reply, Reply)
    assert reply.cost_usd == 0


@pytest.mark.parametrize("cost", [None, "0.1", True, -1, float("nan"), float("inf")])
def test_a_charge_that_is_no_amount_is_unknown(cost: object) -> None:
    body = {"choices": [{"message": {}}], "usage": {"cost": cost}}

    reply = _DIALECT.read_reply(body, {})

    assert isinstance(reply, Reply)
    assert reply.cost_usd is None
    assert reply.is_cost_unknown


_FAILURES_IN_200: dict[str, tuple[type[ProviderError], Billing]] = {
    "error_in_200": (ProviderDownError, Billing()),
    "error_in_200_with_usage": (ProviderTimeoutError, Billing(usage=_USAGE, cost_usd=_COST)),
    "error_in_200_too_long": (PromptTooLongError, Billing()),
    "failed_midway": (RateLimitedError, Billing(usage=_USAGE, cost_usd=_COST)),
    "failed_without_words": (ProviderDownError, Billing(usage=_USAGE, cost_usd=_COST)),
}


@pytest.mark.parametrize("name", _FAILURES_IN_200)
def test_a_failure_with_status_200_is_a_failure_that_may_be_billed(name: str) -> None:
    kind, billing = _FAILURES_IN_200[name]

    error = answer_of(_DIALECT, name)

    assert isinstance(error, ProviderError)
    assert type(error) is kind
    assert error.billing == billing
    assert error.facts.provider_request_id == (None if name == "error_in_200" else "gen-1795-x")


_ERRORS: dict[str, tuple[type[ProviderError], float | None]] = {
    "error_rate_limited": (RateLimitedError, 7.0),
    "error_no_credit": (QuotaExhaustedError, None),
    "error_in_flight_budget": (RateLimitedError, 3.0),
    "error_authentication": (AuthenticationFailedError, None),
    "error_permission": (PermissionDeniedError, None),
    "error_key_limit": (QuotaExhaustedError, None),
    "error_moderation": (RefusedError, None),
    "error_unknown_model": (ModelMissingError, None),
    "error_parameter": (RequestRefusedError, None),
    "error_bad_request": (RequestRefusedError, None),
    "error_prompt_too_long": (PromptTooLongError, None),
    "error_prompt_too_long_upstream": (PromptTooLongError, None),
    "error_policy": (RefusedError, None),
    "error_request_timeout": (ProviderTimeoutError, None),
    "error_too_large": (PromptTooLongError, None),
    "error_internal": (ProviderDownError, None),
    "error_bad_upstream": (ProviderDownError, None),
    "error_no_provider": (ProviderDownError, 9.0),
    "error_edge_timeout": (ProviderTimeoutError, None),
    "error_provider_overloaded": (ProviderDownError, None),
}


@pytest.mark.parametrize("name", _ERRORS)
def test_an_error_is_read(name: str) -> None:
    error = error_of(_DIALECT, name)
    kind, retry_after_s = _ERRORS[name]

    assert type(error) is kind
    assert error.retry_after_s == retry_after_s
    assert error.billing == (Billing() if kind is ProviderTimeoutError else None)


@pytest.mark.parametrize(
    ("error_type", "kind"),
    [
        ("context_length_exceeded", PromptTooLongError),
        ("token_limit_exceeded", PromptTooLongError),
        ("string_too_long", PromptTooLongError),
        ("content_policy_violation", RefusedError),
        ("invalid_prompt", RefusedError),
        ("refusal", RefusedError),
        ("unmapped", RequestRefusedError),
    ],
)
def test_the_canonical_type_says_more_than_the_status(
    error_type: str, kind: type[ProviderError]
) -> None:
    body = {"error": {"code": 400, "message": "", "metadata": {"error_type": error_type}}}

    assert type(_DIALECT.read_error(400, body, {}, NOW)) is kind


def test_flagged_text_is_not_repeated() -> None:
    assert "war" not in error_of(_DIALECT, "error_moderation").message


def test_every_recorded_answer_is_expected_here() -> None:
    assert names_of(_DIALECT.name) == {*_REPLIES, *_COSTS, *_FAILURES_IN_200, *_ERRORS}


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": ["text"]}])
def test_an_answer_of_another_form_is_not_read(body: dict[str, Any]) -> None:
    with pytest.raises((LookupError, TypeError, ValueError)):
        _DIALECT.read_reply(body, {})


def test_nothing_is_told_of_limits() -> None:
    assert _DIALECT.read_limits({"x-ratelimit-limit-requests": "5"}, NOW) == ()


def test_a_probe_asks_about_the_key() -> None:
    call = _DIALECT.probe_call()

    assert (call.path, call.body) == ("/key", None)
    assert call.headers == {"authorization": f"Bearer {KEY}"}


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(_DIALECT)


def test_the_default_model_has_a_price() -> None:
    assert PriceBook(ProviderName.OPENROUTER, clock=ManualClock(NOW)).knows(DEFAULT_MODEL)
