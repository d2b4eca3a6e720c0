"""How often the same line may be logged: a broker's outage logs a hundred a second."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple, TextIO

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable

_REPEATING = ("aiokafka", "faust", "mode", "opentelemetry")


class CalmHandler(logging.StreamHandler[TextIO]):
    """Hold back what the Kafka and tracing libraries repeat, and say how much that was.

    What a window held back is told with the first line after its end, whoever logs it.

    Args:
        stream: Where lines go.
        clock: Seconds of any clock that never goes back.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock: Final = clock
        self._limit: Final = RepeatLimit()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        now = self._clock()
        for line, count in self._limit.turn(now).items():
            super().emit(_suppressed(line, count))
        line = Template(record.name, str(record.msg))
        if record.name.partition(".")[0] not in _REPEATING or self._limit.admits(line, now):
            super().emit(record)


def _suppressed(line: Template, count: int) -> logging.LogRecord:
    return logging.makeLogRecord(
        {
            "name": line.logger,
            "levelno": logging.WARNING,
            "levelname": "WARNING",
            "msg": "suppressed %d similar: %s",
            "args": (count, line.text),
        }
    )


class Template(NamedTuple):
    """What makes two lines alike: who logs, and the text before its arguments are filled in."""

    logger: str
    text: str


class RepeatLimit:
    """Let the first lines of a kind through in each window of time, and count the others.

    One window serves all kinds, so that what is remembered is forgotten when it ends.

    Args:
        burst: Lines of one kind that a window lets through.
        window_s: Seconds from a window's first line to its end.
    """

    def __init__(self, *, burst: int = 5, window_s: float = 30.0) -> None:
        self._burst: Final = burst
        self._window_s: Final = window_s
        self._seen: Counter[Template] = Counter()
        self._ends_at: float | None = None

    def admits(self, line: Template, now: float) -> bool:
        """Count a line and tell whether it may be logged; `now` in seconds of any clock."""
        if self._ends_at is None:
            self._ends_at = now + self._window_s
        self._seen[line] += 1
        return self._seen[line] <= self._burst

    def turn(self, now: float) -> dict[Template, int]:
        """Close the window if it is over: how many lines of each kind it held back."""
        if self._ends_at is None or now < self._ends_at:
            return {}
        held_back = {
            line: count - self._burst for line, count in self._seen.items() if count > self._burst
        }
        self._seen.clear()
        self._ends_at = None
        return held_back
