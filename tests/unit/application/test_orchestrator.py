from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from llm_worker.contracts.vocabulary import ErrorCode, FailureType, Lane, ProviderName
from llm_worker.domain.errors import MalformedAnswerError, ProviderError
from llm_worker.domain.outcome import Completed, Failed, LetGo, Target
from llm_worker.domain.verdict import Billing
from tests.support.builders import completion_of, hit_of, request_of
from tests.support.core import Core, resolve
from tests.support.fakes import FakeProvider, RecordingLog

if TYPE_CHECKING:
    from llm_worker.application.orchestrator import Orchestrator
    from llm_worker.domain.outcome import Attempt
    from llm_worker.domain.request import ComparisonRequest


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
def announced() -> list[Attempt]:
    return []


def _request(**data: object) -> ComparisonRequest:
    now_s = asyncio.get_running_loop().time()
    request = request_of(**data)
    delivery = replace(request.delivery, received_s=now_s)
    return replace(request, delivery=delivery, deadline_s=now_s + 300)


async def _resolve(
    orchestrator: Orchestrator, request: ComparisonRequest, announced: list[Attempt]
) -> Completed | Failed | LetGo:
    return await resolve(orchestrator, request, RecordingLog(begun=announced))


async def test_verdict_is_bought_with_one_announced_attempt(
    core: Core, announced: list[Attempt]
) -> None:
    request = _request()
    ending = await _resolve(core.orchestrator(), request, announced)
    assert isinstance(ending, Completed)
    assert [finished.attempt for finished in ending.attempts] == announced
    assert core.provider.calls == [(request, announced[0])]
    assert ending.completion == core.provider.answer
    assert core.telemetry.attempts == list(ending.attempts)


async def test_attempt_is_announced_before_the_call(core: Core, announced: list[Attempt]) -> None:
    core.provider.before_answering = lambda: seen.append(len(announced))
    seen: list[int] = []
    await _resolve(core.orchestrator(), _request(), announced)
    assert seen == [1]


async def test_request_for_a_provider_that_is_not_there_names_those_that_are(
    core: Core, announced: list[Attempt]
) -> None:
    request = _request(llm_config_overrides={"provider_override": "openai"})
    ending = await _resolve(core.orchestrator(), request, announced)
    assert isinstance(ending, Failed)
    assert ending.error.code is ErrorCode.CONFIGURATION_ERROR
    assert ending.error.message.endswith("ask one of: mock")
    assert ending.target == Target(provider=ProviderName.OPENAI, model="unknown")
    assert announced == []


async def test_stand_in_answers_for_every_provider(core: Core, announced: list[Attempt]) -> None:
    core.stand_in = ProviderName.MOCK
    request = _request(
        llm_config_overrides={"provider_override": "openai", "model_override": "gpt-5"}
    )
    ending = await _resolve(core.orchestrator(), request, announced)
    assert isinstance(ending, Completed)
    assert announced[0].target == Target(provider=ProviderName.MOCK, model="gpt-5")


async def test_known_verdict_is_given_without_a_call_a_slot_or_money(
    core: Core, announced: list[Attempt]
) -> None:
    core.cache.known = hit_of(completion_of())
    core.slots.let_go()
    ending = await _resolve(core.orchestrator(), _request(), announced)
    assert isinstance(ending, Completed)
    assert (ending.attempts, core.provider.calls, core.budget.reserved) == ((), [], [])


async def test_bought_verdict_is_kept_with_who_paid_and_a_failure_is_not(
    core: Core, announced: list[Attempt]
) -> None:
    request = _request(organization_id="school")
    await _resolve(core.orchestrator(), request, announced)
    (kept,) = core.cache.kept.values()
    assert kept.completion == core.provider.answer
    assert (kept.provider, kept.bought_by) == (ProviderName.MOCK, request.correlation_id)
    assert kept.organization_id == "school"

    core.cache.kept.clear()
    core.provider.answer = MalformedAnswerError("no verdict", billing=Billing())
    await _resolve(core.orchestrator(), _request(essay_b="another"), announced)
    assert core.cache.kept == {}
    assert len(core.cache.passed_on) == 1


async def test_refresh_buys_what_is_known_and_keeps_it(
    core: Core, announced: list[Attempt]
) -> None:
    core.cache.known = hit_of(completion_of(justification="old"))
    ending = await _resolve(core.orchestrator(), _request(cache_mode="refresh"), announced)
    assert isinstance(ending, Completed)
    assert (len(ending.attempts), ending.is_cached, ending.is_cache_miss) == (1, False, False)
    assert core.cache.looks == []
    (kept,) = core.cache.kept.values()
    assert kept.completion == core.provider.answer


