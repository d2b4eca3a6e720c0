"""What goes to one provider a minute, in requests and in tokens, and who waits for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from llm_worker.application.bell import Bell
from llm_worker.application.slots import Grant, RunningSlots
from llm_worker.contracts.vocabulary import Lane
from llm_worker.domain.verdict import LimitKind

if TYPE_CHECKING:
    from llm_worker.application.ports import Clock
    from llm_worker.domain.outcome import FinishedAttempt
    from llm_worker.domain.rate import RateBucket

_ROUNDING: Final = 1e-6
_LANES: Final = tuple(Lane)


@dataclass(slots=True, kw_only=True)
class MinuteLimits:
    """Calls take from both limits in advance, and wait until what they took is due.

    One of each lane waits so at a time, the rest behind it, so that neither lane reserves the
    other's turns.
    """

    requests: RateBucket
    tokens: RateBucket
    clock: Clock
    _next: RunningSlots = field(default_factory=lambda: RunningSlots(len(_LANES), _LANES))
    _bell: Bell = field(default_factory=Bell)
    _closings: int = 0
    _turns: int = 0

    @property
    def are_set(self) -> bool:
        """Say whether there is a limit: ours, or one that the provider has told of."""
        return self.requests.per_minute is not None or self.tokens.per_minute is not None

    def waiting(self, lane: Lane) -> int:
        """Count the lane's requests behind the one whose turn is next."""
        return self._next.waiting(lane)

    def wait_s(self, tokens: int, *, ahead: int = 0) -> float:
        """Say how long a call would be held up, if the `ahead` before it are like it."""
        now_s = self.clock.monotonic()
        return max(
            self.requests.wait_s(1, now_s, ahead=ahead),
            self.tokens.wait_s(max(1, tokens), now_s, ahead=ahead * tokens),
        )

    def is_hopeless(self, tokens: int, until_s: float, *, ahead: int = 0) -> bool:
        """Say whether a call could not go before the monotonic `until_s`."""
        wait_s = self.wait_s(tokens, ahead=ahead)
        return wait_s > 0 and self.clock.monotonic() + wait_s >= until_s

    async def take(self, lane: Lane, tokens: int, until_s: float) -> Grant:
        """Wait for a turn and take it, at most until `until_s`; settle it only when GRANTED."""
        grant = await self._next.acquire(lane, until_s)
        if grant is Grant.GRANTED:
            try:
                grant = await self._take(tokens, until_s)
            finally:
                self._next.release(lane)
        return grant

    def settle(self, tokens: int, finished: FinishedAttempt | None) -> None:
        """Replace the `tokens` that were estimated with what was used. None: no call was made."""
        if finished is None:
            self._return_turn()
            self.tokens.give_back(tokens)
            return
        used = finished.ending.billing.usage.total() if finished.ending.billing else None
        self.tokens.give_back(0 if used is None else tokens - used)
        # Last, since what the provider says is left has this call in it.
        for limit in finished.ending.facts.limits:
            bucket = self.requests if limit.kind is LimitKind.REQUESTS else self.tokens
            bucket.correct(limit.per_minute, limit.remaining, self.clock.monotonic())

    def turn_away(self) -> None:
        """Send those who wait now away; they may come again."""
        self._closings += 1
        self._next.turn_away()
        self._bell.ring()

    def let_go(self) -> None:
        """Send all waiters away, and every later one, until `reopen`."""
        self._next.let_go()
        self._bell.let_go()

    def reopen(self) -> None:
        """Take waiters again."""
        self._next.reopen()
        self._bell.reopen()

    async def _take(self, tokens: int, until_s: float) -> Grant:
        if self.is_hopeless(tokens, until_s):
            return Grant.EXPIRED
        now_s, closings = self.clock.monotonic(), self._closings
        due_s = now_s + max(self.requests.take(1, now_s), self.tokens.take(tokens, now_s))
        self._turns += 1
        turn, grant = self._turns, Grant.LET_GO
        try:
            grant = await self._until(due_s, closings)
        finally:
            if grant is not Grant.GRANTED:
                if turn == self._turns:  # or see _return_turn
                    self.requests.give_back(1)
                self.tokens.give_back(tokens)
        return grant

    def _return_turn(self) -> None:
        """Return a turn that has come and was not used, unless others have taken later ones.

        Theirs stay where they are, so whoever came next would go together with the last of them.
        """
        level = self.requests.level(self.clock.monotonic())
        if level is not None and level > -_ROUNDING:
            self.requests.give_back(1)

    async def _until(self, due_s: float, closings: int) -> Grant:
        while self.clock.monotonic() < due_s:
            if not await self._bell.wait(due_s):
                return Grant.LET_GO
            if self._closings != closings:
                return Grant.TURNED_AWAY
        return Grant.GRANTED
