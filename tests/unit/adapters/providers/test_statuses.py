from __future__ import annotations

from datetime import timedelta

import pytest

from llm_worker.adapters.providers.chat_completions import usage_of
from llm_worker.adapters.providers.fields import code_at, count_at
from llm_worker.adapters.providers.statuses import ErrorAnswer, kind_of_status, tells_of_length
from llm_worker.adapters.providers.waits import advised_s, duration_s, retry_after_s, until_s
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
    StrangeAnswerError,
)
from llm_worker.domain.verdict import Billing, Usage
from tests.support.builders import NOW


def _answer(status: int, **told: object) -> ErrorAnswer:
    return ErrorAnswer(provider=ProviderName.OPENAI, status=status, **told)  # type: ignore[arg-type] # by name


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, StrangeAnswerError),
        (302, StrangeAnswerError),
        (400, RequestRefusedError),
        (401, AuthenticationFailedError),
        (402, QuotaExhaustedError),
        (403, PermissionDeniedError),
        (404, ModelMissingError),
        (408, ProviderTimeoutError),
        (409, ProviderDownError),
        (413, PromptTooLongError),
        (418, RequestRefusedError),
        (422, RequestRefusedError),
        (429, RateLimitedError),
        (499, RequestRefusedError),
        (500, ProviderDownError),
        (502, ProviderDownError),
        (503, ProviderDownError),
        (504, ProviderTimeoutError),
        (524, ProviderTimeoutError),
        (529, ProviderDownError),
    ],
)
def test_every_status_is_a_failure_that_we_know(status: int, kind: type[ProviderError]) -> None:
    assert kind_of_status(status) is kind
    assert type(_answer(status).as_error()) is kind


@pytest.mark.parametrize("status", [408, 504, 524])
def test_a_call_that_timed_out_behind_the_door_may_be_billed(status: int) -> None:
    assert _answer(status).as_error().billing == Billing()


@pytest.mark.parametrize("status", [400, 429, 500, 502, 503, 529])
def test_a_call_that_was_turned_away_is_not_billed(status: int) -> None:
    assert _answer(status).as_error().billing is None


def test_what_a_call_that_had_begun_used_is_kept() -> None:
    used = Billing(usage=Usage(prompt_tokens=5))

    assert _answer(524).as_error(billing=used).billing == used


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, QuotaExhaustedError),
        (500, RequestRefusedError),
        (503, RequestRefusedError),
        (401, AuthenticationFailedError),
    ],
)
def test_what_would_fail_again_is_not_retried(status: int, kind: type[ProviderError]) -> None:
    error = _answer(status, may_retry=False).as_error()

    assert type(error) is kind
    assert not error.is_retryable


def test_an_error_names_provider_remedy_status_and_code() -> None:
    error = _answer(401, code="invalid_api_key", request_id="req_1", retry_after_s=2.0).as_error()

    assert error.message == (
        "openai does not know the key: check LLM_WORKER_PROVIDERS__OPENAI__API_KEY "
        "(status 401, invalid_api_key)"
    )
    assert error.facts.provider_request_id == "req_1"
    assert error.retry_after_s == 2.0


@pytest.mark.parametrize("status", [204, 400, 401, 402, 403, 404, 408, 413, 429, 500])
def test_every_failure_has_words_of_its_own(status: int) -> None:
    message = _answer(status).as_error().message

    assert message.startswith("openai ")
    assert message.endswith(f"(status {status})")
    assert "{" not in message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "120", "retry-after": "1"}, 0.12),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT"}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 -0000"}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 09:59:30 GMT"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after-ms": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1795423832"}, None),
        ({"retry-after": "in a while"}, None),
        ({"retry-after": "Mon, 01 Jan 99999999999 00:00:00 GMT"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("12ms", 0.012),
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("1h2m3s", 3723.0),
        ("39.9s", 39.9),
        ("47.434392449s", 47.434392449),
        ("0s", 0.0),
        ("20µs", 0.00002),
        ("99999h", None),
        ("-5s", None),
        ("5", None),
        ("5 s", None),
        ("", None),
        (None, None),
    ],
)
def test_durations_are_read_as_go_and_protobuf_write_them(
    told: str | None, seconds: float | None
) -> None:
    assert duration_s(told) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("You exceeded your quota. Please retry in 47.4s.", 47.4),
        ("Please retry in 7h35m16.2s.", 27316.2),
        ("Please try later.", None),
        (None, None),
    ],
)
def test_a_wait_is_found_in_words(message: str | None, seconds: float | None) -> None:
    assert advised_s(message) == (None if seconds is None else pytest.approx(seconds))


def test_the_seconds_to_a_moment_are_never_negative() -> None:
    assert until_s("2026-11-23T10:00:07.500Z", NOW) == 7.5
    assert until_s("2026-11-23T10:00:07", NOW) == 7.0
    assert until_s("2026-11-23T09:00:00Z", NOW + timedelta(seconds=1)) == 0.0
    assert until_s("soon", NOW) is None
    assert until_s(None, NOW) is None


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 1050000 tokens > 1000000 maximum",
        "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000",
        "This model's maximum context length is 4096 tokens. However, you requested 122946 tokens",
        "Your input exceeds the context window of this model.",
        "the request exceeds the available context size. try increasing the context size",
        "The input token count (1500000) exceeds the maximum number of tokens allowed (1048576).",
        "Request too large for gpt-6-luna in organization org-1 on tokens per min (TPM)",
        "the input length exceeds the context length",
    ],
)
def test_messages_that_tell_of_length_are_known(message: str) -> None:
    assert tells_of_length(message)


@pytest.mark.parametrize(
    "message",
    [
        None,
        "",
        "temperature: Extra inputs are not permitted",
        "max_tokens: 200000 > 128000, which is the maximum allowed number of output tokens",
        "Rate limit reached for gpt-6-luna on tokens per min (TPM): Limit 30000, Used 29000",
    ],
)
def test_messages_about_something_else_do_not_tell_of_length(message: str | None) -> None:
    assert not tells_of_length(message)


def test_only_what_looks_like_a_code_is_taken_for_one() -> None:
    assert code_at({"code": "rate_limit_exceeded"}, "code") == "rate_limit_exceeded"
    assert code_at({"code": "Essay A says: dogs"}, "code") is None
    assert code_at({"code": "x" * 65}, "code") is None
    assert code_at({"code": 400}, "code") is None


def test_a_count_is_a_whole_number_or_unknown() -> None:
    counts = {"good": 3, "zero": 0, "null": None}
    known = [count_at(counts, name) for name in ("good", "zero", "null", "missing")]
    assert known == [3, 0, None, None]


@pytest.mark.parametrize("told", ["3", True, -1, 0.5, 10**9, [], {}])
def test_usage_with_a_number_that_is_none_is_unknown_as_a_whole(told: object) -> None:
    """With the number left out, the sum of the others would pass for what the call cost."""
    usage = {"prompt_tokens": 9, "completion_tokens": 9}
    assert usage_of(usage).total() == 18
    for wrong in (
        {"completion_tokens": told},
        {"prompt_tokens_details": {"cached_tokens": told}},
        {"completion_tokens_details": {"reasoning_tokens": told}},
    ):
        assert usage_of(usage | wrong) == Usage()


@pytest.mark.parametrize("details", ["3", True, 7, [1]])
def test_usage_whose_details_are_no_object_is_unknown_as_a_whole(details: object) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "prompt_tokens_details": details}
    assert usage_of(usage) == Usage()
