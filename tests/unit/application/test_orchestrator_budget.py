"""Hard limits: what becomes of a request whose estimate does not fit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from llm_worker.application.ports import BudgetBusyError
from llm_worker.contracts.vocabulary import ErrorCode, Lane, ProviderName
from llm_worker.domain.errors import OverBudgetError, ProviderDownError, RefusedError
from llm_worker.domain.outcome import Completed, Failed, LetGo
from llm_worker.domain.verdict import Billing
from tests.support.builders import completion_of
from tests.support.core import Core, arriving, resolve, resolve_all
from tests.support.fakes import FakeBudget, FakeProvider, RecordingLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_worker.domain.outcome import Attempt

_OVER = OverBudgetError("the daily limit leaves no room")
_OVER_HERE = OverBudgetError("the provider's limit leaves no room")
_OVER_HERE.may_go_elsewhere = True
_BUSY = BudgetBusyError("set aside for others")
_DOWN = ProviderDownError("503")

WAYS = pytest.mark.parametrize("way", ["refuse", "refuse_at_once"])


@pytest.fixture
def first() -> FakeProvider:
    return FakeProvider(completion_of(), ProviderName.ANTHROPIC)


@pytest.fixture
def second() -> FakeProvider:
    return FakeProvider(completion_of(), ProviderName.OPENAI)


@pytest.fixture
def core(first: FakeProvider, second: FakeProvider) -> Core:
    return Core(provider=first, others=[second])


def _at(
    error: Exception, *names: ProviderName, times: int = 1_000_000
) -> Callable[[Attempt], Exception | None]:
    left = [error] * times if times < 1_000 else None

    def refuse(attempt: Attempt) -> Exception | None:
        if names and attempt.target.provider not in names:
            return None
        if left is None:
            return error
        return left.pop() if left else None

    return refuse


def _is_settled_once(budget: FakeBudget) -> bool:
    return sorted(budget.granted) == sorted(budget.settled_ids)


@WAYS
async def test_where_nothing_may_be_spent_the_request_is_refused_at_once(
    core: Core, first: FakeProvider, second: FakeProvider, way: str
) -> None:
    setattr(core.budget, way, _at(_OVER))
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Failed)
    assert (ending.error, ending.attempts) == (_OVER, ())
    assert ending.error.code is ErrorCode.LLM_COST_LIMIT_EXCEEDED
    assert (first.calls, second.calls, core.budget.settled) == ([], [], [])
    assert core.slots.running(Lane.NORMAL) == 0


@WAYS
async def test_another_target_is_tried_where_that_is_allowed(
    core: Core, first: FakeProvider, way: str
) -> None:
    setattr(core.budget, way, _at(_OVER_HERE, ProviderName.ANTHROPIC))
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Completed)
    assert (ending.target.provider, first.calls) == (ProviderName.OPENAI, [])
    assert len(ending.attempts) == 1


async def test_where_no_target_fits_it_is_refused_for_that(core: Core) -> None:
    core.budget.refuse = _at(_OVER_HERE)
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Failed)
    assert (ending.error, ending.target.provider) == (_OVER_HERE, ProviderName.ANTHROPIC)


async def test_where_the_others_have_failed_for_good_the_budget_is_the_reason(core: Core) -> None:
    core.others[0].answer = RefusedError("no", billing=Billing())
    core.budget.refuse = _at(_OVER_HERE, ProviderName.ANTHROPIC)
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Failed)
    assert ending.error is _OVER_HERE
    assert len(ending.attempts) == 1


async def test_target_that_may_be_well_again_is_waited_for(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    second.next_answers = [_DOWN]
    core.budget.refuse = _at(_OVER_HERE, ProviderName.ANTHROPIC)
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Completed)
    assert (len(second.calls), first.calls) == (2, [])


@WAYS
async def test_what_does_not_fit_now_goes_to_another_target(
    core: Core, first: FakeProvider, way: str
) -> None:
    setattr(core.budget, way, _at(_BUSY, ProviderName.ANTHROPIC))
    ending = await resolve(core.orchestrator(), arriving())
    assert isinstance(ending, Completed)
    assert first.calls == []
    assert _is_settled_once(core.budget)


async def test_what_does_not_fit_now_waits_ever_longer_without_a_running_slot(core: Core) -> None:
    core.others, asked_at_s = [], list[float]()
    began_s = asyncio.get_running_loop().time()

    def refuse(_attempt: Attempt) -> Exception | None:
        asked_at_s.append(asyncio.get_running_loop().time() - began_s)
        return _BUSY if len(asked_at_s) < 7 else None

    core.budget.refuse = refuse
    task = asyncio.ensure_future(resolve(core.orchestrator(), arriving()))
    await asyncio.sleep(1)
    assert core.slots.running(Lane.NORMAL) == 0
    assert isinstance(await task, Completed)
    assert asked_at_s == pytest.approx([0, 0.2, 0.6, 1.4, 3, 5, 7], abs=0.01)


async def test_what_never_fits_ends_before_its_deadline_and_may_be_sent_again(core: Core) -> None:
    core.budget.refuse = _at(_BUSY)
    ending = await resolve(core.orchestrator(), arriving(within_s=20))
    assert isinstance(ending, Failed)
    assert (ending.error.code, ending.error.is_retryable) == (ErrorCode.RATE_LIMIT, True)
    assert "budget" in ending.error.message
    assert "nothing was spent" in ending.error.message
    assert (ending.attempts, core.budget.settled) == ((), [])


async def test_waiting_for_the_budget_is_let_go_by_a_drain(core: Core) -> None:
    core.budget.refuse = _at(_BUSY)
    orchestrator = core.orchestrator()
    task = asyncio.ensure_future(resolve(orchestrator, arriving()))
    await asyncio.sleep(1)
    orchestrator.let_go()
    assert await task == LetGo()


async def test_every_reservation_is_settled_once_whatever_the_answers(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    first.next_answers = [_DOWN, ZeroDivisionError(), RefusedError("no", billing=Billing())] * 20
    second.next_answers = [_DOWN, completion_of()] * 40
    core.budget.refuse = _at(_BUSY, ProviderName.ANTHROPIC, times=30)
    await resolve_all(core.orchestrator(), [arriving() for _ in range(40)])
    assert len(core.budget.granted) > 40
    assert _is_settled_once(core.budget)


async def test_defect_in_the_telling_leaves_no_reservation_behind(core: Core) -> None:
    class Broken(RecordingLog):
        @override
        def ended(self, _finished: object) -> None:
            raise ZeroDivisionError

    await resolve(core.orchestrator(), arriving(), Broken())
    assert _is_settled_once(core.budget)
    assert core.budget.settled == [completion_of().billing]
