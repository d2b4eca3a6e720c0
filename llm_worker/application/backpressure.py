"""When nothing more should be pulled: what cannot be served in time waits better on Kafka."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llm_worker.application.ports import Clock
    from llm_worker.application.switchboard import Switchboard
    from llm_worker.contracts.vocabulary import Lane

_LOOK_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backpressure:
    """Holds a lane back while a provider has more of it waiting than `patience_s` seconds' work.

    A request's deadline runs from its pull: pulled too early it would fail, and all behind it.
    """

    board: Switchboard
    patience_s: float
    clock: Clock

    def is_overloaded(self, lane: Lane) -> bool:
        """Say whether the lane should not pull."""
        return any(
            gate.backlog_s(lane, self.board.scores[name].usual_s) > self.patience_s
            for name, gate in self.board.gates.items()
        )

    async def until_room(self, lane: Lane) -> None:
        """Wait until the lane may pull again, or is let go."""
        while self.is_overloaded(lane):
            if not await self.board.bell.wait(self.clock.monotonic() + _LOOK_AGAIN_S):
                return
