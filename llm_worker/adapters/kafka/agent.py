"""Consume: one agent per lane. The first of the three files of the data path.

Next: application/pipeline.py, where a delivery is brought to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_worker.contracts.vocabulary import REQUEST_TOPICS, Lane

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.adapters.kafka.inflight import InFlight
    from llm_worker.contracts.topics import TopicCatalog


def consume_lanes(
    app: DeliveryApp,
    *,
    topics: TopicCatalog,
    in_flight: InFlight,
    may_pull: Callable[[Lane], Awaitable[None]],
) -> None:
    """Register one agent per lane; `may_pull` waits while nothing new should be taken."""

    def agent_of(lane: Lane) -> Callable[[Any], Awaitable[None]]:
        async def consume(stream: Any) -> None:
            await may_pull(lane)
            # noack: a record is acked by the gate, when all before it are done, never by Faust.
            async for event in stream.noack().events():
                in_flight.take(event, lane)
                await in_flight.room(lane)
                await may_pull(lane)

        return consume

    for lane, name in REQUEST_TOPICS.items():
        app.agent(app.topic(topics.on_broker(name)), name=f"lane-{lane}")(agent_of(lane))
