"""What many requests do together: limits, pauses, circuit breakers, drains."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from llm_worker.application.gate import Limits
from llm_worker.application.slots import RunningSlots
from llm_worker.contracts.vocabulary import ErrorCode, Lane, ProviderName
from llm_worker.domain.errors import ProviderDownError, RateLimitedError
from llm_worker.domain.outcome import Completed, Failed, LetGo
from llm_worker.domain.strategies import Strategy
from llm_worker.domain.verdict import CallFacts, LimitKind, ReportedLimit
from tests.support.builders import completion_of
from tests.support.core import Core, arriving, resolve, resolve_all
from tests.support.fakes import FakeProvider

if TYPE_CHECKING:
    from llm_worker.application.orchestrator import Ending

_DOWN = ProviderDownError("503", facts=CallFacts(http_status=503))
_A, _B = ProviderName.ANTHROPIC, ProviderName.OPENAI


@pytest.fixture
def first() -> FakeProvider:
    return FakeProvider(completion_of(), name=_A, default_model="claude")


@pytest.fixture
def second() -> FakeProvider:
    return FakeProvider(completion_of(), name=_B, default_model="gpt")


@pytest.fixture
def core(first: FakeProvider, second: FakeProvider) -> Core:
    return Core(
        provider=first,
        others=[second],
        slots=RunningSlots(400, tuple(Lane)),
        limits={name: Limits(max_in_flight=16) for name in (_A, _B)},
    )


@pytest.fixture
def alone(core: Core) -> Core:
    core.others = []
    return core


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _verdicts(endings: list[Ending]) -> int:
    return sum(isinstance(ending, Completed) for ending in endings)


def _codes(endings: list[Ending]) -> Counter[str]:
    return Counter(
        ending.error.code if isinstance(ending, Failed) else type(ending).__name__
        for ending in endings
    )


def _most_in_a_minute(times_s: list[float]) -> int:
    return max(sum(start <= each < start + 60 - 1e-6 for each in times_s) for start in times_s)


# In flight


async def test_no_more_calls_run_at_a_provider_than_allowed(
    alone: Core, first: FakeProvider
) -> None:
    first.takes_s = 1
    endings = await resolve_all(
        alone.orchestrator(), [arriving(lane=lane) for lane in Lane for _ in range(100)]
    )
    assert _verdicts(endings) == 200
    assert first.most_running == 16
    assert _now_s() - first.called_at_s[0] == pytest.approx(200 / 16, abs=2)


async def test_server_that_takes_one_call_at_a_time_gets_one_at_a_time(
    alone: Core, first: FakeProvider
) -> None:
    alone.limits = {_A: Limits(max_in_flight=1)}
    first.takes_s = 1
    endings = await resolve_all(
        alone.orchestrator(), [arriving(lane=lane) for lane in Lane for _ in range(10)]
    )
    assert (_verdicts(endings), first.most_running) == (20, 1)


async def test_provider_at_its_limit_holds_up_nobody_who_goes_elsewhere(
    core: Core, first: FakeProvider
) -> None:
    first.takes_s = 40
    orchestrator = core.orchestrator()
    crowd = [asyncio.ensure_future(resolve(orchestrator, arriving())) for _ in range(100)]
    await asyncio.sleep(1)
    began_s = _now_s()
    other = {"provider_override": "openai"}
    endings = await resolve_all(
        orchestrator, [arriving(llm_config_overrides=other) for _ in range(50)]
    )
    assert (_verdicts(endings), _now_s()) == (50, began_s)
    assert first.running == 12
    for waiting in crowd:
        waiting.cancel()
    await asyncio.wait(crowd)


async def test_provider_that_hangs_holds_at_most_its_own_limit_and_then_its_work_goes_elsewhere(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    first.answer, first.timeout_s = None, 45
    endings = await resolve_all(
        core.orchestrator(), [arriving(lane=lane) for lane in Lane for _ in range(100)]
    )
    assert _verdicts(endings) == 200
    assert first.most_running == 16
    assert (len(first.calls), len(second.calls)) == (16, 200)
    assert _now_s() - first.called_at_s[0] == pytest.approx(45)


async def test_work_of_a_target_that_closes_leaves_it_before_its_slowest_call_ends(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    first.next_answers = [*[None] * 9, *[_DOWN] * 3]
    began_s, orchestrator = _now_s(), core.orchestrator()
    crowd = [asyncio.ensure_future(resolve(orchestrator, arriving())) for _ in range(50)]
    await asyncio.sleep(1)
    assert [task.done() for task in crowd].count(True) == 41
    assert len(second.calls) == 41
    await asyncio.gather(*crowd)
    assert _now_s() - began_s == pytest.approx(first.timeout_s)


@pytest.mark.parametrize(
    ("strategy", "at_first"), [(Strategy.PRIORITY, 20), (Strategy.WEIGHTED_RANDOM, 12)]
)
async def test_work_over_a_limit_waits_or_spills_as_the_strategy_says(
    core: Core, first: FakeProvider, second: FakeProvider, strategy: Strategy, at_first: int
) -> None:
    core.strategy, core.weights = strategy, {_A: 1.0, _B: 0.0}
    first.takes_s = second.takes_s = 1
    endings = await resolve_all(core.orchestrator(), [arriving() for _ in range(20)])
    assert _verdicts(endings) == 20
    assert (len(first.calls), len(second.calls)) == (at_first, 20 - at_first)


# Requests and tokens a minute


async def test_requests_over_the_minutes_limit_wait_and_none_fails(
    alone: Core, first: FakeProvider
) -> None:
    alone.limits = {_A: Limits(max_in_flight=16, requests_per_minute=60)}
    endings = await resolve_all(alone.orchestrator(), [arriving() for _ in range(200)])
    assert _verdicts(endings) == 200
    assert _most_in_a_minute(first.called_at_s) <= 60
    assert first.called_at_s[-1] - first.called_at_s[0] < 200 * 1.05


async def test_tokens_over_the_minutes_limit_wait_and_none_fails(
    alone: Core, first: FakeProvider
) -> None:
    alone.limits = {_A: Limits(max_in_flight=16, tokens_per_minute=6_000)}
    requests = [arriving() for _ in range(60)]
    endings = await resolve_all(alone.orchestrator(), requests)
    assert _verdicts(endings) == 60
    # About 220 tokens are reserved for each, and 15 used: what was not used is given back.
    assert _most_in_a_minute(first.called_at_s) <= 6_000 / 15
    assert first.called_at_s[-1] > first.called_at_s[0]


async def test_what_cannot_go_before_its_deadline_goes_to_the_next_target_at_once(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    core.limits |= {_A: Limits(max_in_flight=100, requests_per_minute=60)}
    began_s = _now_s()
    endings = await resolve_all(core.orchestrator(), [arriving(within_s=60) for _ in range(200)])
    assert _verdicts(endings) == 200
    assert len(first.calls) >= 58
    assert set(second.called_at_s) == {began_s}


async def test_load_that_no_limit_leaves_room_for_is_held_and_ends_as_a_rate_limit(
    alone: Core, first: FakeProvider
) -> None:
    alone.limits = {_A: Limits(max_in_flight=100, requests_per_minute=60)}
    orchestrator, ended_s = alone.orchestrator(), []

    async def ending() -> Ending:
        found = await resolve(orchestrator, arriving(within_s=60))
        if isinstance(found, Failed):
            ended_s.append(_now_s())
        return found

    began_s = _now_s()
    endings = await asyncio.gather(*(ending() for _ in range(200)))
    assert _verdicts(endings) >= 58
    assert _codes(endings).keys() == {"Completed", ErrorCode.RATE_LIMIT}
    # Answered at once, they would make room for the next ones in Kafka to be answered so, too.
    assert min(ended_s) > began_s + 50
    assert _most_in_a_minute(first.called_at_s) <= 60


async def test_bulk_work_does_not_use_up_the_minutes_of_the_other_lane(alone: Core) -> None:
    alone.limits = {_A: Limits(max_in_flight=300, requests_per_minute=60)}
    orchestrator = alone.orchestrator()
    bulk = [
        asyncio.ensure_future(resolve(orchestrator, arriving(lane=Lane.BULK))) for _ in range(250)
    ]
    await asyncio.sleep(1)
    began_s = _now_s()
    endings = await resolve_all(orchestrator, [arriving() for _ in range(3)])
    assert _verdicts(endings) == 3
    assert _now_s() - began_s < 8
    assert _verdicts(await asyncio.gather(*bulk)) == 250


async def test_what_the_providers_headers_say_slows_the_work_down(
    alone: Core, first: FakeProvider
) -> None:
    told = ReportedLimit(kind=LimitKind.REQUESTS, per_minute=30, remaining=1, reset_s=2.0)
    first.answer = replace(completion_of(), facts=CallFacts(limits=(told,)))
    orchestrator = alone.orchestrator()
    await resolve(orchestrator, arriving())
    endings = await resolve_all(orchestrator, [arriving() for _ in range(40)])
    assert _verdicts(endings) == 40
    assert _most_in_a_minute(first.called_at_s[1:]) <= 30


# Pauses


async def test_crowd_waits_as_long_as_the_provider_asks_and_comes_back_slowly(
    alone: Core, first: FakeProvider
) -> None:
    began_s = _now_s()

    def limit() -> None:
        is_too_soon = _now_s() < began_s + 20
        first.answer = (
            RateLimitedError("429", retry_after_s=began_s + 20 - _now_s())
            if is_too_soon
            else completion_of()
        )

    first.before_answering, first.takes_s = limit, 0.5
    endings = await resolve_all(alone.orchestrator(), [arriving() for _ in range(100)])
    assert _verdicts(endings) == 100
    # Those that ran were sent away once each; everybody else came when it was time.
    assert len(first.calls) == 112
    assert not [at_s for at_s in first.called_at_s if began_s < at_s < began_s + 20]
    first_round = [at_s for at_s in first.called_at_s if began_s + 20 <= at_s < began_s + 20.4]
    assert len(first_round) <= 6, "half of those that ran"
    rounds = Counter(round((at_s - began_s - 20) * 2) for at_s in first.called_at_s[12:])
    assert [rounds[number] for number in range(3)] == sorted(rounds[number] for number in range(3))


async def test_pause_of_one_provider_sends_its_work_elsewhere_at_once(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    first.answer, first.takes_s = RateLimitedError("429", retry_after_s=20), 0.5
    began_s = _now_s()
    endings = await resolve_all(core.orchestrator(), [arriving() for _ in range(100)])
    assert (_verdicts(endings), _now_s()) == (100, began_s + 0.5)
    assert (len(first.calls), len(second.calls)) == (12, 100)


async def test_rate_limits_do_not_open_the_breaker(alone: Core, first: FakeProvider) -> None:
    first.next_answers = [RateLimitedError("429", retry_after_s=1)] * 20
    alone.attempts_at_most = 30
    assert isinstance(await resolve(alone.orchestrator(), arriving()), Completed)
    assert alone.telemetry.breaker_moves == []


# Drains


async def test_drain_lets_everybody_go_who_waits_and_nobody_who_runs(
    core: Core, first: FakeProvider
) -> None:
    core.limits = {
        _A: Limits(max_in_flight=4),
        _B: Limits(max_in_flight=16, requests_per_minute=1),
    }
    first.takes_s = 10
    orchestrator = core.orchestrator()
    other = {"provider_override": "openai"}
    tasks = [
        *[asyncio.ensure_future(resolve(orchestrator, arriving())) for _ in range(20)],
        *[
            asyncio.ensure_future(resolve(orchestrator, arriving(llm_config_overrides=other)))
            for _ in range(4)
        ],
    ]
    await asyncio.sleep(1)
    began_s = _now_s()
    orchestrator.board.let_go()
    core.slots.let_go()
    await asyncio.sleep(0.1)
    endings = [task.result() for task in tasks if task.done()]
    assert _codes(endings) == {"LetGo": 20, "Completed": 1}
    running = await asyncio.gather(*(task for task in tasks if not task.done()))
    assert _codes(running) == {"Completed": 3}
    assert _now_s() - began_s == pytest.approx(9)
    assert isinstance(await resolve(orchestrator, arriving()), LetGo)
