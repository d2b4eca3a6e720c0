"""How providers have done lately: what strategies go by, and what operators look at."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from llm_worker.domain.errors import ProviderError

if TYPE_CHECKING:
    from datetime import datetime

    from llm_worker.domain.outcome import FinishedAttempt

_WEIGHT: Final = 0.2
"""Of the newest latency in the moving average."""
_WEIGHT_AFTER_A_WHILE: Final = 0.5
_WHILE_S: Final = 60.0
_REMEMBERED: Final = 200
"""Attempts that success rate and quantiles are of."""


@dataclass(slots=True)
class Latency:
    """A moving average of one target's response times, in seconds, and when it was last fed."""

    average_s: float
    measured_at_s: float

    def add(self, seconds: float, now_s: float) -> None:
        """Take one more in."""
        # Whoever is measured once a minute would need many to show that it is well again.
        is_old = now_s - self.measured_at_s >= _WHILE_S
        weight = _WEIGHT_AFTER_A_WHILE if is_old else _WEIGHT
        self.average_s += weight * (seconds - self.average_s)
        self.measured_at_s = now_s


@dataclass(slots=True)
class Score:
    """One provider's record since the start of the process."""

    attempts: int = 0
    failures: int = 0
    last_success: datetime | None = None
    last_failure: datetime | None = None
    last_error: str | None = None
    last_attempt_s: float = float("-inf")
    usual_s: float = 10.0
    """A moving average of how long calls take, however they end; a guess before the first."""
    _lately: deque[tuple[bool, int]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def note(self, finished: FinishedAttempt, now_s: float) -> None:
        """Count an attempt."""
        self.attempts += 1
        self.last_attempt_s = now_s
        seconds = finished.response_time_ms / 1000
        self.usual_s += (_WEIGHT if self.attempts > 1 else 1.0) * (seconds - self.usual_s)
        ending = finished.ending
        self._lately.append((not isinstance(ending, ProviderError), finished.response_time_ms))
        if isinstance(ending, ProviderError):
            self.failures += 1
            self.last_failure, self.last_error = finished.ended_at, ending.message
        else:
            self.last_success = finished.ended_at

    def success_rate(self) -> float | None:
        """Give the share of the last attempts that went well, None before the first."""
        if not self._lately:
            return None
        return sum(went_well for went_well, _ in self._lately) / len(self._lately)

    def response_ms(self, quantile: float) -> int | None:
        """Give a quantile (0 to 1) of the last successes' response times, None before the first."""
        times = sorted(ms for went_well, ms in self._lately if went_well)
        return times[min(len(times) - 1, int(quantile * len(times)))] if times else None

    def average_ms(self) -> float | None:
        """Give the mean of the last successes' response times, None before the first."""
        times = [ms for went_well, ms in self._lately if went_well]
        return sum(times) / len(times) if times else None
