"""Whatever providers do to a crowd of requests, the orchestrator's promises hold."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.application.gate import Limits
from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.breaker import BreakerState
from llm_worker.domain.errors import (
    AuthenticationFailedError,
    MalformedAnswerError,
    ProviderDownError,
    ProviderError,
    RateLimitedError,
    RefusedError,
)
from llm_worker.domain.outcome import Completed, Failed, LetGo
from llm_worker.domain.results import completed_result, failed_result
from llm_worker.domain.strategies import Strategy
from llm_worker.domain.verdict import Billing, total_cost
from tests.support.builders import completion_of
from tests.support.core import Core, arriving, resolve
from tests.support.fakes import FakeProvider
from tests.support.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from llm_worker.application.orchestrator import Ending, Orchestrator

_PAID = Billing(cost_usd=Decimal("0.25"))
_NAMES = (ProviderName.ANTHROPIC, ProviderName.OPENAI, ProviderName.GOOGLE)
_answers = st.sampled_from(
    [
        *[completion_of()] * 4,
        completion_of(cost_usd=None),
        None,
        ProviderDownError("503"),
        ProviderDownError("503", retry_after_s=3),
        RateLimitedError("429"),
        RateLimitedError("429", retry_after_s=20),
        RateLimitedError("429", retry_after_s=4_000),
        AuthenticationFailedError("401"),
        RefusedError("no", billing=_PAID),
        MalformedAnswerError("no winner", answer="tie", billing=_PAID),
        KeyError("choices"),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrival:
    """A request to come: after how long, in which lane, how patient, and whether it is cut off."""

    after_s: float
    lane: Lane
    within_s: float
    cancelled_after_s: float | None


@st.composite
def _providers(draw: st.DrawFn) -> list[FakeProvider]:
    return [
        FakeProvider(
            draw(_answers),
            name=name,
            default_model="m",
            timeout_s=draw(st.sampled_from([5.0, 45.0])),
            takes_s=draw(st.sampled_from([0.0, 0.5, 10.0])),
            next_answers=draw(st.lists(_answers, max_size=12)),
        )
        for name in _NAMES[: draw(st.integers(1, 3))]
    ]


_limits = st.builds(
    Limits,
    max_in_flight=st.integers(1, 6),
    requests_per_minute=st.none() | st.sampled_from([1.0, 20.0, 600.0]),
    tokens_per_minute=st.none() | st.sampled_from([500.0, 100_000.0]),
)
_arrivals = st.lists(
    st.builds(
        _Arrival,
        after_s=st.sampled_from([0.0, 0.0, 0.1, 30.0]),
        lane=st.sampled_from(Lane),
        within_s=st.sampled_from([-1.0, 1.0, 60.0, 300.0]),
        cancelled_after_s=st.none() | st.none() | st.sampled_from([0.0, 0.3, 20.0]),
    ),
    min_size=1,
    max_size=20,
)


async def _arrive(orchestrator: Orchestrator, arrivals: list[_Arrival]) -> list[Ending]:
    """Let the requests come, and hold each to its own promises."""
    tasks = []
    for arrival in arrivals:
        await asyncio.sleep(arrival.after_s)
        request = arriving(lane=arrival.lane, within_s=arrival.within_s)
        task = asyncio.ensure_future(resolve(orchestrator, request))
        if arrival.cancelled_after_s is not None:
            asyncio.get_running_loop().call_later(arrival.cancelled_after_s, task.cancel)
        tasks.append(task)
    found = await asyncio.gather(*tasks, return_exceptions=True)
    endings = [ending for ending in found if not isinstance(ending, asyncio.CancelledError)]
    for ending in endings:
        assert not isinstance(ending, BaseException), ending
        _check_ending(ending)
    return [ending for ending in endings if not isinstance(ending, BaseException)]


def _check_ending(ending: Ending) -> None:
    failures = [each.ending for each in ending.attempts if isinstance(each.ending, ProviderError)]
    asked_for_good: set[object] = set()
    for finished in ending.attempts:
        is_repair = finished.attempt.repair is not None
        assert is_repair or finished.attempt.target not in asked_for_good
        if isinstance(finished.ending, ProviderError) and not finished.ending.is_retryable:
            asked_for_good.add(finished.attempt.target)
    assert sum(each.attempt.repair is not None for each in ending.attempts) <= 1
    assert [each.attempt.number for each in ending.attempts] == [
        number + 1 for number in range(len(ending.attempts))
    ]
    match ending:
        case Completed():
            assert len(failures) == len(ending.attempts) - 1
            _check_cost(ending, completed_result(ending).cost_estimate)
        case Failed():
            assert len(failures) == len(ending.attempts)
            assert not failures or ending.error in failures
            _check_cost(ending, failed_result(ending).cost_estimate)
        case LetGo():
            assert len(failures) == len(ending.attempts)


def _check_cost(ending: Completed | Failed, told: float) -> None:
    assert told == float(total_cost(ending.billings) or 0)


def _check_what_is_left(core: Core, orchestrator: Orchestrator) -> None:
    """Nothing that was taken may be kept when nobody is there any more."""
    for lane in Lane:
        assert (core.slots.running(lane), core.slots.waiting(lane)) == (0, 0)
        for gate in orchestrator.board.gates.values():
            assert (gate.slots.running(lane), gate.waiting(lane)) == (0, 0)
    assert BreakerState.HALF_OPEN not in orchestrator.board.breaker_states().values()


def _check_provider(provider: FakeProvider, limits: Limits, *, was_any_cut_off: bool) -> None:
    assert provider.most_running <= limits.max_in_flight
    # Calls are cut off only at the end of a process, where nobody counts its minutes any more.
    if limits.requests_per_minute is not None and not was_any_cut_off:
        at_s = provider.called_at_s
        most = max((sum(s <= each < s + 59.999 for each in at_s) for s in at_s), default=0)
        assert most <= limits.requests_per_minute


@settings(max_examples=150, deadline=None)
@given(
    providers=_providers(),
    limits=st.lists(_limits, min_size=3, max_size=3),
    arrivals=_arrivals,
    strategy=st.sampled_from(Strategy),
    drained_after_s=st.none() | st.sampled_from([0.0, 1.0, 40.0]),
)
def test_promises_hold_for_any_crowd_and_any_providers(
    providers: list[FakeProvider],
    limits: list[Limits],
    arrivals: list[_Arrival],
    strategy: Strategy,
    drained_after_s: float | None,
) -> None:
    core = Core(
        provider=providers[0],
        others=providers[1:],
        limits=dict(zip(_NAMES, limits, strict=True)),
        strategy=strategy,
    )

    async def run() -> None:
        orchestrator = core.orchestrator()
        if drained_after_s is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(drained_after_s, orchestrator.board.let_go)
            loop.call_later(drained_after_s, core.slots.let_go)
        endings = await _arrive(orchestrator, arrivals)
        assert all(len(ending.attempts) <= core.attempts_at_most for ending in endings)
        assert drained_after_s is not None or not any(isinstance(e, LetGo) for e in endings)
        _check_what_is_left(core, orchestrator)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
    was_any_cut_off = any(arrival.cancelled_after_s is not None for arrival in arrivals)
    for provider in providers:
        _check_provider(provider, core.limits[provider.name], was_any_cut_off=was_any_cut_off)
        for at_s, (request, _) in zip(provider.called_at_s, provider.calls, strict=True):
            assert at_s < request.deadline_s


def test_crowd_is_served_at_the_end_of_an_outage_without_a_storm() -> None:
    provider = FakeProvider(ProviderDownError("503"), default_model="m", takes_s=1.0)
    core = Core(provider=provider, limits={provider.name: Limits(max_in_flight=8)})

    def recover() -> None:
        if provider.called_at_s[-1] > 1_100:
            provider.answer = completion_of()

    provider.before_answering = recover

    async def run() -> list[Ending]:
        orchestrator = core.orchestrator()
        arrivals = [
            replace(
                _Arrival(after_s=0, lane=Lane.NORMAL, within_s=300, cancelled_after_s=None),
                lane=lane,
            )
            for lane in Lane
            for _ in range(100)
        ]
        return await _arrive(orchestrator, arrivals)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        endings = runner.run(run())
    assert sum(isinstance(ending, Completed) for ending in endings) == 200
    assert len(provider.calls) <= 200 + 8 + 2
