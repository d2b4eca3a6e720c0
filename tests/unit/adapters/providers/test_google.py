from __future__ import annotations

from typing import Any

import pytest

from llm_worker.adapters.providers.dialect import Reply, Stop
from llm_worker.adapters.providers.google import (
    DEFAULT_MODEL,
    UNPRICED_MODELS,
    GoogleDialect,
)
from llm_worker.adapters.providers.prices import PriceBook
from llm_worker.contracts.request import ReasoningEffort
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
)
from llm_worker.domain.judging import VERDICT_SCHEMA
from llm_worker.domain.verdict import Billing, Usage
from tests.support.builders import NOW
from tests.support.fakes import ManualClock
from tests.support.recorded import (
    KEY,
    REPAIR,
    VERDICT,
    error_of,
    names_of,
    question,
    reply_of,
)

_DIALECT = GoogleDialect(api_key=KEY)
_USAGE = Usage(
    prompt_tokens=1500, completion_tokens=100, cache_read_tokens=1024, reasoning_tokens=40
)
_PROMPT_ALONE = Usage(prompt_tokens=1500, completion_tokens=0)
_LARGE = Usage(
    prompt_tokens=10_000, completion_tokens=1000, cache_read_tokens=6000, reasoning_tokens=700
)


def test_a_question_becomes_content_with_a_schema() -> None:
    call = _DIALECT.judge_call(question("gemini-3.8-flash", max_tokens=900))

    assert call.path == "/v1/models/gemini-3.8-flash:generateContent"
    assert call.headers == {"x-goog-api-key": KEY}
    assert call.adjustments == ()
    assert call.body == {
        "systemInstruction": {"parts": [{"text": "You are an impartial judge."}]},
        "contents": [{"role": "user", "parts": [{"text": "Which essay is better?"}]}],
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": VERDICT_SCHEMA,
            "maxOutputTokens": 900,
        },
    }


def test_the_version_of_the_api_is_a_setting() -> None:
    early = GoogleDialect(api_key=KEY, api_version="v1beta")

    assert early.judge_call(question("m")).path == "/v1beta/models/m:generateContent"
    assert early.probe_call().path == "/v1beta/models?pageSize=1"


def test_a_model_cannot_lead_the_path_elsewhere() -> None:
    path = _DIALECT.judge_call(question("../files?x=")).path

    assert path == "/v1/models/..%2Ffiles%3Fx%3D:generateContent"


def test_a_repair_shows_the_answer_as_the_model_s() -> None:
    body = _DIALECT.judge_call(question("gemini-3.8-flash", repair=REPAIR)).body

    assert body is not None
    assert [content["role"] for content in body["contents"]] == ["user", "model", "user"]
    assert body["contents"][1]["parts"] == [{"text": "Essay A, I think."}]


@pytest.mark.parametrize(
    ("model", "effort", "sent", "adjustment"),
    [
        ("gemini-3.8-flash", "low", {"thinkingLevel": "LOW"}, None),
        ("gemini-3.8-flash", "high", {"thinkingLevel": "HIGH"}, None),
        (
            "gemini-3.8-flash",
            "none",
            {"thinkingLevel": "LOW"},
            "reasoning_effort none became low: gemini-3.8-flash always thinks",
        ),
        (
            "gemini-3.6-flash",
            "none",
            {"thinkingLevel": "MINIMAL"},
            "reasoning_effort none became minimal: gemini-3.6-flash always thinks",
        ),
        (
            "gemini-4-argon",
            "none",
            {"thinkingLevel": "LOW"},
            "reasoning_effort none became low: gemini-4-argon always thinks",
        ),
        ("gemini-3.1-pro-preview", "medium", {"thinkingLevel": "MEDIUM"}, None),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}, None),
        ("gemini-2.5-flash-lite", "medium", {"thinkingBudget": 8192}, None),
        (
            "gemini-2.5-pro",
            "none",
            {"thinkingBudget": 128},
            "reasoning_effort none became 128: gemini-2.5-pro always thinks",
        ),
        ("gemma-4-31b-it", "high", {"thinkingLevel": "HIGH"}, None),
        (
            "gemma-4-31b-it",
            "low",
            None,
            "reasoning_effort left out: gemma-4-31b-it takes none or high",
        ),
        ("gemini-2.0-flash", "none", None, None),
        (
            "gemini-2.0-flash",
            "low",
            None,
            "reasoning_effort left out: gemini-2.0-flash takes no effort",
        ),
    ],
)
def test_effort_is_said_as_the_model_takes_it(
    model: str, effort: str, sent: dict[str, Any] | None, adjustment: str | None
) -> None:
    call = _DIALECT.judge_call(question(model, effort=ReasoningEffort(effort)))

    assert call.body is not None
    assert call.body["generationConfig"].get("thinkingConfig") == sent
    assert call.adjustments == (() if adjustment is None else (adjustment,))


