"""Whether a soak was flat: pure arithmetic over its samples."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST_SAMPLES: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSample:
    """How one process stands."""

    name: str
    rss_mb: float
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakSample:
    """How all stands; latencies are of the results since the last sample, None without any."""

    at_s: float
    sent: int
    lag: int
    redis_keys: int
    redis_mb: float
    p50_ms: float | None
    p99_ms: float | None
    processes: tuple[ProcessSample, ...]
    """Those that run throughout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The medians of the second and the last third of a soak, and how far they may lie apart."""

    what: str
    before: float
    after: float
    allowed: float
    """Growth, as a share of `before`."""

    @property
    def growth(self) -> float:
        """How much more it was, as a share."""
        return (self.after - self.before) / self.before if self.before else 0.0

    @property
    def is_flat(self) -> bool:
        """Say whether it grew by no more than is allowed; what shrinks is flat."""
        return self.growth <= self.allowed


def trends(samples: Sequence[SoakSample]) -> list[Trend]:
    """Compare the last third with the one before; the first is for warming up.

    Redis keeps the outcome of each request for days and is emptied by some faults: what must be
    flat there is how many keys a request adds, and how large they are.

    Raises:
        ValueError: There are too few samples.
    """
    if len(samples) < _LEAST_SAMPLES:
        raise ValueError(f"{len(samples)} samples say nothing: {_LEAST_SAMPLES} are needed")
    found = [_of("p50 ms", [each.p50_ms for each in samples], allowed=0.25)]
    found.append(_of("p99 ms", [each.p99_ms for each in samples], allowed=0.5))
    for number, process in enumerate(samples[0].processes):
        of_process = [each.processes[number] for each in samples]
        name = process.name
        found += [
            _of(f"{name} MB", [each.rss_mb for each in of_process], allowed=0.1),
            _of(f"{name} descriptors", [each.descriptors for each in of_process], allowed=0.1),
            _of(f"{name} threads", [each.threads for each in of_process], allowed=0.1),
        ]
    return [
        *found,
        _of("Redis keys a request", _keys_per_request(samples), allowed=0.15),
        _of("Redis kB a key", [_kb_per_key(each) for each in samples], allowed=0.15),
    ]


def _of(what: str, values: Sequence[float | None], *, allowed: float) -> Trend:
    third = len(values) // 3
    parts = values[third : 2 * third], values[-third:]
    before, after = ([each for each in part if each is not None] for part in parts)
    return Trend(
        what=what,
        before=round(median(before), 3) if before else 0.0,
        after=round(median(after), 3) if after else 0.0,
        allowed=allowed,
    )


def _keys_per_request(samples: Sequence[SoakSample]) -> list[float | None]:
    return [
        (later.redis_keys - each.redis_keys) / (later.sent - each.sent)
        if later.redis_keys > each.redis_keys and later.sent > each.sent
        else None
        for each, later in pairwise(samples)
    ]


def _kb_per_key(sample: SoakSample) -> float | None:
    return sample.redis_mb * 1_000 / sample.redis_keys if sample.redis_keys else None
