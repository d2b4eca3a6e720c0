"""How long a target is left alone after it failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from tenacity import RetryCallState, wait_random_exponential


@dataclass(frozen=True, slots=True)
class _Failures:
    """The one thing that tenacity's arithmetic reads of its state."""

    attempt_number: int


class Backoff:
    """Exponential with full jitter: a random time up to `base_s`, then up to twice that, ...

    Nothing is ever longer than `longest_s`. Full jitter keeps a crowd that failed together from
    coming back together.
    """

    def __init__(self, *, base_s: float, longest_s: float) -> None:
        self._wait = wait_random_exponential(multiplier=base_s, max=longest_s)

    def seconds(self, failures: int) -> float:
        """Draw a time to wait after so many failures, 1 or more."""
        return self._wait(cast("RetryCallState", _Failures(failures)))
