"""What the worker adds to its provider's time, of each request and where: pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from statistics import median, quantiles
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One request: when the broker had which record of it (ms), and its provider's time."""

    requested_ms: float
    started_ms: float
    completed_ms: float
    result_ms: float
    provider_ms: float

    @property
    def added_ms(self) -> float:
        """From record to record, less the provider's time."""
        return self.result_ms - self.requested_ms - self.provider_ms

    @property
    def before_ms(self) -> float:
        """Until the call begins: fetched, read, claimed, let through."""
        return self.started_ms - self.requested_ms

    @property
    def around_ms(self) -> float:
        """What the call takes beyond the provider's time: HTTP, and waits for the loop."""
        return self.completed_ms - self.started_ms - self.provider_ms

    @property
    def after_ms(self) -> float:
        """From the verdict until the broker holds the result: kept, written, published."""
        return self.result_ms - self.completed_ms


def answered(
    requests: Mapping[bytes, tuple[int, bytes]],
    results: Mapping[bytes, tuple[int, bytes]],
    starts: Mapping[bytes, tuple[int, bytes]],
    took_s: Mapping[bytes, float],
) -> list[Answered]:
    """Join the records of each request, by their keys, in the order of the requests' times.

    Raises ValueError if a request has no verdict, or the provider was not asked exactly once.
    """
    joined = []
    for key, (requested_ms, _) in sorted(requests.items(), key=lambda each: each[1][0]):
        for what, known in (("result", results), ("start", starts), ("call", took_s)):
            if key not in known:
                raise ValueError(f"request {key.decode()} has no {what}")
        result_ms, result = results[key]
        if (data := orjson.loads(result)["data"])["error_detail"] is not None or data["cached"]:
            raise ValueError(f"request {key.decode()} has no bought verdict")
        joined.append(
            Answered(
                requested_ms=requested_ms,
                started_ms=_ms(orjson.loads(starts[key][1])["event_timestamp"]),
                completed_ms=_ms(data["completed_at"]),
                result_ms=result_ms,
                provider_ms=took_s[key] * 1000,
            )
        )
    return joined


@dataclass(frozen=True, slots=True)
class Added:
    """What was added to many requests."""

    each: Sequence[Answered]

    def quantiles_ms(self) -> list[float]:
        """Give the added time that 1, 2, ... 99 in a hundred are under."""
        return quantiles((one.added_ms for one in self.each), n=100, method="inclusive")

    def most_ms(self) -> float:
        """Give the most that was added to any."""
        return max(one.added_ms for one in self.each)

    def medians_ms(self) -> dict[str, float]:
        """Give where it was added: the median of each stretch."""
        return {
            "before the call": median(one.before_ms for one in self.each),
            "around it": median(one.around_ms for one in self.each),
            "after it": median(one.after_ms for one in self.each),
        }


def _ms(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp() * 1000
