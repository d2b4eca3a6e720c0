"""When the records flow again after a rebalance, and when they do not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from faust.types import TP

from tests.support.apps import Drains, brokerless_app, consumer_of
from tests.support.events import event_of, message_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.adapters.kafka.consumer import SafeConsumer

_TP = TP("requests", 0)


class _Rebalance:
    """A rebalance whose going back to what is committed takes until `meanwhile` is done."""

    def __init__(self, app: DeliveryApp) -> None:
        self.app = app
        self.consumer, self._thread = consumer_of(app)
        self._recovery: Any = cast("Any", app.tables).recovery
        self.resumed = 0
        self.meanwhile: Callable[[], object] = lambda: None
        self.found = asyncio.Event()
        self.found.set()
        self._thread.assigned = {_TP}

        async def nowhere(*_of_faust: object, **_options: object) -> None: ...

        async def seek() -> None:
            self.meanwhile()
            await self.found.wait()

        cast("Any", self.consumer).perform_seek = seek
        cast("Any", app)._fetcher.maybe_start = nowhere

    def begin(self) -> None:
        self.app.on_rebalance_start()
        self.consumer.stop_flow()
        self.app.flow_control.suspend()

    async def assign(self, generation: int) -> None:
        self.app.consumer_generation_id = generation
        await self._recovery.on_rebalance({_TP}, set(), {_TP}, generation)

    async def complete(self, generation: int) -> None:
        self._recovery.signal_recovery_start.clear()  # as its loop does
        await self._recovery._resume_streams(generation)


@pytest.fixture
async def app() -> AsyncIterator[DeliveryApp]:
    with brokerless_app(Drains()) as app:
        yield app


@pytest.fixture
async def rebalance(app: DeliveryApp) -> _Rebalance:
    return _Rebalance(app)


def _flows(app: DeliveryApp) -> list[bool]:
    consumer = cast("SafeConsumer", app.consumer)
    return [consumer.flow_active, app.flow_control.is_active(), not app.rebalancing]


async def test_records_flow_once_the_rebalance_is_complete(
    app: DeliveryApp, rebalance: _Rebalance
) -> None:
    rebalance.begin()
    await rebalance.assign(2)
    assert _flows(app) == [False] * 3
    await rebalance.complete(2)
    assert _flows(app) == [True] * 3


async def test_rebalance_that_began_meanwhile_goes_on_holding_the_flow(
    app: DeliveryApp, rebalance: _Rebalance
) -> None:
    """Faust lets it flow, and again when that one is complete: this clears the agents' queues."""
    queue = app.FlowControlQueue(maxsize=10, clear_on_resume=True)
    rebalance.begin()
    await rebalance.assign(2)
    rebalance.meanwhile = rebalance.begin
    await rebalance.complete(2)
    assert _flows(app) == [False] * 3

    rebalance.meanwhile = lambda: None
    await rebalance.assign(3)
    await rebalance.complete(3)
    assert _flows(app) == [True] * 3
    queue.force_put_nowait(cast("Any", event_of(message_of(0))))
    assert queue.qsize() == 1


async def test_going_back_that_takes_longer_than_faust_waits_ends_no_consumption(
    app: DeliveryApp, rebalance: _Rebalance
) -> None:
    """As with a coordinator that is silent: Faust's own would end its service with the wait."""
    app.conf.broker_request_timeout = 0.01
    rebalance.found.clear()
    rebalance.begin()
    await rebalance.assign(2)
    completing = asyncio.ensure_future(rebalance.complete(2))
    await asyncio.wait([completing], timeout=0.2)
    assert not completing.done()
    rebalance.found.set()
    await completing
    assert _flows(app) == [True] * 3


async def test_rebalance_that_began_before_the_last_was_completed_holds_the_flow(
    app: DeliveryApp, rebalance: _Rebalance
) -> None:
    rebalance.begin()
    await rebalance.assign(2)
    rebalance.begin()
    await rebalance.complete(2)
    assert _flows(app) == [False] * 3


async def test_partitions_of_a_later_rebalance_do_not_flow_for_an_earlier_one(
    app: DeliveryApp, rebalance: _Rebalance
) -> None:
    """The earlier one has gone back only to what was committed before."""

    def the_next_is_assigned() -> None:
        rebalance.begin()
        app.consumer_generation_id = 3
        cast("Any", app.tables).recovery._rebalance = app.rebalancing_count

    rebalance.begin()
    await rebalance.assign(2)
    rebalance.meanwhile = the_next_is_assigned
    await rebalance.complete(2)
    assert _flows(app) == [False] * 3
