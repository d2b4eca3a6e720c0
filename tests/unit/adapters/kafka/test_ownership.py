"""Before money is spent: is the delivery still ours?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from llm_worker.adapters.kafka.ownership import GroupOwnership
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from faust import App


@dataclass(slots=True)
class _Consumer:
    last_heartbeat_s: float = 0.0


@dataclass(slots=True)
class _App:
    consumer_generation_id: int = 1
    rebalancing: bool = False
    consumer: _Consumer = field(default_factory=_Consumer)


def _ownership(app: _App, clock: ManualClock) -> GroupOwnership:
    return GroupOwnership(cast("App", app), session_timeout_s=45, clock=clock)


async def _undecided(waiting: asyncio.Future[bool]) -> bool:
    await asyncio.sleep(0.1)
    return not waiting.done()


async def test_delivery_of_this_generation_is_ours_while_heartbeats_are_accepted() -> None:
    clock = ManualClock()
    clock.advance(44.9)
    assert await _ownership(_App(), clock).holds(1)


async def test_delivery_of_an_older_generation_is_not_ours() -> None:
    app = _App(consumer_generation_id=2)
    assert not await _ownership(app, ManualClock()).holds(1)


async def test_frozen_and_thawed_worker_waits_for_the_coordinator_before_it_goes_on_buying() -> (
    None
):
    app, clock = _App(), ManualClock()
    clock.advance(45)
    waiting = asyncio.ensure_future(_ownership(app, clock).holds(1))
    assert await _undecided(waiting)
    app.consumer.last_heartbeat_s = 45
    assert await waiting


async def test_thawed_worker_that_learns_of_a_new_generation_lets_go() -> None:
    app, clock = _App(), ManualClock()
    clock.advance(46)
    waiting = asyncio.ensure_future(_ownership(app, clock).holds(1))
    assert await _undecided(waiting)
    app.consumer_generation_id = 2
    assert not await waiting


async def test_unsure_worker_lets_go_when_its_partitions_are_being_taken() -> None:
    """The drain waits for it: it must not wait for the drain."""
    app, clock = _App(), ManualClock()
    clock.advance(46)
    waiting = asyncio.ensure_future(_ownership(app, clock).holds(1))
    assert await _undecided(waiting)
    app.rebalancing = True
    assert not await waiting
