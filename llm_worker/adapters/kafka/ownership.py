"""Whether a delivery is still ours: the generation, and a sign of life from the coordinator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from faust import App

    from llm_worker.adapters.kafka.consumer import SafeConsumer
    from llm_worker.application.ports import Clock

_LOOK_AGAIN_S = 0.05


class GroupOwnership:
    """A partition is surely ours while an accepted heartbeat is younger than the session timeout.

    A process that was frozen wakes with an old one: it waits until the coordinator has spoken,
    and so does not go on buying what another worker has taken over.
    """

    def __init__(self, app: App, *, session_timeout_s: float, clock: Clock) -> None:
        self._app = app
        self._session_timeout_s = session_timeout_s
        self._clock = clock

    async def holds(self, generation: int) -> bool:
        """Say whether its partitions are ours; waits while it is unsure."""
        while generation == self._app.consumer_generation_id:
            heard_s = cast("SafeConsumer", self._app.consumer).last_heartbeat_s
            if self._clock.monotonic() - heard_s < self._session_timeout_s:
                return True
            if self._app.rebalancing:
                return False
            await asyncio.sleep(_LOOK_AGAIN_S)
        return False
