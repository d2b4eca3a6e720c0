"""One provider's limits: calls in flight, requests and tokens a minute, and pauses it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from llm_worker.application.minute import MinuteLimits
from llm_worker.application.slots import Grant, RunningSlots
from llm_worker.contracts.vocabulary import Lane
from llm_worker.domain.rate import RateBucket

if TYPE_CHECKING:
    from llm_worker.application.ports import Clock
    from llm_worker.domain.outcome import FinishedAttempt

_PAUSE_AT_MOST_S: Final = 300.0
"""A longer pause is believed in parts: after each, a few calls find out whether it still holds."""
_HALVED_AT_MOST_EVERY_S: Final = 1.0
"""Calls that went out together are refused together: that is one sign, not many."""
_USUAL_TOKENS: Final = 2_000
_LANES: Final = tuple(Lane)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may go to a provider; None a minute is no limit of ours."""

    max_in_flight: int
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


@dataclass(slots=True, kw_only=True)
class Gate:
    """Work waits here instead of failing, each lane in its own queue.

    After a pause half as many calls go, after an outage few, and each success lets one more go: a
    crowd that returns at once would only be sent away again. One that is not open lets nobody go:
    whoever finds out must not wait here.
    """

    limits: Limits
    clock: Clock
    is_open: bool = True
    paused_until_s: float = float("-inf")
    slots: RunningSlots = field(init=False)
    minute: MinuteLimits = field(init=False)
    allowed: int = field(init=False)
    _halved_at_s: float = float("-inf")

    def __post_init__(self) -> None:
        self.allowed = self.limits.max_in_flight
        self.slots = RunningSlots(self.allowed, _LANES)
        self.minute = MinuteLimits(
            requests=RateBucket(self.limits.requests_per_minute),
            tokens=RateBucket(self.limits.tokens_per_minute),
            clock=self.clock,
        )

    def is_free(self, lane: Lane) -> bool:
        """Say whether a call of the lane could go now."""
        return self.slots.is_free(lane) and self.minute.wait_s(0) <= 0

    def waiting(self, lane: Lane) -> int:
        """Count the lane's requests that wait here."""
        return self.slots.waiting(lane) + self.minute.waiting(lane)

    async def enter(self, lane: Lane, tokens: int, until_s: float) -> Grant:
        """Wait for room until the monotonic `until_s`; leave only when GRANTED.

        EXPIRED may come at once: when it is known that there will be no room before `until_s`.
        """
        is_limited = self.minute.are_set
        if is_limited and self.minute.is_hopeless(tokens, until_s, ahead=self._ahead(lane)):
            return Grant.EXPIRED
        grant = await self.slots.acquire(lane, until_s)
        if grant is not Grant.GRANTED or not is_limited:
            return grant
        grant = Grant.LET_GO
        try:
            grant = await self.minute.take(lane, tokens, until_s)
        finally:
            if grant is not Grant.GRANTED:
                self.slots.release(lane)
        return grant

    def leave(self, lane: Lane, tokens: int, finished: FinishedAttempt | None) -> None:
        """Make room again; `tokens` were estimated at the entry. None: no call was made."""
        self.minute.settle(tokens, finished)
        self.slots.release(lane)

    def pause(self, seconds: float | None) -> None:
        """Let nobody go for as long as the provider asks, and half as many as before afterwards.

        None: it does not say how long; who was refused waits, the others go on in smaller number.
        """
        now_s = self.clock.monotonic()
        if self.paused_until_s <= now_s and now_s - self._halved_at_s >= _HALVED_AT_MOST_EVERY_S:
            self._halved_at_s = now_s
            self._allow(max(self._least(), self.allowed // 2))
        if seconds is not None:
            if self.paused_until_s <= now_s:
                self.turn_away()
            pause_s = min(seconds, _PAUSE_AT_MOST_S)
            self.paused_until_s = max(self.paused_until_s, now_s + pause_s)

    def slow_down(self) -> None:
        """Begin with few calls."""
        self._allow(self._least())

    def speed_up(self) -> None:
        """Let one more go: a call went well."""
        if self.allowed < self.limits.max_in_flight:
            self._allow(self.allowed + 1)

    def turn_away(self) -> None:
        """Have all who wait here look again, since what they wait for has closed."""
        self.slots.turn_away()
        self.minute.turn_away()

    def resize(self, max_in_flight: int) -> None:
        """Let so many calls go from now on, or fewer where it was slowed down."""
        is_slowed = self.allowed < self.limits.max_in_flight
        self.limits = replace(self.limits, max_in_flight=max_in_flight)
        self._allow(min(self.allowed, max_in_flight) if is_slowed else max_in_flight)

    def switch(self, *, is_open: bool) -> None:
        """Open or close it; those who wait at one that closes look again."""
        if self.is_open and not is_open:
            self.turn_away()
        self.is_open = is_open

    def let_go(self) -> None:
        """Send all waiters away, and every later one, until `reopen`."""
        self.slots.let_go()
        self.minute.let_go()

    def reopen(self) -> None:
        """Take waiters again."""
        self.slots.reopen()
        self.minute.reopen()

    def backlog_s(self, lane: Lane, usual_s: float) -> float:
        """Estimate how long the lane's next one would wait; a call takes `usual_s` seconds."""
        waiting = self.waiting(lane)
        if not waiting:
            return 0.0
        by_minute_s = self.minute.wait_s(_USUAL_TOKENS, ahead=self._ahead(lane))
        return max(by_minute_s, usual_s * waiting / self.allowed)

    def _least(self) -> int:
        return min(len(_LANES), self.limits.max_in_flight)

    def _allow(self, calls: int) -> None:
        self.allowed = calls
        self.slots.resize(calls)

    def _ahead(self, lane: Lane) -> int:
        """Count who goes before the lane's next one: its own queue, and as many of the other's."""
        own = self.waiting(lane)
        return sum(min(own, self.waiting(each)) for each in _LANES) if own else 0
