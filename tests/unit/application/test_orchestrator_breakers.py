"""What a target's circuit breaker does to the requests that would go there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from llm_worker.application.gate import Limits
from llm_worker.application.slots import RunningSlots
from llm_worker.contracts.vocabulary import ErrorCode, Lane, ProviderName
from llm_worker.domain.breaker import BreakerState
from llm_worker.domain.errors import ProviderDownError, ProviderError
from llm_worker.domain.outcome import BreakerMove, Completed, Failed
from llm_worker.domain.verdict import CallFacts
from tests.support.builders import completion_of
from tests.support.core import Core, arriving, resolve, resolve_all
from tests.support.fakes import FakeProvider

if TYPE_CHECKING:
    from llm_worker.application.orchestrator import Ending

_DOWN = ProviderDownError("503", facts=CallFacts(http_status=503))


@pytest.fixture
def first() -> FakeProvider:
    return FakeProvider(completion_of(), name=ProviderName.ANTHROPIC, default_model="claude")


@pytest.fixture
def second() -> FakeProvider:
    return FakeProvider(completion_of(), name=ProviderName.OPENAI, default_model="gpt")


@pytest.fixture
def core(first: FakeProvider, second: FakeProvider) -> Core:
    return Core(
        provider=first,
        others=[second],
        slots=RunningSlots(400, tuple(Lane)),
        limits={ProviderName.ANTHROPIC: Limits(max_in_flight=16)},
    )


@pytest.fixture
def alone(core: Core) -> Core:
    core.others = []
    return core


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _verdicts(endings: list[Ending]) -> int:
    return sum(isinstance(ending, Completed) for ending in endings)


async def _opened(core: Core, provider: FakeProvider) -> list[Ending]:
    """Let the threshold's number of requests fail at the provider, one after the other."""
    core.attempts_at_most, provider.answer = 1, _DOWN
    orchestrator = core.orchestrator()
    endings = [await resolve(orchestrator, arriving()) for _ in range(core.failure_threshold)]
    core.attempts_at_most = 4
    return endings


async def test_breaker_opens_with_the_failure_that_reaches_the_threshold(alone: Core) -> None:
    endings = await _opened(alone, alone.provider)
    moves = [ending.attempts[0].breaker_move for ending in endings]
    assert moves == [None, None, BreakerMove.OPENED]
    assert [state for _, state in alone.telemetry.breaker_moves] == [BreakerState.OPEN]


