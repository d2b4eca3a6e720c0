"""What the official SDKs make of the fake providers' failures: which error, when to come back."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

import anthropic
import openai
import pytest
from google.genai import errors as google_errors
from openrouter import errors as openrouter_errors

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.dev.fake_providers import (
    AuthFailed,
    BadRequest,
    ContextTooLong,
    ErrorIn200,
    FakeProviderServer,
    Limits,
    MalformedJson,
    Overloaded,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    ServerError,
    Timeout504,
)
from tests.support.official_sdks import (
    ANTHROPIC,
    GOOGLE,
    OPENAI,
    OPENROUTER,
    SELF_HOSTED,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llm_worker.dev.fake_providers.provider import Behaviour
    from tests.support.official_sdks import Sdk

_STATUS_ERRORS = (
    anthropic.APIStatusError,
    openai.APIStatusError,
    google_errors.APIError,
    openrouter_errors.OpenRouterError,
)


@pytest.fixture
async def fake() -> AsyncIterator[FakeProviderServer]:
    async with FakeProviderServer() as server:
        yield server


_FAILURES: list[tuple[Sdk, Behaviour, type[Exception], int]] = [
    (ANTHROPIC, RateLimited(), anthropic.RateLimitError, 429),
    (ANTHROPIC, QuotaExhausted(), anthropic.RateLimitError, 429),
    (ANTHROPIC, Overloaded(), anthropic.InternalServerError, 529),
    (ANTHROPIC, ServerError(), anthropic.InternalServerError, 500),
    (ANTHROPIC, Timeout504(), anthropic.InternalServerError, 504),
    (ANTHROPIC, BadRequest(), anthropic.BadRequestError, 400),
    (ANTHROPIC, ContextTooLong(), anthropic.BadRequestError, 400),
    (ANTHROPIC, AuthFailed(), anthropic.AuthenticationError, 401),
    (ANTHROPIC, PermissionDenied(), anthropic.PermissionDeniedError, 403),
    (OPENAI, RateLimited(), openai.RateLimitError, 429),
    (OPENAI, QuotaExhausted(), openai.RateLimitError, 429),
    (OPENAI, Overloaded(), openai.InternalServerError, 503),
    (OPENAI, ServerError(), openai.InternalServerError, 500),
    (OPENAI, Timeout504(), openai.InternalServerError, 504),
    (OPENAI, BadRequest(), openai.BadRequestError, 400),
    (OPENAI, ContextTooLong(), openai.BadRequestError, 400),
    (OPENAI, AuthFailed(), openai.AuthenticationError, 401),
    (OPENAI, PermissionDenied(), openai.PermissionDeniedError, 403),
    (GOOGLE, RateLimited(), google_errors.ClientError, 429),
    (GOOGLE, QuotaExhausted(), google_errors.ClientError, 429),
    (GOOGLE, Overloaded(), google_errors.ServerError, 503),
    (GOOGLE, ServerError(), google_errors.ServerError, 500),
    (GOOGLE, Timeout504(), google_errors.ServerError, 504),
    (GOOGLE, BadRequest(), google_errors.ClientError, 400),
    (GOOGLE, ContextTooLong(), google_errors.ClientError, 400),
    (GOOGLE, AuthFailed(), google_errors.ClientError, 400),
    (GOOGLE, PermissionDenied(), google_errors.ClientError, 403),
    (OPENROUTER, RateLimited(), openrouter_errors.TooManyRequestsResponseError, 429),
    (OPENROUTER, QuotaExhausted(), openrouter_errors.PaymentRequiredResponseError, 402),
    (OPENROUTER, Overloaded(), openrouter_errors.ProviderOverloadedResponseError, 529),
    (OPENROUTER, ServerError(), openrouter_errors.InternalServerResponseError, 500),
    (OPENROUTER, Timeout504(), openrouter_errors.EdgeNetworkTimeoutResponseError, 524),
    (OPENROUTER, BadRequest(), openrouter_errors.BadRequestResponseError, 400),
    (OPENROUTER, ContextTooLong(), openrouter_errors.BadRequestResponseError, 400),
    (OPENROUTER, AuthFailed(), openrouter_errors.UnauthorizedResponseError, 401),
    (OPENROUTER, PermissionDenied(), openrouter_errors.ForbiddenResponseError, 403),
    # Its SDK has no class for an error under status 200: no answer of the known form.
    (OPENROUTER, ErrorIn200(), openrouter_errors.ResponseValidationError, 200),
    (SELF_HOSTED, RateLimited(), openai.RateLimitError, 429),
    (SELF_HOSTED, Overloaded(), openai.InternalServerError, 503),
    (SELF_HOSTED, ServerError(), openai.InternalServerError, 500),
    (SELF_HOSTED, ContextTooLong(), openai.BadRequestError, 400),
    (SELF_HOSTED, AuthFailed(), openai.AuthenticationError, 401),
]


@pytest.mark.parametrize(
    ("sdk", "behaviour", "expected", "status"),
    _FAILURES,
    ids=lambda value: getattr(value, "name", getattr(value, "kind", "")),
)
async def test_sdk_raises_its_own_error_for_a_failure(
    sdk: Sdk,
    behaviour: Behaviour,
    expected: type[Exception],
    status: int,
    fake: FakeProviderServer,
) -> None:
    fake.provider(sdk.name).next(behaviour)

    async with sdk.asking(fake) as ask:
        with pytest.raises(expected) as raised:
            await ask()

    assert _status(raised.value) == status
    assert fake.provider(sdk.name).statuses == {status: 1}


def test_no_failure_is_left_out() -> None:
    failures = {type(behaviour) for _, behaviour, _, _ in _FAILURES}

    assert failures == {
        RateLimited,
        QuotaExhausted,
        Overloaded,
        ServerError,
        Timeout504,
        BadRequest,
        ContextTooLong,
        AuthFailed,
        PermissionDenied,
        ErrorIn200,
    }


async def test_anthropics_sdk_reads_type_cause_and_request_id_of_an_error(
    fake: FakeProviderServer,
) -> None:
    fake.provider(ProviderName.ANTHROPIC).next(Overloaded(), QuotaExhausted())

    async with ANTHROPIC.asking(fake) as ask:
        with pytest.raises(anthropic.APIStatusError) as overloaded:
            await ask()
        with pytest.raises(anthropic.APIStatusError) as exhausted:
            await ask()

    assert overloaded.value.type == "overloaded_error"
    assert overloaded.value.request_id == _body(overloaded.value)["request_id"]
    assert exhausted.value.error_code == "enforced_spend_limit_reached"
    assert "retry-after" not in exhausted.value.response.headers


async def test_openais_sdk_reads_type_code_and_request_id_of_an_error(
    fake: FakeProviderServer,
) -> None:
    fake.provider(ProviderName.OPENAI).next(QuotaExhausted(), ContextTooLong())

    async with OPENAI.asking(fake) as ask:
        with pytest.raises(openai.APIStatusError) as exhausted:
            await ask()
        with pytest.raises(openai.APIStatusError) as too_long:
            await ask()

    assert exhausted.value.type == "insufficient_quota"
    assert exhausted.value.code == "credit_balance_exhausted"
    assert exhausted.value.request_id
    assert (too_long.value.code, too_long.value.param) == ("context_length_exceeded", "messages")


async def test_googles_sdk_reads_delay_and_quota_in_the_body(fake: FakeProviderServer) -> None:
    fake.provider(ProviderName.GOOGLE).next(
        RateLimited(retry_after_s=20.5), RateLimited(retry_after_s=None), QuotaExhausted()
    )

    details = []
    async with GOOGLE.asking(fake) as ask:
        for _ in range(3):
            with pytest.raises(google_errors.ClientError) as raised:
                await ask()
            assert raised.value.status == "RESOURCE_EXHAUSTED"
            assert raised.value.response is not None
            assert "retry-after" not in raised.value.response.headers
            error = raised.value.details["error"]
            details.append({each["@type"].rpartition(".")[2]: each for each in error["details"]})

    limited, silent, exhausted = details
    assert limited["RetryInfo"]["retryDelay"] == "20.5s"
    assert "PerMinute" in limited["QuotaFailure"]["violations"][0]["quotaId"]
    assert "RetryInfo" not in silent
    assert "PerDay" in exhausted["QuotaFailure"]["violations"][0]["quotaId"]


@pytest.mark.parametrize("form", ["message", "date"])
async def test_google_can_be_told_to_say_the_delay_elsewhere(
    form: Literal["message", "date"], fake: FakeProviderServer
) -> None:
    fake.provider(ProviderName.GOOGLE).next(RateLimited(retry_after_s=20.5, form=form))

    async with GOOGLE.asking(fake) as ask:
        with pytest.raises(google_errors.ClientError) as raised:
            await ask()

    error = raised.value.details["error"]
    assert not any(each["@type"].endswith("RetryInfo") for each in error["details"])
    assert "Please retry in 20.5s." in error["message"]
    assert ("retry-after" in _headers(raised.value)) == (form == "date")


@pytest.mark.parametrize(
    "sdk", [ANTHROPIC, OPENAI, OPENROUTER, SELF_HOSTED], ids=lambda sdk: sdk.name
)
async def test_header_says_when_to_come_back_in_each_form(
    sdk: Sdk, fake: FakeProviderServer
) -> None:
    fake.provider(sdk.name).next(
        RateLimited(retry_after_s=20),
        RateLimited(retry_after_s=20, form="date"),
        RateLimited(retry_after_s=20, form="message"),
        RateLimited(retry_after_s=None),
        Overloaded(retry_after_s=7),
    )

    headers: list[Any] = []
    messages = []
    async with sdk.asking(fake) as ask:
        for _ in range(5):
            with pytest.raises(_STATUS_ERRORS) as raised:
                await ask()
            headers.append(_headers(raised.value))
            messages.append(str(raised.value))

    seconds, date, message, nothing, overloaded = headers
    assert seconds["retry-after"] == "20"
    sent = parsedate_to_datetime(date["date"])
    assert 19 <= (parsedate_to_datetime(date["retry-after"]) - sent).total_seconds() <= 22
    assert "retry-after" not in message
    assert "20s" in messages[2]
    assert "retry-after" not in nothing
    assert overloaded["retry-after"] == "7"


async def test_limits_are_told_in_each_providers_headers(fake: FakeProviderServer) -> None:
    limits = Limits(
        requests=50, requests_remaining=49, tokens=9000, tokens_remaining=8000, reset_s=90
    )
    for name in (ProviderName.ANTHROPIC, ProviderName.OPENAI):
        fake.provider(name).limits = limits
        fake.provider(name).next(ServerError())

    async with ANTHROPIC.asking(fake) as ask:
        with pytest.raises(anthropic.APIStatusError) as of_anthropic:
            await ask()
    async with OPENAI.asking(fake) as ask:
        with pytest.raises(openai.APIStatusError) as of_openai:
            await ask()

    headers = _headers(of_anthropic.value)
    assert headers["anthropic-ratelimit-requests-limit"] == "50"
    assert headers["anthropic-ratelimit-tokens-remaining"] == "8000"
    assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    headers = _headers(of_openai.value)
    assert headers["x-ratelimit-limit-requests"] == "50"
    assert headers["x-ratelimit-remaining-tokens"] == "8000"
    assert headers["x-ratelimit-reset-tokens"] == "1m30s"


_BAD_KEYS: list[tuple[Sdk, type[Exception], int]] = [
    (ANTHROPIC, anthropic.AuthenticationError, 401),
    (OPENAI, openai.AuthenticationError, 401),
    (GOOGLE, google_errors.ClientError, 400),
    (OPENROUTER, openrouter_errors.UnauthorizedResponseError, 401),
    (SELF_HOSTED, openai.AuthenticationError, 401),
]


@pytest.mark.parametrize(
    ("sdk", "expected", "status"), _BAD_KEYS, ids=lambda value: getattr(value, "name", "")
)
async def test_bad_key_is_refused_and_uses_up_nothing(
    sdk: Sdk, expected: type[Exception], status: int, fake: FakeProviderServer
) -> None:
    provider = fake.provider(sdk.name)
    provider.next(MalformedJson(text="Hm."))

    async with sdk.asking(fake, key="bad-key") as ask:
        with pytest.raises(expected) as raised:
            await ask()
    async with sdk.asking(fake) as ask:
        read = await ask()

    assert _status(raised.value) == status
    assert fake.provider(sdk.name).statuses == {status: 1, 200: 1}
    assert read.text == "Hm."


_UNKNOWN_MODELS: list[tuple[Sdk, str, type[Exception], int]] = [
    (ANTHROPIC, "claude-2", anthropic.NotFoundError, 404),
    (OPENAI, "gpt-7", openai.NotFoundError, 404),
    (GOOGLE, "gemini-1.0-pro", google_errors.ClientError, 404),
    (OPENROUTER, "openai/no-such-model", openrouter_errors.NotFoundResponseError, 404),
    (OPENROUTER, "claude-haiku-5-5", openrouter_errors.BadRequestResponseError, 400),
    (SELF_HOSTED, "no-such-model", openai.NotFoundError, 404),
]


@pytest.mark.parametrize(
    ("sdk", "model", "expected", "status"),
    _UNKNOWN_MODELS,
    ids=lambda value: getattr(value, "name", ""),
)
async def test_unknown_model_is_not_found(
    sdk: Sdk, model: str, expected: type[Exception], status: int, fake: FakeProviderServer
) -> None:
    async with sdk.asking(fake) as ask:
        with pytest.raises(expected) as raised:
            await ask(model=model)

    assert _status(raised.value) == status
    assert model in str(raised.value)


def _status(error: Any) -> int:  # noqa: ANN401 - each SDK has its own class
    status: int = error.code if isinstance(error, google_errors.APIError) else error.status_code
    return status


def _headers(error: Any) -> Any:  # noqa: ANN401 - likewise
    if isinstance(error, openrouter_errors.OpenRouterError):
        return error.headers
    return error.response.headers


def _body(error: anthropic.APIStatusError) -> dict[str, Any]:
    body: dict[str, Any] = error.response.json()
    return body