@pytest.mark.parametrize(
    ("model", "level"),
    [
        ("gemini-3-flash-preview", "MINIMAL"),
        ("gemini-3.1-flash-lite", "MINIMAL"),
        ("gemini-3.5-flash", "MINIMAL"),
        ("gemini-3.5-flash-lite", "MINIMAL"),
        ("gemini-flash-lite-latest", "MINIMAL"),
        ("gemini-3.1-pro-preview", "LOW"),
        ("gemini-pro-latest", "LOW"),
        ("gemini-3.7-flash", "LOW"),
        ("gemini-flash-latest", "LOW"),
        ("gemini-5-new", "LOW"),
    ],
)
def test_the_least_thinking_is_what_the_model_has(model: str, level: str) -> None:
    body = _DIALECT.judge_call(question(model, effort=ReasoningEffort.NONE)).body

    assert body is not None
    assert body["generationConfig"]["thinkingConfig"] == {"thinkingLevel": level}


@pytest.mark.parametrize(
    ("model", "is_taken"),
    [
        ("gemma-3-27b-it", True),
        ("gemma-4-31b-it", True),
        ("gemini-2.0-flash", True),
        ("gemini-2.5-flash", True),
        ("gemini-2.5-pro", True),
        ("gemini-3-flash-preview", True),
        ("gemini-3.1-flash-lite", True),
        ("gemini-pro-latest", True),
        ("gemini-3.1-pro-preview", True),
        ("gemini-3.5-flash", True),
        ("gemini-3.5-flash-lite", False),
        ("gemini-flash-lite-latest", False),
        ("gemini-flash-latest", False),
        ("gemini-3.6-flash", False),
        ("gemini-3.8-flash", False),
        ("gemini-4-argon", False),
    ],
)
def test_temperature_is_said_to_models_that_take_one(model: str, *, is_taken: bool) -> None:
    call = _DIALECT.judge_call(question(model, temperature=0.0))

    assert call.body is not None
    assert call.body["generationConfig"].get("temperature") == (0.0 if is_taken else None)
    left_out = f"temperature_override left out: {model} takes no temperature"
    assert call.adjustments == (() if is_taken else (left_out,))


_REPLIES = {
    "verdict": Reply(stop=Stop.DONE, text=VERDICT, detail="STOP"),
    "verdict_after_thought": Reply(stop=Stop.DONE, text=VERDICT, detail="STOP"),
    "truncated": Reply(stop=Stop.LENGTH, text='{"winner": "Essay A"', detail="MAX_TOKENS"),
    "truncated_in_thought": Reply(
        stop=Stop.LENGTH,
        detail="MAX_TOKENS",
        usage=Usage(prompt_tokens=1500, completion_tokens=4096, reasoning_tokens=4096),
    ),
    "continuation": Reply(stop=Stop.UNFINISHED, text='{"winner":', detail="CONTINUATION"),
    "filtered_safety": Reply(stop=Stop.FILTERED, detail="SAFETY", usage=_PROMPT_ALONE),
    "filtered_recitation": Reply(stop=Stop.FILTERED, detail="RECITATION", usage=_PROMPT_ALONE),
    "filtered_prohibited_content": Reply(
        stop=Stop.FILTERED, detail="PROHIBITED_CONTENT", usage=_PROMPT_ALONE
    ),
    "filtered_spii": Reply(stop=Stop.FILTERED, detail="SPII", usage=_PROMPT_ALONE),
    "prompt_blocked": Reply(stop=Stop.FILTERED, detail="PROHIBITED_CONTENT", usage=_PROMPT_ALONE),
    "failed": Reply(stop=Stop.FAILED, detail="OTHER"),
    "malformed": Reply(stop=Stop.FAILED, detail="MALFORMED_RESPONSE"),
    "new_reason": Reply(stop=Stop.DONE, text=VERDICT, detail="SOMETHING_NEW"),
    "empty": Reply(stop=Stop.DONE, detail="STOP", usage=_PROMPT_ALONE),
    "partial": Reply(stop=Stop.DONE, text='{"winner": "Essay A"}', detail="STOP"),
    "usage_cached": Reply(stop=Stop.DONE, text=VERDICT, detail="STOP", usage=_LARGE),
    "usage_cached_argon": Reply(
        stop=Stop.DONE, text=VERDICT, detail="STOP", model="gemini-4-argon", usage=_LARGE
    ),
    "usage_without_thoughts": Reply(
        stop=Stop.DONE,
        text=VERDICT,
        detail="STOP",
        usage=Usage(prompt_tokens=1500, completion_tokens=60),
    ),
    "usage_untold": Reply(
        stop=Stop.DONE, text=VERDICT, detail="STOP", usage=Usage(prompt_tokens=1500)
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
    assert reply.model == (expected.model or "gemini-3.8-flash")
    assert reply.usage == (_USAGE if expected.usage == Usage() else expected.usage)
    assert reply.tier is None
    assert reply.provider_request_id == reply.response_id == "resp-abc"


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("STOP", Stop.DONE),
        ("MAX_TOKENS", Stop.LENGTH),
        ("CONTINUATION", Stop.UNFINISHED),
        ("SAFETY", Stop.FILTERED),
        ("RECITATION", Stop.FILTERED),
        ("LANGUAGE", Stop.FILTERED),
        ("BLOCKLIST", Stop.FILTERED),
        ("PROHIBITED_CONTENT", Stop.FILTERED),
        ("SPII", Stop.FILTERED),
        ("ESCALATION", Stop.FILTERED),
        ("MODEL_ARMOR", Stop.FILTERED),
        ("PUP_LIMITED_DISABLED", Stop.FILTERED),
        ("OTHER", Stop.FAILED),
        ("MALFORMED_RESPONSE", Stop.FAILED),
        ("MALFORMED_FUNCTION_CALL", Stop.FAILED),
        ("UNEXPECTED_TOOL_CALL", Stop.FAILED),
        ("TOO_MANY_TOOL_CALLS", Stop.FAILED),
        ("MISSING_THOUGHT_SIGNATURE", Stop.FAILED),
    ],
)
def test_every_reason_to_stop_has_its_meaning(reason: str, stop: Stop) -> None:
    assert _DIALECT.read_reply({"candidates": [{"finishReason": reason}]}, {}).stop is stop


