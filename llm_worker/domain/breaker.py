"""A circuit breaker: stop asking what keeps failing, and try it again later with one probe."""

from __future__ import annotations

from enum import StrEnum


class BreakerState(StrEnum):
    """Closed lets all pass, open none, half-open one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Open after `failure_threshold` failures in a row; probe after `recovery_timeout_s`.

    Time is the caller's: every decision takes `now_s`, monotonic seconds. While it is open, only
    a probe's failure counts: those of calls that went before it opened are old news. While it is
    half-open, whatever is noted is taken for the probe's.
    """

    def __init__(self, *, failure_threshold: int, recovery_timeout_s: float) -> None:
        self._failure_threshold = failure_threshold
        self._recovery_timeout_s = recovery_timeout_s
        self._failures = 0
        self._probe_due_s: float | None = None
        self._is_probing = False

    @property
    def state(self) -> BreakerState:
        """The state, as of the last decision."""
        if self._probe_due_s is None:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self._is_probing else BreakerState.OPEN

    def allows(self, now_s: float) -> bool:
        """Say whether a call may go now; the one that goes when it is half-open is the probe."""
        if self._probe_due_s is None:
            return True
        if self._is_probing or now_s < self._probe_due_s:
            return False
        self._is_probing = True
        return True

    def retune(self, *, failure_threshold: int, recovery_timeout_s: float) -> None:
        """Go by other values from now on; the time of a probe that is due moves with them."""
        if self._probe_due_s is not None and not self._is_probing:
            self._probe_due_s += recovery_timeout_s - self._recovery_timeout_s
        self._failure_threshold = failure_threshold
        self._recovery_timeout_s = recovery_timeout_s

    def probe_due_in_s(self, now_s: float) -> float:
        """Seconds until a probe may go; 0 when one may go now."""
        return max(0.0, (self._probe_due_s or now_s) - now_s)

    def succeed(self) -> bool:
        """Note a success: closed. Say whether it was not before."""
        was_troubled = self._probe_due_s is not None
        self._failures = 0
        self._probe_due_s = None
        self._is_probing = False
        return was_troubled

    def fail(self, now_s: float) -> bool:
        """Note a failure; say whether it opened the breaker, for the first time or again."""
        self._failures += 1
        is_open = self._probe_due_s is not None and not self._is_probing
        if is_open or not (self._is_probing or self._failures >= self._failure_threshold):
            return False
        self._probe_due_s = now_s + self._recovery_timeout_s
        self._is_probing = False
        return True

    def abandon(self) -> None:
        """Note that the probe told nothing: another one may go at once."""
        self._is_probing = False

    def hasten(self) -> None:
        """Let the next probe go at once: there is a sign of life."""
        if self._probe_due_s is not None:
            self._probe_due_s = float("-inf")