async def test_open_breaker_is_skipped_without_a_call(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    first.answer = _DOWN
    orchestrator = core.orchestrator()
    for _ in range(10):
        assert isinstance(await resolve(orchestrator, arriving()), Completed)
    assert (len(first.calls), len(second.calls)) == (3, 10)


async def test_one_probe_goes_after_the_recovery_timeout_and_closes_the_breaker(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    first.next_answers, first.takes_s = [_DOWN] * 3, 0.5
    orchestrator = core.orchestrator()
    for _ in range(5):
        await resolve(orchestrator, arriving())
    await asyncio.sleep(60)
    calls = len(first.calls)
    crowd = [asyncio.ensure_future(resolve(orchestrator, arriving())) for _ in range(50)]
    await asyncio.sleep(0.1)
    assert len(first.calls) == calls + 1
    assert len(second.calls) == 5 + 49
    endings = await asyncio.gather(*crowd)
    probes = [
        finished
        for ending in endings
        if isinstance(ending, Completed)
        for finished in ending.attempts
        if finished.attempt.is_probe
    ]
    assert [probe.breaker_move for probe in probes] == [BreakerMove.CLOSED]
    assert [state for _, state in core.telemetry.breaker_moves] == ["open", "half_open", "closed"]


async def test_probe_that_fails_opens_the_breaker_for_another_timeout(
    core: Core, first: FakeProvider
) -> None:
    first.answer = _DOWN
    orchestrator, began_s = core.orchestrator(), _now_s()
    for _ in range(200):
        assert isinstance(await resolve(orchestrator, arriving()), Completed)
        await asyncio.sleep(1)
    assert [round(at_s - began_s) for at_s in first.called_at_s] == [0, 1, 2, 62, 122, 182]
    assert all(
        isinstance(each.ending, ProviderError)
        == (each.attempt.target.provider is ProviderName.ANTHROPIC)
        for each in core.telemetry.attempts
    )


async def test_all_open_until_after_the_deadline_is_answered_at_once_without_a_call(
    alone: Core, first: FakeProvider
) -> None:
    alone.attempts_at_most, first.answer = 1, _DOWN
    orchestrator = alone.orchestrator()
    for _ in range(3):
        await resolve(orchestrator, arriving())
    began_s = _now_s()
    ending = await resolve(orchestrator, arriving(within_s=59))
    assert isinstance(ending, Failed)
    assert ending.error.code is ErrorCode.CIRCUIT_BREAKER_OPEN
    assert (ending.attempts, len(first.calls), _now_s()) == ((), 3, began_s)


async def test_all_open_is_waited_for_when_a_probe_may_go_before_the_deadline(
    alone: Core, first: FakeProvider
) -> None:
    alone.attempts_at_most, first.next_answers, first.takes_s = 1, [_DOWN] * 3, 1
    orchestrator = alone.orchestrator()
    for _ in range(3):
        await resolve(orchestrator, arriving())
    opened_s = _now_s()
    endings = await resolve_all(orchestrator, [arriving() for _ in range(30)])
    assert _verdicts(endings) == 30
    assert len(first.calls) == 33
    assert first.called_at_s[3] == pytest.approx(opened_s + 60)
    assert first.called_at_s[4] >= opened_s + 61


async def test_outage_costs_no_more_calls_than_probes(alone: Core, first: FakeProvider) -> None:
    first.answer, alone.failure_threshold = _DOWN, 5
    endings = await resolve_all(alone.orchestrator(), [arriving() for _ in range(500)])
    assert _verdicts(endings) == 0
    # The first ones that ran at once, and one probe a minute.
    assert len(first.calls) <= 12 + 300 / 60


@pytest.mark.parametrize("why", ["ownership", "budget", "cancelled"])
async def test_probe_that_is_abandoned_leaves_room_for_the_next_one(
    alone: Core, first: FakeProvider, why: str
) -> None:
    alone.attempts_at_most, first.next_answers = 1, [_DOWN] * 3
    orchestrator = alone.orchestrator()
    for _ in range(3):
        await resolve(orchestrator, arriving())
    await asyncio.sleep(60)
    if why == "cancelled":
        first.next_answers = [None]
        probe = asyncio.ensure_future(resolve(orchestrator, arriving()))
        await asyncio.sleep(1)
        probe.cancel()
        await asyncio.wait([probe])
    else:
        alone.ownership.is_ours, alone.budget.is_spent = why != "ownership", why == "budget"
        assert not isinstance(await resolve(orchestrator, arriving()), Completed)
        alone.ownership.is_ours, alone.budget.is_spent = True, False
    began_s = _now_s()
    ending = await resolve(orchestrator, arriving())
    assert isinstance(ending, Completed)
    assert ending.attempts[0].attempt.is_probe
    assert _now_s() == began_s


async def test_failure_of_a_call_that_went_before_is_not_taken_for_the_probes(
    core: Core, first: FakeProvider
) -> None:
    core.attempts_at_most, core.recovery_timeout_s, first.timeout_s = 1, 10, 30
    first.next_answers = [None, *[_DOWN] * 3]  # the one that hangs ends while the probe runs
    orchestrator = core.orchestrator()
    slow = asyncio.ensure_future(resolve(orchestrator, arriving()))
    await asyncio.sleep(0)
    await resolve_all(orchestrator, [arriving() for _ in range(3)])
    await asyncio.sleep(25)
    first.takes_s = 10
    probe = asyncio.ensure_future(resolve(orchestrator, arriving()))
    assert isinstance(await slow, Failed)
    assert not probe.done()
    assert [state for _, state in core.telemetry.breaker_moves] == ["open", "half_open"]
    assert isinstance(await probe, Completed)
    assert [state for _, state in core.telemetry.breaker_moves] == ["open", "half_open", "closed"]


async def test_success_of_a_call_that_went_before_lets_the_probe_go_at_once(
    core: Core, first: FakeProvider
) -> None:
    core.attempts_at_most, first.takes_s = 1, 5
    orchestrator = core.orchestrator()
    slow = asyncio.ensure_future(resolve(orchestrator, arriving()))
    await asyncio.sleep(0)
    first.takes_s, first.next_answers = 0, [_DOWN] * 3
    await resolve_all(orchestrator, [arriving() for _ in range(3)])
    completed = await slow
    assert isinstance(completed, Completed)
    assert completed.attempts[0].breaker_move is None
    ending = await resolve(orchestrator, arriving())
    assert isinstance(ending, Completed)
    assert ending.attempts[0].attempt.is_probe
    assert ending.attempts[0].breaker_move is BreakerMove.CLOSED