async def test_bypass_buys_what_is_known_and_keeps_nothing(
    core: Core, announced: list[Attempt]
) -> None:
    core.cache.known = hit_of(completion_of())
    ending = await _resolve(core.orchestrator(), _request(cache_mode="bypass"), announced)
    assert isinstance(ending, Completed)
    assert (len(ending.attempts), ending.is_cache_miss) == (1, False)
    assert (core.cache.looks, core.cache.kept, core.cache.passed_on) == ([], {}, [])


async def test_attempt_that_may_not_begin_is_not_made_and_its_request_let_go(core: Core) -> None:
    log = RecordingLog(lets_begin=False)
    assert await resolve(core.orchestrator(), _request(), log) == LetGo()
    assert (core.provider.calls, core.budget.settled) == ([], [None])


async def test_request_that_expires_while_it_waits_is_answered_and_nothing_is_spent(
    core: Core, announced: list[Attempt]
) -> None:
    request = _request()
    for _ in range(6):
        await core.slots.acquire(Lane.NORMAL, request.deadline_s)
    late = replace(request, deadline_s=asyncio.get_running_loop().time() - 1)
    ending = await _resolve(core.orchestrator(), late, announced)
    assert isinstance(ending, Failed)
    assert ending.error.code is ErrorCode.TIMEOUT
    assert (announced, core.provider.calls) == ([], [])


async def test_deadline_is_looked_at_again_when_a_slot_is_free(
    core: Core, announced: list[Attempt]
) -> None:
    late = replace(_request(), deadline_s=asyncio.get_running_loop().time() - 1)
    ending = await _resolve(core.orchestrator(), late, announced)
    assert isinstance(ending, Failed)
    assert ending.error.code is ErrorCode.TIMEOUT
    assert "not_after" in ending.error.message
    assert core.provider.calls == []
    assert core.slots.running(Lane.NORMAL) == 0


async def test_delivery_that_is_no_longer_ours_is_let_go_before_anything_is_paid(
    core: Core, announced: list[Attempt]
) -> None:
    core.ownership.is_ours = False
    assert await _resolve(core.orchestrator(), _request(), announced) == LetGo()
    assert (announced, core.provider.calls, core.budget.reserved) == ([], [], [])
    assert core.slots.running(Lane.NORMAL) == 0


async def test_waiting_request_is_let_go_by_a_drain(core: Core, announced: list[Attempt]) -> None:
    core.slots.let_go()
    assert await _resolve(core.orchestrator(), _request(), announced) == LetGo()
    assert core.provider.calls == []


async def test_spent_budget_refuses_before_the_call(core: Core, announced: list[Attempt]) -> None:
    core.budget.is_spent = True
    ending = await _resolve(core.orchestrator(), _request(), announced)
    assert isinstance(ending, Failed)
    assert ending.error.code is ErrorCode.LLM_COST_LIMIT_EXCEEDED
    assert (announced, core.provider.calls) == ([], [])


async def test_reservation_is_settled_with_what_was_paid(
    core: Core, announced: list[Attempt]
) -> None:
    request = _request()
    await _resolve(core.orchestrator(), request, announced)
    assert core.budget.reserved == [request]
    assert core.budget.settled == [completion_of().billing]


async def test_call_without_an_answer_in_time_may_have_been_billed(
    core: Core, announced: list[Attempt]
) -> None:
    core.attempts_at_most = 1
    core.provider = FakeProvider(None, timeout_s=0.01)
    ending = await _resolve(core.orchestrator(), _request(), announced)
    assert isinstance(ending, Failed)
    [finished] = ending.attempts
    assert isinstance(finished.ending, ProviderError)
    assert finished.ending.failure is FailureType.TIMEOUT
    assert finished.billing == Billing(cost_usd=None)


async def test_call_does_not_outlast_the_requests_deadline(
    core: Core, announced: list[Attempt]
) -> None:
    core.provider = FakeProvider(None, timeout_s=3_600)
    request = replace(_request(), deadline_s=asyncio.get_running_loop().time() + 0.05)
    ending = await _resolve(core.orchestrator(), request, announced)
    assert isinstance(ending, Failed)
    assert len(ending.attempts) == 1


async def test_defect_of_a_provider_ends_as_a_failed_attempt_of_unknown_cost(
    core: Core, announced: list[Attempt]
) -> None:
    core.attempts_at_most = 1
    core.provider.answer = KeyError("choices")
    ending = await _resolve(core.orchestrator(), _request(), announced)
    assert isinstance(ending, Failed)
    assert ending.error.code is ErrorCode.EXTERNAL_SERVICE_ERROR
    assert ending.billings == (Billing(cost_usd=None),)
    assert [type(error) for _, error in core.telemetry.faults] == [KeyError]


async def test_slot_is_given_back_when_the_call_is_cancelled(
    core: Core, announced: list[Attempt]
) -> None:
    core.provider = FakeProvider(None)
    task = asyncio.ensure_future(_resolve(core.orchestrator(), _request(), announced))
    await core.provider.called.wait()
    assert core.slots.running(Lane.NORMAL) == 1
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert core.slots.running(Lane.NORMAL) == 0
