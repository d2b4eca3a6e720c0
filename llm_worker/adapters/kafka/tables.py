"""Faust's tables, of which there are none, and what it does for them at each rebalance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from typing_extensions import override

if TYPE_CHECKING:
    from faust import App


class NoRecovery(Recovery):
    """Lets the records flow again after a rebalance.

    Faust's does so too while the next rebalance is under way, when that began before it was done.
    The flow is then resumed twice, and the second time clears the agents' queues: what had been
    read in between was thrown away, and committed past.
    """

    _rebalance = 0

    @override
    async def on_rebalance(self, *args: Any, **kwargs: Any) -> None:
        """Note which rebalance is to be completed; the next cannot begin before this returns."""
        self._rebalance = self.app.rebalancing_count
        await super().on_rebalance(*args, **kwargs)

    @override
    async def _resume_streams(self, generation_id: int = 0) -> None:
        """Go back to what is committed, and let it flow; or leave it to the rebalance since."""
        app, rebalance = cast("App", self.app), self._rebalance
        consumer = app.consumer
        if assigned := consumer.assignment():
            consumer.resume_partitions(assigned)
            # For as long as it takes: Faust gives up after 90 s, and its service with it, so that
            # nothing would flow again. The next rebalance, and the app's end, end the wait.
            await self._wait(consumer.perform_seek())
        # No await from here on: the next one holds the flow in the step in which it begins.
        if (app.rebalancing_count, app.consumer_generation_id) != (rebalance, generation_id):
            return
        self.completed.set()
        app.flow_control.resume()
        consumer.resume_flow()
        app.on_rebalance_end()
        await app._fetcher.maybe_start()  # noqa: SLF001 - as Faust does


class NoTables(TableManager):
    """Has none; so nothing waits for them to be registered."""

    @property
    @override
    def recovery(self) -> Recovery:
        """Give the one that only lets the records flow."""
        if self._recovery is None:
            self._recovery = NoRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    @override
    async def on_start(self) -> None:
        """Let the conductor subscribe at once: Faust sleeps for a second before."""
        await self._update_channels()
        await self.recovery.start()
