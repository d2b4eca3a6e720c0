from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from llm_worker.application.gate import Limits
from llm_worker.application.slots import Grant
from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.breaker import BreakerState
from llm_worker.domain.errors import (
    AuthenticationFailedError,
    PermissionDeniedError,
    PromptTooLongError,
    ProviderDownError,
    QuotaExhaustedError,
    RateLimitedError,
    RefusedError,
    RequestRefusedError,
    UnreachableError,
)
from llm_worker.domain.judging import expected_usage
from llm_worker.domain.outcome import BreakerMove, Target
from llm_worker.domain.pursuit import Go, Hindrance, Pursuit, Readiness
from llm_worker.domain.routing import Route
from llm_worker.domain.strategies import Strategy
from tests.support.builders import attempt_of, completion_of
from tests.support.core import Core
from tests.support.fakes import FakeProvider, LoopClock

if TYPE_CHECKING:
    from llm_worker.application.switchboard import Switchboard
    from llm_worker.domain.errors import ProviderError
    from llm_worker.domain.verdict import Completion

_A = Target(provider=ProviderName.ANTHROPIC, model="claude")
_A2 = Target(provider=ProviderName.ANTHROPIC, model="claude-2")
_B = Target(provider=ProviderName.OPENAI, model="gpt")
_DOWN = ProviderDownError("503")
_READY = Readiness(float("-inf"))


@pytest.fixture
def core() -> Core:
    providers = [
        FakeProvider(completion_of(), name=target.provider, default_model=target.model)
        for target in (_A, _B)
    ]
    return Core(provider=providers[0], others=providers[1:])


@pytest.fixture
def board(core: Core) -> Switchboard:
    return core.board()


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _open(board: Switchboard, target: Target = _A) -> None:
    moves = [board.ended(target, _DOWN) for _ in range(3)]
    assert moves == [None, None, BreakerMove.OPENED]


def _score(
    board: Switchboard, target: Target, ending: Completion | ProviderError, seconds: float
) -> None:
    finished = attempt_of(ending)
    attempt = replace(finished.attempt, target=target)
    board.scored(replace(finished, attempt=attempt, response_time_ms=round(seconds * 1000)))


async def test_target_that_nothing_is_known_of_is_ready(board: Switchboard) -> None:
    assert board.readiness(_A, Lane.NORMAL) == _READY
    assert board.admits(_A)
    assert not board.is_probing(_A)


async def test_breaker_is_per_provider_and_model(board: Switchboard) -> None:
    _open(board, _A)
    assert not board.admits(_A)
    assert board.admits(_A2)
    assert board.admits(_B)
    assert board.breaker_states() == {_A: BreakerState.OPEN}


async def test_open_target_is_ready_when_its_probe_is_due(board: Switchboard) -> None:
    _open(board)
    assert board.readiness(_A, Lane.NORMAL) == Readiness(_now_s() + 60, Hindrance.OPEN)
    await asyncio.sleep(60)
    assert board.readiness(_A, Lane.NORMAL) == _READY


async def test_target_that_is_probed_is_open_to_nobody_else(board: Switchboard) -> None:
    _open(board)
    await asyncio.sleep(60)
    assert board.admits(_A)
    assert board.is_probing(_A)
    assert not board.admits(_A)
    standing = board.readiness(_A, Lane.NORMAL)
    assert standing.hindrance is Hindrance.OPEN
    assert standing.at_s > _now_s()


