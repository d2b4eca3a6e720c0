"""What every provider promises: the same scenario, the same outcome, whoever it is.

The adapters speak to a server that speaks each provider's own wire format.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.providers.catalog import FlatPrices
from llm_worker.adapters.providers.mock import MockBehaviour, MockProvider
from llm_worker.bootstrap.providers.configured import build_provider
from llm_worker.contracts.vocabulary import ErrorCode, FailureType, ProviderName, Winner
from llm_worker.dev.fake_providers import (
    AuthFailed,
    BadRequest,
    CloseWithoutAnswer,
    ContextTooLong,
    CutBody,
    EmptyAnswer,
    FakeProviderServer,
    Hang,
    MalformedJson,
    MissingUsage,
    NotJson,
    Overloaded,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    Redirect,
    Refusal,
    Reset,
    SafetyStop,
    ServerError,
    Timeout504,
    Truncated,
    Verdict,
)
from llm_worker.dev.leashed import free_ports
from llm_worker.domain.errors import MalformedAnswerError, ProviderError
from llm_worker.domain.outcome import Attempt, Repair, Target
from llm_worker.domain.verdict import Billing
from llm_worker.settings import load_settings
from tests.support.builders import NOW, completion_of, request_of
from tests.support.fake_worker import pointing_at
from tests.support.fakes import FakeProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from llm_worker.application.ports import Provider
    from llm_worker.domain.verdict import Completion

OVER_HTTP = [name for name in ProviderName if name is not ProviderName.MOCK]
_ESSAY = "Zwiebelkuchen"

UNKNOWN, NOTHING, KNOWN = "may have been billed", "not billed", "billed, at a known price"

FAILURES: dict[str, tuple[Any, ErrorCode, str, bool]] = {
    "rate limited": (RateLimited(retry_after_s=7), ErrorCode.RATE_LIMIT, NOTHING, True),
    "no credit": (QuotaExhausted(), ErrorCode.QUOTA_EXCEEDED, NOTHING, False),
    "overloaded": (Overloaded(), ErrorCode.SERVICE_UNAVAILABLE, NOTHING, True),
    "defect of its own": (ServerError(), ErrorCode.SERVICE_UNAVAILABLE, NOTHING, True),
    "its own timeout": (Timeout504(), ErrorCode.TIMEOUT, UNKNOWN, True),
    "bad request": (BadRequest(), ErrorCode.INVALID_REQUEST, NOTHING, False),
    "too long": (ContextTooLong(), ErrorCode.LLM_CONTENT_TOO_LONG, NOTHING, False),
    "wrong key": (AuthFailed(), ErrorCode.AUTHENTICATION_ERROR, NOTHING, False),
    "not allowed": (PermissionDenied(), ErrorCode.AUTHORIZATION_ERROR, NOTHING, False),
    "refusal": (Refusal(), ErrorCode.LLM_INVALID_PROMPT, KNOWN, False),
    "safety stop": (SafetyStop(), ErrorCode.LLM_INVALID_PROMPT, KNOWN, False),
    "truncated": (Truncated(), ErrorCode.INVALID_RESPONSE, KNOWN, False),
    "empty": (EmptyAnswer(), ErrorCode.INVALID_RESPONSE, KNOWN, False),
    "no verdict": (MalformedJson(text=_ESSAY), ErrorCode.INVALID_RESPONSE, KNOWN, False),
    "a page": (NotJson(status=200), ErrorCode.EXTERNAL_SERVICE_ERROR, UNKNOWN, True),
    "a proxy's page": (NotJson(status=502), ErrorCode.SERVICE_UNAVAILABLE, UNKNOWN, True),
    "moved": (Redirect(), ErrorCode.CONFIGURATION_ERROR, NOTHING, False),
    "hangs": (Hang(), ErrorCode.TIMEOUT, UNKNOWN, True),
    "reset": (Reset(), ErrorCode.CONNECTION_ERROR, UNKNOWN, True),
    "closed": (CloseWithoutAnswer(), ErrorCode.CONNECTION_ERROR, UNKNOWN, True),
    "cut": (CutBody(), ErrorCode.CONNECTION_ERROR, UNKNOWN, True),
}
"""What happens; the code it has; what it costs; whether the same target may be asked again."""

IN_PROCESS: dict[str, Callable[[], Provider]] = {
    "mock": lambda: _mock(MockBehaviour(error_rate=0)),
    "fake": lambda: FakeProvider(completion_of()),
}
FAILING_IN_PROCESS: dict[str, Callable[[], Provider]] = {
    "mock, overloaded": lambda: _mock(MockBehaviour(error_rate=1)),
    "mock, malformed": lambda: _mock(MockBehaviour(error_rate=0, malformed_rate=1)),
    "mock, slow": lambda: _mock(MockBehaviour(error_rate=0, latency_ms=60_000)),
    "fake": lambda: FakeProvider(MalformedAnswerError("no verdict", billing=Billing())),
    "fake, hangs": lambda: FakeProvider(None),
}


def _mock(behaviour: MockBehaviour) -> Provider:
    return MockProvider(behaviour, default_model="mock-judge-1", timeout_s=30, models=FlatPrices())


@pytest.fixture
async def fake() -> AsyncIterator[FakeProviderServer]:
    async with FakeProviderServer() as fake:
        yield fake


@pytest.fixture(params=OVER_HTTP)
def name(request: pytest.FixtureRequest) -> ProviderName:
    found: ProviderName = request.param
    return found


@pytest.fixture
async def provider(fake: FakeProviderServer, name: ProviderName) -> AsyncIterator[Provider]:
    provider = build_provider(load_settings(pointing_at(fake, name)), name, SystemClock())
    yield provider
    await provider.aclose()


async def _judge(
    provider: Provider, *, limit_s: float = 20, repair: Repair | None = None, **data: object
) -> Completion:
    target = Target(provider=provider.name, model=provider.default_model)
    attempt = Attempt(attempt_id=uuid4(), number=1, target=target, started_at=NOW, repair=repair)
    return await provider.judge(request_of(**data), attempt, limit_s)


async def _failure(provider: Provider, *, limit_s: float = 20) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await _judge(provider, limit_s=limit_s, essay_a=_ESSAY)
    return caught.value


def _check_verdict(completion: Completion) -> None:
    assert completion.verdict.winner in Winner
    assert 0 <= completion.verdict.confidence <= 1
    assert completion.verdict.justification
    assert completion.model
    assert all(count >= 0 for count in completion.billing.usage.counts().values())


async def test_verdict_is_bought_at_a_price_that_is_known(
    provider: Provider, fake: FakeProviderServer
) -> None:
    fake.provider(provider.name).next(Verdict(winner=Winner.B, confidence=0.75))
    completion = await _judge(provider)
    _check_verdict(completion)
    assert (completion.verdict.winner, completion.verdict.confidence) == (Winner.B, 0.75)
    assert completion.billing.cost_usd is not None
    is_free = provider.name is ProviderName.SELF_HOSTED
    assert (completion.billing.cost_usd == 0) == is_free
    assert completion.billing.usage.prompt_tokens
    assert completion.facts.http_status == 200
    assert completion.facts.provider_request_id


@pytest.mark.parametrize(
    "overrides",
    [
        {"temperature_override": 0.3},
        {"system_prompt_override": "You are strict."},
        {"max_tokens_override": 700},
        *[{"reasoning_effort": effort} for effort in ("none", "low", "medium", "high")],
        *[{"output_verbosity": verbosity} for verbosity in ("low", "medium", "high")],
        {
            "temperature_override": 1.0,
            "reasoning_effort": "none",
            "output_verbosity": "low",
            "max_tokens_override": 2000,
        },
    ],
    ids=str,
)
async def test_overrides_reach_the_provider_in_a_form_that_it_takes(
    provider: Provider, overrides: dict[str, object]
) -> None:
    """The server refuses, as the real ones do, what a model does not take."""
    completion = await _judge(provider, llm_config_overrides=overrides)
    _check_verdict(completion)
    assert all(
        any(words.startswith(field) for field in overrides)
        for words in completion.facts.adjustments
    )


async def test_malformed_answer_can_be_asked_for_again(
    provider: Provider, fake: FakeProviderServer
) -> None:
    repair = Repair(answer="I like the first one.", fault="it is not one JSON object")
    _check_verdict(await _judge(provider, repair=repair))
    [call] = fake.provider(provider.name).seen
    assert repair.answer in str(call.body)
    assert repair.fault in str(call.body)


async def test_missing_usage_leaves_the_cost_unknown(
    provider: Provider, fake: FakeProviderServer
) -> None:
    fake.provider(provider.name).next(MissingUsage())
    completion = await _judge(provider)
    _check_verdict(completion)
    if provider.name is not ProviderName.SELF_HOSTED:  # whose price is 0, whatever it used
        assert completion.billing.cost_usd is None
    assert "total_tokens" not in completion.billing.usage.counts()


@pytest.mark.parametrize("what", FAILURES)
async def test_failure_has_the_same_code_and_cost_everywhere(
    provider: Provider, fake: FakeProviderServer, what: str
) -> None:
    behaviour, code, cost, is_retryable = FAILURES[what]
    if provider.name is ProviderName.SELF_HOSTED and cost is UNKNOWN:
        cost = KNOWN  # its price is 0, whatever it did
    fake.provider(provider.name).always(behaviour)
    error = await _failure(provider, limit_s=0.5 if what == "hangs" else 20)
    assert (error.code, _told_cost(error.billing), error.is_retryable) == (
        code,
        cost,
        is_retryable,
    ), error.message
    assert error.is_sent
    assert error.failure in FailureType
    if what == "rate limited":
        assert error.retry_after_s == pytest.approx(7, abs=1)
    _check_discretion(error)


def _told_cost(billing: Billing | None) -> str:
    if billing is None:
        return NOTHING
    return UNKNOWN if billing.cost_usd is None else KNOWN


async def test_call_that_finds_nobody_was_not_sent_and_costs_nothing(name: ProviderName) -> None:
    [port] = free_ports(1)
    prefix = f"LLM_WORKER_PROVIDERS__{name.upper()}__"
    settings = load_settings(
        {
            f"{prefix}BASE_URL": f"http://127.0.0.1:{port}",
            f"{prefix}API_KEY": "secret-key",
            f"{prefix}DEFAULT_MODEL": "any",
        }
    )
    provider = build_provider(settings, name, SystemClock())
    error = await _failure(provider)
    await provider.aclose()
    assert (error.code, error.billing, error.is_sent) == (ErrorCode.CONNECTION_ERROR, None, False)
    assert error.is_retryable
    _check_discretion(error)


async def test_probe_is_answered_and_asks_for_no_verdict(
    provider: Provider, fake: FakeProviderServer
) -> None:
    await provider.probe(10)
    spoken_to = fake.provider(provider.name)
    assert (spoken_to.calls, spoken_to.lookups) == (0, 1)


async def test_probe_of_a_provider_that_is_down_fails(
    provider: Provider, fake: FakeProviderServer
) -> None:
    fake.provider(provider.name).always(Overloaded())
    with pytest.raises(ProviderError) as caught:
        await provider.probe(10)
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE


@pytest.mark.parametrize("make", IN_PROCESS.values(), ids=IN_PROCESS)
async def test_answer_in_process_is_a_verdict_too(make: Callable[[], Provider]) -> None:
    completion = await _judge(make())
    _check_verdict(completion)
    assert completion.billing.cost_usd is not None
    assert completion.billing.cost_usd >= Decimal(0)


@pytest.mark.parametrize("make", FAILING_IN_PROCESS.values(), ids=FAILING_IN_PROCESS)
async def test_failure_in_process_is_told_in_the_cores_words(make: Callable[[], Provider]) -> None:
    error = await _failure(make(), limit_s=0.05)
    assert error.code in ErrorCode
    assert error.failure in FailureType
    _check_discretion(error)


@pytest.mark.parametrize("make", [*IN_PROCESS.values(), *FAILING_IN_PROCESS.values()])
def test_provider_says_who_it_is_and_how_long_it_may_take(make: Callable[[], Provider]) -> None:
    provider = make()
    assert provider.name in ProviderName
    assert provider.models.knows(provider.default_model)
    assert provider.timeout_s > 0


def _check_discretion(error: ProviderError) -> None:
    assert error.message
    for secret in _secrets_in(error):
        assert _ESSAY not in secret
        assert "key-" not in secret


def _secrets_in(error: BaseException | None) -> Iterator[str]:
    """Give everything that a traceback would show."""
    while error is not None:
        yield str(error)
        yield repr(error)
        error = error.__cause__
