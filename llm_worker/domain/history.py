"""The last hour, and the last minute, of what a worker counts: what has moved, and how fast.

Time is the caller's, monotonic seconds: a clock that is put right moves nothing here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

STEP_S: Final = 15
STEPS: Final = 240
_LATE_S: Final = 5.0
"""A reading taken so long after a step's end no longer stands for it."""
_MINUTE_S: Final = 60.0
_TREND_STEPS: Final = 20
"""Steps that a trend is of, at most: five minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicLag:
    """What waits in the partitions of a topic that are ours."""

    partitions: frozenset[int]
    records: int


_Number = TypeVar("_Number", int, float)

NO_LAG: Final = TopicLag(partitions=frozenset(), records=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What has been counted since the start, and what is true, at one moment."""

    at_s: float
    verdicts: int = 0
    failures: int = 0
    cost_usd: float = 0.0
    running_calls: int = 0
    lags: Mapping[str, TopicLag]

    @property
    def lag(self) -> int | None:
        """What waits in all; None without a partition."""
        return sum(each.records for each in self.lags.values()) if self.lags else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """The steps of the last hour, oldest first; None is unknown.

    `ended_s` is when the last step has ended.
    """

    ended_s: float
    verdicts: tuple[int | None, ...]
    failures: tuple[int | None, ...]
    cost_usd: tuple[float | None, ...]
    lag: tuple[int | None, ...]
    running_calls: tuple[int | None, ...]


class History:
    """Keeps readings: those of the last minute, and one for the end of each step of an hour.

    A step is known when its start and its end were seen in time; of one in which nobody looked,
    since the event loop stood still, nobody knows what belongs to it.
    """

    def __init__(self, first: Reading) -> None:
        self._start_s = first.at_s
        self._lately = deque([first])
        self._ends: deque[Reading | None] = deque([first], maxlen=STEPS + 1)
        self._step = 0

    def note(self, reading: Reading) -> None:
        """Take a reading; about one a second."""
        self._lately.append(reading)
        while self._lately[1].at_s <= reading.at_s - _MINUTE_S:
            self._lately.popleft()
        step = int(reading.at_s - self._start_s) // STEP_S
        if step <= self._step:
            return
        self._ends.extend([None] * min(step - self._step - 1, STEPS))
        is_late = reading.at_s - self._end_of(step) > _LATE_S
        self._ends.append(None if is_late else reading)
        self._step = step

    def verdicts_per_minute(self, now: Reading) -> float:
        """Give the verdicts of the last minute."""
        return self._per_minute(now, lambda reading: reading.verdicts)

    def failures_per_minute(self, now: Reading) -> float:
        """Give the failures of the last minute."""
        return self._per_minute(now, lambda reading: reading.failures)

    def lag_per_minute(self, topic: str, now: Reading) -> float | None:
        """Say by how much a topic's lag has changed a minute, over five minutes at most.

        None: it is not known, since the partitions have not been ours for a whole step.
        """
        current = now.lags.get(topic, NO_LAG)
        oldest: tuple[float, int] | None = None
        for end in reversed(list(self._ends)[-_TREND_STEPS:]):
            if end is None:
                continue
            past = end.lags.get(topic, NO_LAG)
            if past.partitions != current.partitions:
                break
            oldest = (end.at_s, past.records)
        if oldest is None or not current.partitions or now.at_s - oldest[0] < STEP_S:
            return None
        since_s, records = oldest
        return (current.records - records) * _MINUTE_S / (now.at_s - since_s)

    def hour(self) -> Hour:
        """Give the steps that have ended."""
        ends = list(self._ends)[1:]
        return Hour(
            ended_s=self._end_of(self._step),
            verdicts=tuple(self._grown(lambda reading: reading.verdicts)),
            failures=tuple(self._grown(lambda reading: reading.failures)),
            cost_usd=tuple(self._grown(lambda reading: reading.cost_usd)),
            lag=tuple(None if end is None else end.lag for end in ends),
            running_calls=tuple(None if end is None else end.running_calls for end in ends),
        )

    def _per_minute(self, now: Reading, count: Callable[[Reading], int]) -> float:
        start = self._lately[0]
        # In the first minute no more has happened than was counted: nothing is extrapolated.
        elapsed_s = max(_MINUTE_S, now.at_s - start.at_s)
        return (count(now) - count(start)) * _MINUTE_S / elapsed_s

    def _grown(self, count: Callable[[Reading], _Number]) -> Iterator[_Number | None]:
        for start, end in pairwise(self._ends):
            yield None if start is None or end is None else count(end) - count(start)

    def _end_of(self, step: int) -> float:
        return self._start_s + step * STEP_S


def drains_in_s(records: int, per_minute: float | None) -> float | None:
    """Say in how many seconds nothing waits any more; None: it does not shrink, or is unknown."""
    if records == 0:
        return 0.0
    if per_minute is None or per_minute >= 0:
        return None
    return records * _MINUTE_S / -per_minute
