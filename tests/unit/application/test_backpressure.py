from __future__ import annotations

import asyncio

import pytest

from llm_worker.application.backpressure import Backpressure
from llm_worker.application.gate import Limits
from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.outcome import Completed
from tests.support.builders import completion_of
from tests.support.core import Core, arriving, resolve
from tests.support.fakes import FakeProvider


@pytest.fixture
def slow() -> Core:
    """A server that takes four calls at once, ten seconds each."""
    provider = FakeProvider(completion_of(), takes_s=10)
    return Core(provider=provider, limits={ProviderName.MOCK: Limits(max_in_flight=4)})


def _backpressure(core: Core, board: object) -> Backpressure:
    return Backpressure(board=board, patience_s=150, clock=core.clock)  # type: ignore[arg-type] # a Switchboard


async def test_lane_with_more_work_waiting_than_patience_is_held_back_until_it_is_less(
    slow: Core,
) -> None:
    orchestrator = slow.orchestrator()
    backpressure = _backpressure(slow, orchestrator.board)
    assert isinstance(await resolve(orchestrator, arriving()), Completed)
    running = [asyncio.ensure_future(resolve(orchestrator, arriving())) for _ in range(62)]
    await asyncio.sleep(1)
    assert not backpressure.is_overloaded(Lane.NORMAL)
    running += [asyncio.ensure_future(resolve(orchestrator, arriving())) for _ in range(10)]
    await asyncio.sleep(1)
    assert backpressure.is_overloaded(Lane.NORMAL)
    assert not backpressure.is_overloaded(Lane.BULK)
    await backpressure.until_room(Lane.NORMAL)
    assert not backpressure.is_overloaded(Lane.NORMAL)
    assert all(isinstance(ending, Completed) for ending in await asyncio.gather(*running))


@pytest.mark.parametrize("takes_s", [0.1, 10])
async def test_backlog_of_any_size_is_served_without_one_that_fails(
    slow: Core, takes_s: float
) -> None:
    """Red without backpressure: what is pulled at once cannot all be served by its deadline."""
    slow.provider.takes_s = takes_s
    if takes_s < 1:
        slow.limits = {ProviderName.MOCK: Limits(max_in_flight=4, requests_per_minute=60)}
    orchestrator = slow.orchestrator()
    backpressure = _backpressure(slow, orchestrator.board)
    running = []
    for _ in range(600):
        running.append(asyncio.ensure_future(resolve(orchestrator, arriving())))
        await asyncio.sleep(0.001)
        await backpressure.until_room(Lane.NORMAL)
    endings = await asyncio.gather(*running)
    assert sum(isinstance(ending, Completed) for ending in endings) == 600


async def test_drain_ends_the_wait(slow: Core) -> None:
    orchestrator = slow.orchestrator()
    backpressure = _backpressure(slow, orchestrator.board)
    await resolve(orchestrator, arriving())
    running = [asyncio.ensure_future(resolve(orchestrator, arriving())) for _ in range(100)]
    await asyncio.sleep(1)
    waiting = asyncio.ensure_future(backpressure.until_room(Lane.NORMAL))
    await asyncio.sleep(1)
    orchestrator.let_go()
    await waiting
    await asyncio.gather(*running)
