"""The agents: one a lane, never acking by themselves, pulling only when there is room."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

import pytest

from llm_worker.adapters.kafka.agent import consume_lanes
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, Lane
from tests.support.apps import Drains, brokerless_app
from tests.support.events import event_of, message_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from llm_worker.adapters.kafka.app import DeliveryApp


class _Stream:
    """Faust's stream: it acks every event behind the agent's back, unless it is told not to."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._acks = True
        self.acked: list[int] = []

    def noack(self) -> Self:
        self._acks = False
        return self

    async def events(self) -> AsyncIterator[Any]:
        for offset in range(self._count):
            yield event_of(message_of(offset))
            if self._acks:
                self.acked.append(offset)


@dataclass(slots=True)
class _InFlight:
    taken: list[tuple[Lane, int]] = field(default_factory=list)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    pull: asyncio.Event = field(default_factory=asyncio.Event)
    closes_after: int = -1

    def take(self, event: Any, lane: Lane) -> None:  # noqa: ANN401 - Faust's
        self.taken.append((lane, event.message.offset))

    async def room(self, _lane: Lane) -> None:
        await self.free.wait()

    async def may_pull(self, _lane: Lane) -> None:
        if len(self.taken) == self.closes_after:
            self.pull.clear()
            self.closes_after = -1
        await self.pull.wait()


@pytest.fixture
def app() -> Iterator[DeliveryApp]:
    with brokerless_app(Drains()) as app:
        yield app


def _consume(app: DeliveryApp, in_flight: _InFlight, stream: _Stream, lane: Lane) -> Any:  # noqa: ANN401 - a coroutine
    consume_lanes(
        app,
        topics=load_topics("test."),
        in_flight=cast("Any", in_flight),
        may_pull=in_flight.may_pull,
    )
    return app.agents[f"lane-{lane}"].fun(stream)


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("lane", Lane)
async def test_each_lane_is_taken_from_its_own_topic(app: DeliveryApp, lane: Lane) -> None:
    in_flight, stream = _InFlight(), _Stream(3)
    in_flight.free.set()
    in_flight.pull.set()
    await _consume(app, in_flight, stream, lane)
    assert in_flight.taken == [(lane, 0), (lane, 1), (lane, 2)]
    channel: Any = app.agents[f"lane-{lane}"].channel
    assert list(channel.topics) == [load_topics("test.").on_broker(REQUEST_TOPICS[lane])]


async def test_records_are_not_acked_by_faust(app: DeliveryApp) -> None:
    in_flight, stream = _InFlight(), _Stream(3)
    in_flight.free.set()
    in_flight.pull.set()
    await _consume(app, in_flight, stream, Lane.NORMAL)
    assert stream.acked == []


async def test_nothing_is_pulled_while_there_is_no_room(app: DeliveryApp) -> None:
    in_flight, stream = _InFlight(), _Stream(2)
    in_flight.pull.set()
    pulling = asyncio.ensure_future(_consume(app, in_flight, stream, Lane.NORMAL))
    await _settled()
    assert len(in_flight.taken) == 1
    in_flight.free.set()
    await pulling
    assert len(in_flight.taken) == 2


@pytest.mark.parametrize("pulled", [0, 1], ids=["from the start", "later"])
async def test_nothing_is_pulled_while_nothing_may_be(app: DeliveryApp, pulled: int) -> None:
    in_flight, stream = _InFlight(closes_after=pulled), _Stream(2)
    in_flight.free.set()
    in_flight.pull.set()
    pulling = asyncio.ensure_future(_consume(app, in_flight, stream, Lane.NORMAL))
    await _settled()
    assert len(in_flight.taken) == pulled
    in_flight.pull.set()
    await pulling
    assert len(in_flight.taken) == 2