@pytest.mark.parametrize(
    "error",
    [
        _DOWN,
        UnreachableError("cut"),
        AuthenticationFailedError("401"),
        PermissionDeniedError("403"),
        QuotaExhaustedError("402"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_failure_that_says_that_the_target_is_unwell_counts_for_its_breaker(
    board: Switchboard, error: ProviderError
) -> None:
    assert [board.ended(_A, error) for _ in range(3)][-1] is BreakerMove.OPENED


@pytest.mark.parametrize(
    "error",
    [
        RateLimitedError("429"),
        RefusedError("no"),
        PromptTooLongError("long"),
        RequestRefusedError("400"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_failure_that_is_about_one_request_never_opens_a_breaker(
    board: Switchboard, error: ProviderError
) -> None:
    assert [board.ended(_A, error) for _ in range(10)] == [None] * 10
    assert board.breaker_states() == {}


@pytest.mark.parametrize(
    "ending", [completion_of(), RefusedError("no"), RateLimitedError("429")], ids=str
)
async def test_probe_that_is_answered_in_any_way_closes_the_breaker(
    core: Core, board: Switchboard, ending: Completion | ProviderError
) -> None:
    _open(board)
    await asyncio.sleep(60)
    board.admits(_A)
    assert board.ended(_A, ending, is_probe=True) is BreakerMove.CLOSED
    assert board.breaker_states() == {}
    assert [state for _, state in core.telemetry.breaker_moves] == ["open", "half_open", "closed"]


async def test_probe_that_fails_opens_the_breaker_again(board: Switchboard) -> None:
    _open(board)
    await asyncio.sleep(60)
    board.admits(_A)
    assert board.ended(_A, _DOWN, is_probe=True) is BreakerMove.OPENED
    assert board.readiness(_A, Lane.NORMAL) == Readiness(_now_s() + 60, Hindrance.OPEN)


@pytest.mark.parametrize("ending", [_DOWN, RefusedError("no"), completion_of()], ids=str)
async def test_call_that_went_before_moves_nothing_while_the_probe_runs(
    board: Switchboard, ending: Completion | ProviderError
) -> None:
    _open(board)
    await asyncio.sleep(60)
    board.admits(_A)
    assert board.ended(_A, ending) is None
    assert board.breaker_states() == {_A: BreakerState.HALF_OPEN}


async def test_sign_of_life_hastens_the_probes_of_its_provider_alone(board: Switchboard) -> None:
    _open(board, _A)
    _open(board, _B)
    board.hasten(ProviderName.ANTHROPIC)
    assert board.readiness(_A, Lane.NORMAL) == _READY
    assert board.readiness(_B, Lane.NORMAL).hindrance is Hindrance.OPEN
    assert board.breaker_states() == {_A: BreakerState.OPEN, _B: BreakerState.OPEN}


@pytest.mark.parametrize("moves", ["hastened", "abandoned"])
async def test_whoever_waits_looks_again_when_a_probe_may_go(
    board: Switchboard, moves: str
) -> None:
    _open(board)
    await asyncio.sleep(60)
    board.admits(_A)
    waiting = asyncio.ensure_future(board.bell.wait(_now_s() + 3_600))
    await asyncio.sleep(1)
    assert not waiting.done()
    if moves == "hastened":
        board.hasten(ProviderName.ANTHROPIC)
    else:
        board.abandoned(_A)
    began_s = _now_s()
    assert await waiting
    assert _now_s() == began_s


async def test_provider_that_asks_for_a_pause_is_left_alone_with_all_its_models(
    board: Switchboard,
) -> None:
    board.ended(_A, RateLimitedError("429", retry_after_s=20))
    for target in (_A, _A2):
        assert board.readiness(target, Lane.NORMAL) == Readiness(_now_s() + 20, Hindrance.LIMITED)
        assert not board.admits(target)
    assert board.admits(_B)
    await asyncio.sleep(20)
    assert board.admits(_A)


async def test_pause_may_be_asked_for_with_any_failure(board: Switchboard) -> None:
    board.ended(_A, ProviderDownError("503", retry_after_s=7))
    assert board.readiness(_A, Lane.NORMAL).at_s == _now_s() + 7


async def test_target_at_its_limit_is_busy(core: Core) -> None:
    core.limits = {ProviderName.ANTHROPIC: Limits(max_in_flight=1)}
    board = core.board()
    await board.gates[ProviderName.ANTHROPIC].enter(Lane.NORMAL, 1, _now_s() + 1)
    standing = board.readiness(_A, Lane.NORMAL)
    assert standing.hindrance is Hindrance.BUSY
    assert standing.at_s <= _now_s()
    assert board.readiness(_B, Lane.NORMAL) == _READY


async def test_provider_is_idle_when_nobody_asked_it_lately(board: Switchboard) -> None:
    assert board.is_idle(ProviderName.ANTHROPIC, 60)
    _score(board, _A, completion_of(), 1)
    assert not board.is_idle(ProviderName.ANTHROPIC, 60)
    await asyncio.sleep(60)
    assert board.is_idle(ProviderName.ANTHROPIC, 60)


async def test_order_of_a_single_target_needs_no_thought(board: Switchboard) -> None:
    route = Route((_A,), Strategy.LEAST_COST)
    assert board.in_order(route, 1_000) == (_A,)


async def test_routes_take_turns_each_by_itself(board: Switchboard) -> None:
    one, other = Route((_A, _B), Strategy.ROUND_ROBIN), Route((_B, _A2), Strategy.ROUND_ROBIN)
    firsts = [board.in_order(route, 1)[0] for route in (one, other, one, other, one)]
    assert firsts == [_A, _B, _B, _A2, _A]


async def test_cost_is_expected_from_the_size_of_the_prompt(core: Core) -> None:
    cheap_for_all = core.others[0]
    core.provider.models.usd_per_token = Decimal("0.002")
    cheap_for_all.models.usd_per_token = Decimal("0.001")
    assert core.board().in_order(Route((_A, _B), Strategy.LEAST_COST), 4_000) == [_B, _A]
    usage = expected_usage(4_000)
    assert (usage.prompt_tokens, usage.completion_tokens) == (1_200, 300)


async def test_fastest_is_first_and_whoever_was_not_measured_lately_before_it_once(
    board: Switchboard,
) -> None:
    route = Route((_A, _B), Strategy.LEAST_LATENCY)
    assert [board.in_order(route, 1)[0] for _ in range(2)] == [_A, _B]
    _score(board, _A, completion_of(), 2.0)
    _score(board, _B, completion_of(), 0.5)
    assert [board.in_order(route, 1)[0] for _ in range(3)] == [_B] * 3
    await asyncio.sleep(61)
    _score(board, _B, completion_of(), 0.5)
    assert [board.in_order(route, 1)[0] for _ in range(3)] == [_A, _B, _B]


async def test_failure_is_no_latency(board: Switchboard) -> None:
    route = Route((_A, _B), Strategy.LEAST_LATENCY)
    board.in_order(route, 1)
    board.in_order(route, 1)
    _score(board, _A, _DOWN, 0.001)
    _score(board, _B, completion_of(), 2.0)
    assert board.in_order(route, 1)[0] == _B


async def test_weights_are_the_providers(core: Core) -> None:
    core.weights = {ProviderName.ANTHROPIC: 0.0, ProviderName.OPENAI: 2.0}
    board = core.board()
    orders = {
        tuple(board.in_order(Route((_A, _B), Strategy.WEIGHTED_RANDOM), 1)) for _ in range(50)
    }
    assert orders == {(_B, _A)}


async def test_memory_of_targets_is_bounded(board: Switchboard) -> None:
    for number in range(3_000):
        target = Target(provider=ProviderName.ANTHROPIC, model=f"made-up-{number}")
        board.ended(target, _DOWN)
        _score(board, target, completion_of(), 1.0)
        for strategy in (Strategy.ROUND_ROBIN, Strategy.LEAST_LATENCY):
            board.in_order(Route((target, _B), strategy), 1)
    seen = board._ordering
    memories = (board._troubles, seen._latencies, seen._looked_at_s, seen._turns)
    assert [len(memory) for memory in memories] == [1_000] * 4


async def test_view_of_a_provider_that_was_never_asked(board: Switchboard) -> None:
    view = board.view(ProviderName.ANTHROPIC)
    assert (view.name, view.default_model, view.breaker) == ("anthropic", "claude", "closed")
    assert (view.attempts, view.failures, view.success_rate, view.last_error) == (0, 0, None, None)
    assert (view.in_flight, view.waiting, view.allowed, view.max_in_flight) == (0, 0, 8, 8)
    assert (view.requests_per_minute, view.requests_left, view.paused_s) == (None, None, 0.0)
    assert view.breakers == {}


async def test_view_tells_how_a_provider_stands(core: Core) -> None:
    core.limits = {ProviderName.ANTHROPIC: Limits(max_in_flight=4, requests_per_minute=60)}
    board = core.board()
    gate = board.gates[ProviderName.ANTHROPIC]
    _score(board, _A, completion_of(), 0.25)
    _score(board, _A2, _DOWN, 0.5)
    _open(board, _A2)
    board.ended(_A, RateLimitedError("429", retry_after_s=20))
    tasks = [asyncio.ensure_future(gate.enter(Lane.NORMAL, 1, _now_s() + 3_600)) for _ in range(3)]
    await asyncio.sleep(1)
    view = board.view(ProviderName.ANTHROPIC)
    assert (view.breaker, {model: each.state for model, each in view.breakers.items()}) == (
        BreakerState.CLOSED,
        {"claude-2": BreakerState.OPEN},
    )
    assert (view.attempts, view.failures, view.success_rate) == (2, 1, 0.5)
    assert (view.average_response_ms, view.p50_response_ms, view.p95_response_ms) == (250, 250, 250)
    assert view.last_error == "503"
    assert (view.in_flight, view.waiting, view.allowed, view.max_in_flight) == (1, 2, 2, 4)
    assert view.paused_s == pytest.approx(19)
    assert view.requests_left == pytest.approx(2 + 58 / 60)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_provider_that_is_not_enabled_is_called_no_more_until_it_is(
    board: Switchboard,
) -> None:
    limits = dict.fromkeys(board.providers, Limits(max_in_flight=8))
    waiting = asyncio.ensure_future(board.bell.wait(_now_s() + 3_600))
    await asyncio.sleep(0)
    board.adopt(limits, enabled={ProviderName.OPENAI})
    assert await waiting, "whoever waits looks again"
    for target in (_A, _A2):
        assert board.readiness(target, Lane.NORMAL).hindrance is Hindrance.OFF
        assert not board.admits(target)
    assert board.admits(_B)
    assert not board.view(ProviderName.ANTHROPIC).enabled
    assert board.view(ProviderName.OPENAI).enabled

    board.adopt(limits, enabled=board.providers)
    assert board.readiness(_A, Lane.NORMAL) == _READY
    assert board.admits(_A)
    assert board.view(ProviderName.ANTHROPIC).enabled


async def test_limits_of_providers_are_adopted(board: Switchboard) -> None:
    limits = {
        ProviderName.ANTHROPIC: Limits(max_in_flight=3),
        ProviderName.OPENAI: Limits(max_in_flight=20),
    }
    board.adopt(limits, enabled=board.providers)
    found = {name: board.view(name) for name in board.providers}
    assert [(view.allowed, view.max_in_flight) for view in found.values()] == [(3, 3), (20, 20)]


async def test_breakers_in_use_are_those_of_targets_in_trouble(board: Switchboard) -> None:
    assert board.breakers == []
    _open(board, _A)
    board.ended(_B, _DOWN)
    assert [each.state for each in board.breakers] == [BreakerState.OPEN, BreakerState.CLOSED]
    board.ended(_B, completion_of())
    assert len(board.breakers) == 1


async def test_busy_target_is_gone_to_though_time_passes_between_two_looks_at_the_clock() -> None:
    """Red when a busy target is ready from "now": a real clock is past the caller's by then."""

    class Ticking(LoopClock):
        ticks = 0

        @override
        def monotonic(self) -> float:
            self.ticks += 1
            return super().monotonic() + self.ticks * 1e-6

    core = Core(clock=Ticking())
    core.limits = {core.provider.name: Limits(max_in_flight=2)}
    board = core.board()
    target = core.routes().first_target()
    gate = board.gates[target.provider]
    assert await gate.enter(Lane.NORMAL, 0, _now_s() + 9) is Grant.GRANTED
    pursuit = Pursuit(targets=(target,), deadline_s=_now_s() + 9, attempts_at_most=1)
    step = pursuit.next_step(
        lambda each: board.readiness(each, Lane.NORMAL), core.clock.monotonic()
    )
    assert step == Go(target)
