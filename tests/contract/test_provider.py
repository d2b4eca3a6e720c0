"""What every provider promises. Add an implementation to PROVIDERS, and it is held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from llm_worker.adapters.providers.mock import MockBehaviour, MockProvider
from llm_worker.contracts.vocabulary import ErrorCode, FailureType, ProviderName, Winner
from llm_worker.domain.errors import MalformedAnswerError, ProviderError
from llm_worker.domain.outcome import Attempt, Target
from llm_worker.domain.verdict import Billing
from tests.support.builders import NOW, completion_of, request_of
from tests.support.fakes import FakeProvider

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_worker.application.ports import Provider


def _mock(behaviour: MockBehaviour) -> Provider:
    return MockProvider(behaviour, default_model="mock-judge-1", timeout_s=30)


PROVIDERS: dict[str, Callable[[], Provider]] = {
    "mock": lambda: _mock(MockBehaviour(error_rate=0)),
    "fake": lambda: FakeProvider(completion_of()),
}
"""Each answers."""

FAILING: dict[str, Callable[[], Provider]] = {
    "mock, overloaded": lambda: _mock(MockBehaviour(error_rate=1)),
    "mock, malformed": lambda: _mock(MockBehaviour(error_rate=0, malformed_rate=1)),
    "fake": lambda: FakeProvider(MalformedAnswerError("no verdict", billing=Billing())),
}
"""Each fails."""


def _attempt(provider: Provider) -> Attempt:
    target = Target(provider=provider.name, model=provider.default_model)
    return Attempt(attempt_id=uuid4(), number=1, target=target, started_at=NOW)


@pytest.mark.parametrize("make", PROVIDERS.values(), ids=PROVIDERS)
async def test_answer_is_a_verdict_within_its_bounds(make: Callable[[], Provider]) -> None:
    provider = make()
    completion = await provider.judge(request_of(), _attempt(provider))
    assert completion.verdict.winner in Winner
    assert 0 <= completion.verdict.confidence <= 1
    assert completion.verdict.justification
    assert completion.model
    cost_usd = completion.billing.cost_usd
    assert cost_usd is None or cost_usd >= 0
    assert all(count >= 0 for count in completion.billing.usage.counts().values())


@pytest.mark.parametrize("make", FAILING.values(), ids=FAILING)
async def test_failure_is_told_in_the_cores_words_without_the_prompt(
    make: Callable[[], Provider],
) -> None:
    provider = make()
    with pytest.raises(ProviderError) as caught:
        await provider.judge(request_of(essay_a="Zwiebelkuchen"), _attempt(provider))
    assert caught.value.message
    assert "Zwiebelkuchen" not in caught.value.message
    assert caught.value.code in ErrorCode
    assert caught.value.failure in FailureType


@pytest.mark.parametrize("make", [*PROVIDERS.values(), *FAILING.values()])
def test_provider_says_who_it_is_and_how_long_it_may_take(make: Callable[[], Provider]) -> None:
    provider = make()
    assert provider.name in ProviderName
    assert provider.default_model
    assert provider.timeout_s > 0
