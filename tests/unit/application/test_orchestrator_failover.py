"""What one request does when targets fail: where it goes next, when, and what it costs."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from llm_worker.contracts.vocabulary import ErrorCode, Lane, ProviderName
from llm_worker.domain.errors import (
    AuthenticationFailedError,
    MalformedAnswerError,
    ModelMissingError,
    ProviderDownError,
    ProviderError,
    ProviderTimeoutError,
    QuotaExhaustedError,
    RateLimitedError,
    RefusedError,
    StrangeAnswerError,
    TruncatedAnswerError,
    UnreachableError,
)
from llm_worker.domain.outcome import Completed, Failed, LetGo, Target
from llm_worker.domain.results import completed_result, failed_result
from llm_worker.domain.routing import Place, Rule
from llm_worker.domain.verdict import Billing, CallFacts
from tests.support.builders import completion_of
from tests.support.core import Core, arriving, resolve
from tests.support.fakes import FakeModels, FakeProvider, RecordingLog

if TYPE_CHECKING:
    from llm_worker.application.orchestrator import Ending

_DOWN = ProviderDownError("503", facts=CallFacts(http_status=503))
_MALFORMED = MalformedAnswerError("no winner", answer="tie", billing=Billing())


def _provider(name: ProviderName, *models: str) -> FakeProvider:
    default = models[0] if models else f"{name}-judge"
    return FakeProvider(
        completion_of(), name=name, default_model=default, models=FakeModels(models)
    )


@pytest.fixture
def first() -> FakeProvider:
    return _provider(ProviderName.ANTHROPIC)


@pytest.fixture
def second() -> FakeProvider:
    return _provider(ProviderName.OPENAI)


@pytest.fixture
def core(first: FakeProvider, second: FakeProvider) -> Core:
    return Core(provider=first, others=[second])


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _providers(ending: Ending) -> list[str]:
    assert not isinstance(ending, LetGo)
    return [finished.attempt.target.provider for finished in ending.attempts]


@pytest.mark.parametrize(
    "error",
    [
        _DOWN,
        RateLimitedError("429", retry_after_s=20),
        UnreachableError("refused"),
        StrangeAnswerError("a proxy's page"),
        ProviderTimeoutError("late", billing=Billing()),
        AuthenticationFailedError("401"),
        QuotaExhaustedError("402"),
        RefusedError("it will not", billing=Billing()),
        TruncatedAnswerError("cut", billing=Billing()),
        ModelMissingError("404"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_failure_goes_to_the_next_target_at_once(
    core: Core, first: FakeProvider, error: ProviderError
) -> None:
    first.answer = error
    began_s = _now_s()
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Completed)
    assert _providers(ending) == ["anthropic", "openai"]
    assert ending.target.provider is ProviderName.OPENAI
    assert _now_s() == began_s


async def test_target_whose_failure_does_not_pass_is_never_asked_again(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    core.attempts_at_most = 4
    first.answer, second.answer = AuthenticationFailedError("401"), _DOWN
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Failed)
    assert _providers(ending) == ["anthropic", *["openai"] * 3]
    assert ending.error is _DOWN


async def test_targets_whose_failures_pass_are_asked_in_turn_until_the_attempts_are_used_up(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    core.attempts_at_most = 4
    first.answer = second.answer = _DOWN
    began_s = _now_s()
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Failed)
    assert _providers(ending)[:2] == ["anthropic", "openai"]
    assert set(_providers(ending)[2:]) <= {"anthropic", "openai"}
    assert 0 < _now_s() - began_s < 2
    assert [finished.attempt.number for finished in ending.attempts] == [1, 2, 3, 4]


async def test_single_target_is_asked_again_after_a_pause(core: Core, first: FakeProvider) -> None:
    core.others = []
    first.next_answers = [_DOWN, UnreachableError("cut")]
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Completed)
    one_s, two_s, three_s = first.called_at_s
    assert 0 < two_s - one_s <= 0.5
    assert 0 < three_s - two_s <= 1


async def test_retry_after_is_waited_for_before_the_only_target_is_asked_again(
    core: Core, first: FakeProvider
) -> None:
    core.others = []
    first.next_answers = [RateLimitedError("429", retry_after_s=20)]
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Completed)
    one_s, two_s = first.called_at_s
    assert two_s - one_s == pytest.approx(20)


async def test_retry_after_beyond_the_deadline_ends_the_request_at_once(
    core: Core, first: FakeProvider
) -> None:
    core.others = []
    first.answer = RateLimitedError("429", retry_after_s=3_600)
    began_s = _now_s()
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Failed)
    assert ending.error is first.answer
    assert _now_s() == began_s


async def test_nothing_is_asked_after_the_deadline(core: Core, first: FakeProvider) -> None:
    core.others, core.attempts_at_most, core.failure_threshold = [], 1_000, 1_000
    first.answer = _DOWN
    request = arriving(within_s=30)
    ending = await resolve(core.orchestrator(), request)
    assert isinstance(ending, Failed)
    assert ending.error is _DOWN
    assert first.called_at_s[-1] < request.deadline_s
    assert _now_s() <= request.deadline_s + 0.001


async def test_call_is_cut_at_the_requests_deadline_and_may_have_been_billed(
    core: Core, first: FakeProvider
) -> None:
    first.answer = None
    request = arriving(within_s=10)
    ending = await resolve(core.orchestrator(), request)
    assert isinstance(ending, Failed)
    assert ending.error.code is ErrorCode.TIMEOUT
    assert _now_s() == pytest.approx(request.deadline_s)
    assert ending.billings == (Billing(),)


async def test_malformed_answer_is_repaired_by_the_same_target_in_an_attempt_of_its_own(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    first.next_answers = [_MALFORMED]
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Completed)
    (_, original), (_, repair) = first.calls
    assert original.repair is None
    assert repair.repair is not None
    assert (repair.repair.answer, repair.repair.fault) == ("tie", "no winner")
    assert repair.attempt_id != original.attempt_id
    assert (repair.number, len(ending.attempts), second.calls) == (2, 2, [])


async def test_answer_that_stays_malformed_is_repaired_once_over_all_targets(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    core.attempts_at_most, core.failure_threshold = 10, 100
    first.answer = second.answer = _MALFORMED
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Failed)
    repairs = [finished for finished in ending.attempts if finished.attempt.repair is not None]
    assert len(repairs) == 1
    assert _providers(ending) == ["anthropic", "anthropic", "openai"]


async def test_repair_of_a_target_that_has_closed_meanwhile_goes_elsewhere(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    first.answer, second.takes_s = _MALFORMED, 1
    orchestrator = core.orchestrator()

    def close() -> None:
        orchestrator.board.gates[first.name].pause(60)

    first.before_answering = close
    ending = await resolve(orchestrator, arriving())
    assert isinstance(ending, Completed)
    assert (len(first.calls), len(second.calls)) == (1, 1)


async def test_malformed_answers_of_one_prompt_do_not_close_a_target_for_everybody(
    core: Core, first: FakeProvider
) -> None:
    core.others, first.answer = [], _MALFORMED
    orchestrator = core.orchestrator()
    for _ in range(core.failure_threshold + 1):
        await resolve(orchestrator, arriving())
    assert orchestrator.board.breaker_states() == {}


async def test_result_costs_the_sum_of_what_was_billed(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    first.answer = TruncatedAnswerError("cut", billing=Billing(cost_usd=Decimal("0.25")))
    second.next_answers = [RateLimitedError("429", retry_after_s=1)]
    second.answer = completion_of(cost_usd=Decimal("0.5"))
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Completed)
    result = completed_result(ending)
    assert (result.cost_estimate, result.cost_known, result.attempts) == (0.75, True, 3)
    assert core.budget.settled == [first.answer.billing, None, second.answer.billing]


async def test_cost_of_an_attempt_that_is_unknown_makes_the_results_unknown(
    core: Core, first: FakeProvider
) -> None:
    first.answer = ProviderTimeoutError("late", billing=Billing())
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Completed)
    result = completed_result(ending)
    assert (result.cost_estimate, result.cost_known) == (0.0, False)


async def test_error_result_tells_the_error_of_each_target_in_order_and_whose_the_last_word_is(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    core.attempts_at_most = 2
    first.answer = AuthenticationFailedError("401", facts=CallFacts(http_status=401))
    second.answer = RateLimitedError("429", retry_after_s=7, facts=CallFacts(http_status=429))
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Failed)
    detail = failed_result(ending).error_detail
    assert detail is not None
    assert detail.error_code is ErrorCode.RATE_LIMIT
    told = [(each["provider"], each["http_status"]) for each in detail.details["errors"]]
    assert told == [("anthropic", 401), ("openai", 429)]
    assert (detail.details["provider"], detail.details["retry_after"]) == ("openai", 7)


async def test_pinned_provider_has_no_fallback(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    second.answer = AuthenticationFailedError("401")
    request = arriving(llm_config_overrides={"provider_override": "openai"})
    ending = await resolve(core.orchestrator(), request)
    assert isinstance(ending, Failed)
    assert _providers(ending) == ["openai"]
    assert first.calls == []


async def test_model_goes_to_whoever_has_it(core: Core) -> None:
    core.provider = _provider(ProviderName.ANTHROPIC, "claude-haiku")
    core.others = [_provider(ProviderName.OPENAI, "gpt-mini", "gpt-large")]
    request = arriving(llm_config_overrides={"model_override": "gpt-large"})
    ending = await resolve(core.orchestrator(), request)
    assert isinstance(ending, Completed)
    [finished] = ending.attempts
    assert finished.attempt.target == Target(provider=ProviderName.OPENAI, model="gpt-large")


async def test_model_that_nobody_has_is_answered_with_the_nearest_ones_and_costs_nothing(
    core: Core,
) -> None:
    core.provider = _provider(ProviderName.ANTHROPIC, "claude-haiku")
    core.others = [_provider(ProviderName.OPENAI, "gpt-mini", "gpt-large")]
    request = arriving(llm_config_overrides={"model_override": "gpt-largest"})
    ending = await resolve(core.orchestrator(), request)
    assert isinstance(ending, Failed)
    assert ending.error.code is ErrorCode.INVALID_REQUEST
    assert "gpt-mini, gpt-large" in ending.error.message
    assert (ending.attempts, ending.target.model) == ((), "gpt-largest")


@pytest.mark.parametrize(
    ("rule", "request_data"),
    [
        ({"organization": "north-*"}, {"organization_id": "north-1"}),
        ({"model": "gpt-*"}, {"llm_config_overrides": {"model_override": "gpt-mini"}}),
        ({"lane": Lane.BULK}, {"lane": Lane.BULK}),
        ({"min_bytes": 50_000}, {"essay_a": "word " * 10_000}),
    ],
    ids=["organization", "model", "lane", "size"],
)
async def test_rule_sends_requests_elsewhere(
    core: Core,
    first: FakeProvider,
    second: FakeProvider,
    rule: dict[str, str],
    request_data: dict[str, object],
) -> None:
    core.rules = (Rule(places=(Place(provider=ProviderName.OPENAI),), **rule),)  # type: ignore[arg-type] # the cases above
    orchestrator = core.orchestrator()
    await resolve(orchestrator, arriving(**request_data))  # type: ignore[arg-type] # the cases above
    assert (len(first.calls), len(second.calls)) == (0, 1)
    await resolve(orchestrator, arriving())
    assert (len(first.calls), len(second.calls)) == (1, 1)


async def test_ownership_that_is_lost_between_attempts_ends_the_buying_and_tells_what_was_bought(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    first.answer = ProviderTimeoutError("late", billing=Billing())
    first.before_answering = lambda: setattr(core.ownership, "is_ours", False)
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, LetGo)
    [finished] = ending.attempts
    assert finished.ending is first.answer
    assert second.calls == []
    assert core.slots.running(Lane.NORMAL) == 0


async def test_drain_lets_go_of_a_request_that_waits_for_its_retry_and_tells_what_was_bought(
    core: Core, first: FakeProvider
) -> None:
    core.others = []
    first.answer = RateLimitedError("429", retry_after_s=100)
    orchestrator, began_s = core.orchestrator(), _now_s()
    task = asyncio.ensure_future(resolve(orchestrator, arriving()))
    await asyncio.sleep(10)
    orchestrator.board.let_go()
    ending = await task
    assert isinstance(ending, LetGo)
    assert [finished.ending for finished in ending.attempts] == [first.answer]
    assert _now_s() - began_s < 11
    orchestrator.board.reopen()
    first.answer = completion_of()
    assert isinstance(await resolve(orchestrator, arriving()), Completed)


async def test_budget_that_is_spent_between_attempts_ends_the_buying(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    first.answer = _DOWN
    first.before_answering = lambda: setattr(core.budget, "is_spent", True)
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Failed)
    assert ending.error.code is ErrorCode.LLM_COST_LIMIT_EXCEEDED
    assert len(ending.attempts) == 1
    assert second.calls == []


async def test_defect_of_an_adapter_goes_to_the_next_target_and_its_cost_is_unknown(
    core: Core, first: FakeProvider
) -> None:
    first.answer = KeyError("choices")
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Completed)
    assert _providers(ending) == ["anthropic", "openai"]
    assert ending.billings[0] == Billing(cost_usd=None)
    assert [type(error) for _, error in core.telemetry.faults] == [KeyError]


async def test_defect_of_our_own_after_a_purchase_takes_no_paid_verdict_away(core: Core) -> None:
    core.budget.defect = ZeroDivisionError()
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Completed)
    assert ending.billings == (completion_of().billing,)
    assert [type(error) for _, error in core.telemetry.faults] == [ZeroDivisionError]
    assert core.slots.running(Lane.NORMAL) == 0


async def test_reservation_is_released_when_the_announcement_breaks(core: Core) -> None:
    request = arriving()
    ending = await resolve(core.orchestrator(), request, RecordingLog(defect=ZeroDivisionError()))
    assert isinstance(ending, Failed)
    assert (core.budget.reserved, core.budget.settled) == ([request], [None])


async def test_reservation_of_a_call_that_is_cut_off_is_settled_as_unknown(
    core: Core, first: FakeProvider
) -> None:
    first.answer = None
    task = asyncio.ensure_future(resolve(core.orchestrator(), arriving()))
    await first.called.wait()
    task.cancel()
    await asyncio.wait([task])
    assert core.budget.settled == [Billing()]


async def test_announcement_that_outlasts_the_deadline_is_followed_by_no_call(
    core: Core, first: FakeProvider
) -> None:
    core.others = []
    ending = await resolve(core.orchestrator(), arriving(within_s=5), RecordingLog(takes_s=10))
    assert isinstance(ending, Failed)
    assert ending.error.code is ErrorCode.TIMEOUT
    assert (first.calls, core.budget.settled) == ([], [None])


async def test_nothing_is_reserved_as_long_as_it_cannot_be_told_that_a_call_is_made(
    core: Core, first: FakeProvider
) -> None:
    is_ready = asyncio.Event()
    log = RecordingLog(is_ready=is_ready)
    task = asyncio.ensure_future(resolve(core.orchestrator(), arriving(), log))
    await asyncio.wait([task], timeout=60)
    assert (core.budget.reserved, log.begun, first.calls) == ([], [], [])
    is_ready.set()
    assert isinstance(await task, Completed)
    assert len(core.budget.reserved) == 1


async def test_call_that_was_given_too_little_time_does_not_count_against_its_target(
    core: Core, first: FakeProvider
) -> None:
    core.others, first.takes_s = [], 10
    orchestrator = core.orchestrator()
    for _ in range(core.failure_threshold + 1):
        ending = await resolve(orchestrator, arriving(within_s=3))
        assert isinstance(ending, Failed)
    assert orchestrator.board.breaker_states() == {}
    assert isinstance(await resolve(orchestrator, arriving()), Completed)


async def test_nothing_is_spent_on_a_call_that_cannot_end_in_time(
    core: Core, first: FakeProvider
) -> None:
    core.others, first.takes_s = [], 10
    orchestrator = core.orchestrator()
    await resolve(orchestrator, arriving())
    ending = await resolve(orchestrator, arriving(within_s=8))
    assert isinstance(ending, Failed)
    assert ending.error.code is ErrorCode.TIMEOUT
    assert len(first.calls) == 1


async def test_adapter_that_breaks_is_not_asked_again(core: Core, first: FakeProvider) -> None:
    core.others, first.answer = [], KeyError("choices")
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Failed)
    assert len(ending.attempts) == 1


async def test_tokens_of_the_attempts_are_added_up(core: Core, first: FakeProvider) -> None:
    first.answer = RefusedError("no", billing=completion_of().billing)
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Completed)
    assert completed_result(ending).token_usage.total_tokens == 30
