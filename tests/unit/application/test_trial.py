from __future__ import annotations

from llm_worker.application.trial import try_out
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import AuthenticationFailedError
from llm_worker.domain.outcome import Target
from tests.support.builders import completion_of
from tests.support.fakes import FakeProvider, ManualClock


async def test_trial_is_one_first_attempt_at_the_default_model_on_a_tiny_pair() -> None:
    completion = completion_of()
    provider = FakeProvider(completion, name=ProviderName.OPENAI, default_model="small")

    trial = await try_out(provider, ManualClock())

    [(request, attempt)] = provider.calls
    assert trial.ending is completion
    assert trial.attempt == attempt
    assert attempt.target == Target(provider=ProviderName.OPENAI, model="small")
    assert attempt.number == 1
    assert request.prompt.size_bytes < 500


async def test_trial_takes_another_model_and_says_how_long_it_took() -> None:
    clock = ManualClock()
    provider = FakeProvider(completion_of(), before_answering=lambda: clock.advance(0.25))

    trial = await try_out(provider, clock, model="large")

    assert trial.attempt.target.model == "large"
    assert trial.response_time_ms == 250


async def test_failure_is_an_ending_and_leaves_the_provider_open() -> None:
    error = AuthenticationFailedError("the key is wrong")
    provider = FakeProvider(error)

    trial = await try_out(provider, ManualClock())

    assert trial.ending is error
    assert not provider.is_closed