_ERRORS: dict[str, tuple[type[ProviderError], float | None]] = {
    "error_rate_limited": (RateLimitedError, 47.434392449),
    "error_rate_limited_in_words": (RateLimitedError, 62.5),
    "error_rate_limited_untold": (RateLimitedError, None),
    "error_daily_quota": (QuotaExhaustedError, 27316.0),
    "error_no_credit": (QuotaExhaustedError, None),
    "error_spending_cap": (QuotaExhaustedError, None),
    "error_bad_key": (AuthenticationFailedError, None),
    "error_bad_key_in_words": (AuthenticationFailedError, None),
    "error_region": (PermissionDeniedError, None),
    "error_parameter": (RequestRefusedError, None),
    "error_prompt_too_long": (PromptTooLongError, None),
    "error_unauthenticated": (AuthenticationFailedError, None),
    "error_permission": (PermissionDeniedError, None),
    "error_unknown_model": (ModelMissingError, None),
    "error_cancelled": (RequestRefusedError, None),
    "error_internal": (ProviderDownError, None),
    "error_unavailable": (ProviderDownError, None),
    "error_deadline": (ProviderTimeoutError, None),
    "error_behind_proxy": (ProviderDownError, 4.0),
}


@pytest.mark.parametrize("name", _ERRORS)
def test_an_error_is_read(name: str) -> None:
    error = error_of(_DIALECT, name)
    kind, retry_after_s = _ERRORS[name]

    assert type(error) is kind
    assert error.retry_after_s == retry_after_s
    assert error.billing == (Billing() if kind is ProviderTimeoutError else None)


def test_the_reason_is_named_and_without_one_the_status() -> None:
    assert "API_KEY_INVALID" in error_of(_DIALECT, "error_bad_key").message
    assert "INVALID_ARGUMENT" in error_of(_DIALECT, "error_parameter").message


def test_every_recorded_answer_is_expected_here() -> None:
    assert names_of(_DIALECT.name) == {*_REPLIES, *_ERRORS}


@pytest.mark.parametrize("body", [{}, {"candidates": []}, {"candidates": "text"}])
def test_an_answer_of_another_form_is_not_read(body: dict[str, Any]) -> None:
    with pytest.raises((LookupError, TypeError, ValueError)):
        _DIALECT.read_reply(body, {})


def test_nothing_is_told_of_limits() -> None:
    assert _DIALECT.read_limits({"x-ratelimit-limit-requests": "5"}, NOW) == ()


def test_a_probe_lists_one_model() -> None:
    call = _DIALECT.probe_call()

    assert (call.path, call.body) == ("/v1/models?pageSize=1", None)
    assert call.headers == {"x-goog-api-key": KEY}


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(_DIALECT)


def test_models_without_a_price_are_listed_and_the_default_has_one() -> None:
    prices = PriceBook(ProviderName.GOOGLE, clock=ManualClock(NOW))

    assert not [name for name in UNPRICED_MODELS if prices.knows(name)]
    assert prices.knows(DEFAULT_MODEL)
