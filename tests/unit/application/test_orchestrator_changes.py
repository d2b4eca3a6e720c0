"""What happens to requests under way when providers are switched and settings change."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from llm_worker.application.backoff import Backoff
from llm_worker.application.gate import Limits
from llm_worker.application.routes import Routes
from llm_worker.contracts.vocabulary import ErrorCode, ProviderName
from llm_worker.domain.errors import MalformedAnswerError, ProviderDownError
from llm_worker.domain.outcome import Completed, Failed, LetGo
from llm_worker.domain.routing import Place, Routing
from llm_worker.domain.strategies import Strategy
from llm_worker.domain.verdict import Billing
from tests.support.builders import completion_of
from tests.support.core import Core, arriving, resolve
from tests.support.fakes import FakeProvider

if TYPE_CHECKING:
    from collections.abc import Collection

    from llm_worker.application.orchestrator import Ending, Orchestrator

_ANTHROPIC, _OPENAI = ProviderName.ANTHROPIC, ProviderName.OPENAI
_DOWN = ProviderDownError("503")
_PINNED: dict[str, Any] = {"llm_config_overrides": {"provider_override": "anthropic"}}
_TURNED_OFF = "disabled meanwhile"


@pytest.fixture
def first() -> FakeProvider:
    return FakeProvider(completion_of(), name=_ANTHROPIC)


@pytest.fixture
def second() -> FakeProvider:
    return FakeProvider(completion_of(), name=_OPENAI)


@pytest.fixture
def core(first: FakeProvider, second: FakeProvider) -> Core:
    return Core(provider=first, others=[second])


def _enable(
    core: Core,
    orchestrator: Orchestrator,
    names: Collection[ProviderName],
    strategy: Strategy = Strategy.PRIORITY,
) -> None:
    """As bootstrap does when providers are switched."""
    orchestrator.routes = Routes(
        providers={name: core.providers[name] for name in names},
        routing=Routing(places=tuple(Place(provider=name) for name in names), strategy=strategy),
    )
    limits = {name: core.limits.get(name, Limits(max_in_flight=8)) for name in core.providers}
    orchestrator.board.adopt(limits, enabled=names)


def _begin(orchestrator: Orchestrator, **data: Any) -> asyncio.Future[Ending]:  # noqa: ANN401 - any field of a request
    return asyncio.ensure_future(resolve(orchestrator, arriving(**data)))


async def _settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def _asked(ending: Ending) -> list[str]:
    assert not isinstance(ending, LetGo)
    return [finished.attempt.target.provider for finished in ending.attempts]


async def test_call_that_runs_at_a_provider_that_is_disabled_ends_as_it_would(
    core: Core, first: FakeProvider
) -> None:
    first.takes_s = 5
    orchestrator = core.orchestrator()
    under_way = _begin(orchestrator)
    await _settled()
    assert first.running == 1
    _enable(core, orchestrator, [_OPENAI])

    ending = await under_way
    assert isinstance(ending, Completed)
    assert _asked(ending) == ["anthropic"]


async def test_request_after_it_goes_to_those_that_are_left(
    core: Core, first: FakeProvider
) -> None:
    orchestrator = core.orchestrator()
    _enable(core, orchestrator, [_OPENAI])
    assert _asked(await resolve(orchestrator, arriving())) == ["openai"]
    assert first.calls == []

    _enable(core, orchestrator, [_ANTHROPIC, _OPENAI])
    assert _asked(await resolve(orchestrator, arriving())) == ["anthropic"]


async def test_request_that_asks_for_a_disabled_provider_is_answered_as_at_start(
    core: Core, first: FakeProvider
) -> None:
    orchestrator = core.orchestrator()
    _enable(core, orchestrator, [_OPENAI])

    ending = await resolve(orchestrator, arriving(**_PINNED))

    assert isinstance(ending, Failed)
    assert ending.error.code is ErrorCode.CONFIGURATION_ERROR
    assert "provider anthropic is not configured here; ask one of: openai" in ending.error.message
    assert first.calls == []


async def test_request_that_waits_for_room_goes_to_the_next_target_at_once(
    core: Core, first: FakeProvider
) -> None:
    core.limits, first.takes_s = {_ANTHROPIC: Limits(max_in_flight=1)}, 20
    orchestrator = core.orchestrator()
    running = _begin(orchestrator)
    await _settled()
    waiting = _begin(orchestrator)
    await _settled()
    began_s = core.clock.monotonic()
    assert not waiting.done()
    _enable(core, orchestrator, [_OPENAI])

    assert _asked(await waiting) == ["openai"]
    assert core.clock.monotonic() == began_s
    assert _asked(await running) == ["anthropic"]
    assert len(first.calls) == 1


async def test_request_that_waits_for_a_running_slot_does_not_use_it_there(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    core.slots.resize(2)
    first.takes_s = 10
    orchestrator = core.orchestrator()
    running = _begin(orchestrator)
    await _settled()
    waiting = _begin(orchestrator)
    await _settled()
    _enable(core, orchestrator, [_OPENAI])

    assert _asked(await waiting) == ["openai"]
    assert _asked(await running) == ["anthropic"]
    assert (len(first.calls), len(second.calls)) == (1, 1)


async def test_retry_does_not_go_back_to_a_provider_that_was_disabled_meanwhile(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    core.attempts_at_most = 6
    first.answer = second.answer = _DOWN
    orchestrator = core.orchestrator()
    orchestrator.backoff = Backoff(base_s=1, longest_s=1)

    def enough() -> None:
        if len(first.calls) == 1:
            _enable(core, orchestrator, [_OPENAI])

    first.before_answering = enough
    core.failure_threshold = 100
    ending = await resolve(orchestrator, arriving())
    assert _asked(ending)[0] == "anthropic"
    assert set(_asked(ending)[1:]) == {"openai"}


async def test_repair_is_not_bought_from_a_provider_that_was_disabled_meanwhile(
    core: Core, first: FakeProvider
) -> None:
    first.answer = MalformedAnswerError("no winner", answer="tie", billing=Billing())
    orchestrator = core.orchestrator()
    first.before_answering = lambda: _enable(core, orchestrator, [_OPENAI])

    ending = await resolve(orchestrator, arriving())

    assert isinstance(ending, Completed)
    assert _asked(ending) == ["anthropic", "openai"]


async def test_request_that_could_go_nowhere_else_is_told_why(
    core: Core, first: FakeProvider
) -> None:
    core.limits, first.takes_s = {_ANTHROPIC: Limits(max_in_flight=1)}, 5
    orchestrator = core.orchestrator()
    running = _begin(orchestrator, **_PINNED)
    await _settled()
    waiting = _begin(orchestrator, **_PINNED)
    await _settled()
    _enable(core, orchestrator, [_OPENAI])

    ending = await waiting
    assert isinstance(ending, Failed)
    assert (ending.error.code, ending.attempts) == (ErrorCode.CONFIGURATION_ERROR, ())
    assert _TURNED_OFF in ending.error.message
    assert isinstance(await running, Completed)


async def test_probe_that_was_due_does_not_go_to_a_provider_that_is_disabled(
    core: Core, first: FakeProvider
) -> None:
    core.attempts_at_most, first.answer = 1, _DOWN
    orchestrator = core.orchestrator()
    for _ in range(core.failure_threshold):
        await resolve(orchestrator, arriving(**_PINNED))
    waiting = _begin(orchestrator, **_PINNED)
    await _settled()
    _enable(core, orchestrator, [_OPENAI])
    assert isinstance(await waiting, Failed)
    assert len(first.calls) == core.failure_threshold


async def test_new_request_has_the_new_number_of_attempts_and_one_under_way_the_old(
    core: Core, first: FakeProvider
) -> None:
    core.others, core.failure_threshold, first.answer = [], 100, _DOWN
    core.attempts_at_most = 3
    orchestrator = core.orchestrator()

    def changed() -> None:
        orchestrator.attempts_at_most = 5

    first.before_answering = changed
    assert len(_asked(await resolve(orchestrator, arriving()))) == 3
    assert len(_asked(await resolve(orchestrator, arriving()))) == 5


async def test_next_failure_is_followed_by_the_new_backoff(core: Core, first: FakeProvider) -> None:
    core.others, core.failure_threshold, first.answer = [], 100, _DOWN
    core.attempts_at_most = 2
    orchestrator = core.orchestrator()
    orchestrator.backoff = Backoff(base_s=1e-9, longest_s=1e-9)
    began_s = core.clock.monotonic()
    await resolve(orchestrator, arriving())
    assert core.clock.monotonic() - began_s < 1e-3


async def test_strategy_of_the_next_request_is_the_new_one(core: Core) -> None:
    orchestrator = core.orchestrator()
    _enable(core, orchestrator, [_ANTHROPIC, _OPENAI], Strategy.ROUND_ROBIN)
    asked = [_asked(await resolve(orchestrator, arriving())) for _ in range(4)]
    assert asked == [["anthropic"], ["openai"]] * 2
