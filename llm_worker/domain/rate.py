"""So many a minute: who may go when, so that a provider's limit is kept."""

from __future__ import annotations

from typing import Final

_MINUTE_S: Final = 60.0
_BURST_SHARE: Final = 1 / 20


class RateBucket:
    """A token bucket that is taken from in advance: whoever takes more than there is, waits.

    In no minute more than `per_minute` goes out, a twentieth of it (one, at the least) at once.
    An amount above that twentieth goes when the bucket is full, so that it never waits for ever:
    the excess of one such amount may come on top. None is no limit, until the provider reports
    one. Time is the caller's, monotonic seconds.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._own = per_minute
        self._limit_to(per_minute)
        self._level = self._burst
        self._as_of_s = float("-inf")

    @property
    def per_minute(self) -> float | None:
        """The limit that holds now."""
        return self._per_minute

    def level(self, now_s: float) -> float | None:
        """How much may go at once; below zero, that much is waiting. None without a limit."""
        if self._per_minute is None:
            return None
        self._refill(now_s)
        return self._level

    def wait_s(self, amount: float, now_s: float, *, ahead: float = 0.0) -> float:
        """Seconds that taking `amount` would have to wait now, with `ahead` to be taken before."""
        if self._per_minute is None:
            return 0.0
        self._refill(now_s)
        lacking = ahead + min(amount, self._burst) - self._level
        return max(0.0, lacking / self._per_s)

    def take(self, amount: float, now_s: float) -> float:
        """Take `amount`, to be used after as many seconds as are returned."""
        waiting_s = self.wait_s(amount, now_s)
        if self._per_minute is not None:
            self._level -= amount
        return waiting_s

    def give_back(self, amount: float) -> None:
        """Return what was taken and not used; a negative amount was used beyond it."""
        if self._per_minute is not None:
            self._level = min(self._burst, self._level + amount)

    def correct(self, per_minute: int | None, remaining: int | None, now_s: float) -> None:
        """Believe the provider: its limit where it is lower than ours, and what is left of it."""
        if per_minute is not None and per_minute > 0:
            self._refill(now_s)
            self._limit_to(per_minute if self._own is None else min(self._own, per_minute))
            self._level = min(self._level, self._burst)
        if remaining is not None and self._per_minute is not None:
            self._refill(now_s)
            self._level = min(self._level, float(remaining))

    def _limit_to(self, per_minute: float | None) -> None:
        self._per_minute = per_minute
        self._burst = max(1.0, (per_minute or 0.0) * _BURST_SHARE)
        # What is let go at once must not come on top of a minute's worth.
        self._per_s = ((per_minute or 0.0) - self._burst + 1) / _MINUTE_S

    def _refill(self, now_s: float) -> None:
        if now_s <= self._as_of_s:
            return
        if self._per_minute is not None:
            gained = (now_s - self._as_of_s) * self._per_s
            self._level = min(self._burst, self._level + gained)
        self._as_of_s = now_s
