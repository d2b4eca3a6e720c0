"""Running slots: how many calls run at once, and which lane gets the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_worker.contracts.vocabulary import Lane


class Grant(Enum):
    """What came of waiting for a slot."""

    GRANTED = auto()
    EXPIRED = auto()
    LET_GO = auto()
    TURNED_AWAY = auto()
    """What was waited for has closed: look again."""


class RunningSlots:
    """A semaphore for lanes: a quarter of the slots is each lane's own and never lent.

    The rest goes to whoever asks. Waiters queue per lane and the lanes are served in turn.
    """

    def __init__(self, total: int, lanes: Sequence[Lane]) -> None:
        self._running = dict.fromkeys(lanes, 0)
        self._waiting: dict[Lane, deque[asyncio.Future[Grant]]] = {lane: deque() for lane in lanes}
        self._waiters = dict.fromkeys(lanes, 0)
        self._turns = deque(lanes)
        self._is_open = True
        self.resize(total)

    def resize(self, total: int) -> None:
        """Have so many slots from now on; running calls are left alone."""
        is_one_each = total >= len(self._running)
        self._own = max(1, total // 4) if is_one_each else 0
        self._shared = total - self._own * len(self._running)
        self._serve()

    @property
    def total(self) -> int:
        """How many there are."""
        return self._shared + self._own * len(self._running)

    def waiting(self, lane: Lane) -> int:
        """Count the lane's requests that wait for a slot."""
        return self._waiters[lane]  # the queue also holds those that have given up

    def running(self, lane: Lane) -> int:
        """Count the lane's calls."""
        return self._running[lane]

    def is_free(self, lane: Lane) -> bool:
        """Say whether the lane may start a call now."""
        if self._running[lane] < self._own:
            return True
        return sum(max(0, count - self._own) for count in self._running.values()) < self._shared

    async def acquire(self, lane: Lane, until_s: float) -> Grant:
        """Wait for a slot until the monotonic time `until_s`; release it only when GRANTED."""
        if not self._is_open:
            return Grant.LET_GO
        if not self._waiting[lane] and self.is_free(lane):
            self._running[lane] += 1
            return Grant.GRANTED
        turn: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(turn)
        self._waiters[lane] += 1
        try:
            async with asyncio.timeout_at(until_s):
                return await turn
        except TimeoutError:
            # Granted in the very moment of the deadline: the slot is ours, and must be given back.
            return turn.result() if _is_settled(turn) else Grant.EXPIRED
        except asyncio.CancelledError:
            if _is_settled(turn) and turn.result() is Grant.GRANTED:
                self.release(lane)
            raise
        finally:
            self._waiters[lane] -= 1

    def release(self, lane: Lane) -> None:
        """Give a slot back, and hand it on."""
        self._running[lane] -= 1
        self._serve()

    def let_go(self) -> None:
        """Send all waiters away, and every later one, until `reopen`."""
        self._is_open = False
        self._dismiss(Grant.LET_GO)

    def reopen(self) -> None:
        """Take waiters again."""
        self._is_open = True

    def turn_away(self) -> None:
        """Send those who wait now away; they may come again."""
        self._dismiss(Grant.TURNED_AWAY)

    def _dismiss(self, grant: Grant) -> None:
        for queue in self._waiting.values():
            while queue:
                _settle(queue.popleft(), grant)

    def _serve(self) -> None:
        idle_lanes = 0
        while idle_lanes < len(self._turns):
            lane = self._turns[0]
            self._turns.rotate(-1)
            idle_lanes = 0 if self._grant_next(lane) else idle_lanes + 1

    def _grant_next(self, lane: Lane) -> bool:
        queue = self._waiting[lane]
        while queue and self.is_free(lane):
            if _settle(queue.popleft(), Grant.GRANTED):
                self._running[lane] += 1
                return True
        return False


def _settle(turn: asyncio.Future[Grant], grant: Grant) -> bool:
    if turn.done():
        return False
    turn.set_result(grant)
    return True


def _is_settled(turn: asyncio.Future[Grant]) -> bool:
    return turn.done() and not turn.cancelled()
