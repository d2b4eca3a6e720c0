from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from llm_worker.application.gate import Limits
from llm_worker.application.prober import Prober
from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.breaker import BreakerState
from llm_worker.domain.errors import PermissionDeniedError, ProviderDownError
from llm_worker.domain.outcome import Target
from tests.support.builders import TARGET, attempt_of, completion_of
from tests.support.core import Core
from tests.support.fakes import FakeProvider

if TYPE_CHECKING:
    from llm_worker.application.switchboard import Switchboard


@pytest.fixture
def core() -> Core:
    return Core(others=[FakeProvider(completion_of(), name=ProviderName.OPENAI)])


def _prober(core: Core, board: Switchboard) -> Prober:
    return Prober(providers=core.providers, board=board, interval_s=30, telemetry=core.telemetry)


async def test_idle_providers_are_probed_and_busy_ones_are_not(core: Core) -> None:
    board = core.board()
    board.scored(attempt_of(completion_of()))
    await _prober(core, board).probe_all()
    assert [provider.probes for provider in (core.provider, core.others[0])] == [0, 1]
    await asyncio.sleep(30)
    await _prober(core, board).probe_all()
    assert [provider.probes for provider in (core.provider, core.others[0])] == [1, 2]


async def test_probes_that_fail_open_the_breaker_of_the_default_model(core: Core) -> None:
    board = core.board()
    core.provider.probe_error = ProviderDownError("503")
    for _ in range(core.failure_threshold):
        await _prober(core, board).probe_all()
    assert board.breaker_states() == {TARGET: BreakerState.OPEN}


async def test_probe_that_is_answered_lets_the_next_request_be_the_probe(core: Core) -> None:
    board = core.board()
    other = Target(provider=ProviderName.MOCK, model="another")
    for _ in range(core.failure_threshold):
        board.ended(other, ProviderDownError("503"))
    board.scored(attempt_of(completion_of()))
    assert not board.admits(other)
    await _prober(core, board).probe_all()
    assert core.provider.probes == 1, "it is not idle, but in trouble"
    assert board.breaker_states() == {other: BreakerState.OPEN}
    assert board.readiness(other, Lane.NORMAL).hindrance is None
    assert board.admits(other)
    assert board.is_probing(other)


async def test_key_that_may_not_list_models_says_nothing_of_paid_calls(core: Core) -> None:
    board = core.board()
    core.provider.probe_error = PermissionDeniedError("403")
    for _ in range(core.failure_threshold):
        await _prober(core, board).probe_all()
    assert board.breaker_states() == {}


async def test_probe_that_breaks_is_noted_and_ends_nothing(core: Core) -> None:
    board = core.board()
    core.provider.probe_error = ZeroDivisionError()
    await _prober(core, board).probe_all()
    assert [type(error) for _, error in core.telemetry.faults] == [ZeroDivisionError]
    assert core.others[0].probes == 1


async def test_provider_that_is_not_enabled_is_not_probed(core: Core) -> None:
    board = core.board()
    limits = dict.fromkeys(board.providers, Limits(max_in_flight=8))
    board.adopt(limits, enabled={ProviderName.OPENAI})
    await _prober(core, board).probe_all()
    assert [provider.probes for provider in (core.provider, core.others[0])] == [0, 1]
