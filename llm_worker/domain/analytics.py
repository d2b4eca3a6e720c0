"""Usage analytics: events put into windows of time, each into exactly one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeAlias

from llm_worker.contracts.events import (
    LLMCostTrackingV1,
    LLMProviderFailureV1,
    LLMRequestCompletedV1,
    LLMUsageAnalyticsV1,
    ProviderStats,
)
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.journal import SeenIds
from llm_worker.domain.spend import Source

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from uuid import UUID

    from llm_worker.contracts.envelope import EventEnvelope

Counted: TypeAlias = LLMCostTrackingV1 | LLMProviderFailureV1 | LLMRequestCompletedV1

GRACE_MS: Final = 5_000
"""Milliseconds after its end until a window is closed: what is on its way may arrive."""
_HORIZON_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """Where the last published window ended, in time and in each source partition."""

    from_ms: int
    next_offsets: Mapping[Source, int]

    def is_counted(self, source: Source, offset: int, at_ms: int) -> bool:
        """Say whether a record is in a published window already."""
        first = self.next_offsets.get(source)
        return at_ms < self.from_ms if first is None else offset < first


@dataclass(slots=True)
class _OfProvider:
    requests: int = 0
    failures: int = 0
    tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    times_ms: list[int] = field(default_factory=list)

    def stats(self) -> ProviderStats:
        return ProviderStats(
            requests=self.requests,
            failures=self.failures,
            tokens=self.tokens,
            cost=self.cost_usd,
            p50_response_ms=_quantile(self.times_ms, 0.5),
            p95_response_ms=_quantile(self.times_ms, 0.95),
        )


@dataclass(slots=True)
class _Window:
    requests: int = 0
    successes: int = 0
    cached: int = 0
    unknown_costs: int = 0
    time_ms: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    providers: dict[str, _OfProvider] = field(default_factory=dict)

    def add(self, data: Counted) -> None:
        of_provider = self.providers.setdefault(data.provider, _OfProvider())
        match data:
            case LLMRequestCompletedV1():
                self._add_completion(data, of_provider)
            case LLMProviderFailureV1():
                of_provider.failures += 1
            case LLMCostTrackingV1():
                self.unknown_costs += not data.cost_known
                self.tokens.update(data.token_usage)
                of_provider.tokens += data.token_usage.get("total_tokens", 0)
                if data.cost_known:
                    of_provider.cost_usd += data.cost_estimate_usd

    def _add_completion(self, data: LLMRequestCompletedV1, of_provider: _OfProvider) -> None:
        self.requests += 1
        self.successes += data.success
        self.time_ms += data.response_time_ms
        if data.metadata.get("cached"):
            self.cached += 1
            return
        of_provider.requests += 1
        if data.success:
            of_provider.times_ms.append(data.response_time_ms)

    def event(
        self, start_ms: int, end_ms: int, next_offsets: Mapping[str, int]
    ) -> LLMUsageAnalyticsV1:
        return LLMUsageAnalyticsV1(
            period_start=_moment(start_ms),
            period_end=_moment(end_ms),
            provider_stats={name: each.stats() for name, each in sorted(self.providers.items())},
            total_requests=self.requests,
            successful_requests=self.successes,
            failed_requests=self.requests - self.successes,
            total_tokens=dict(self.tokens),
            total_cost=sum((each.cost_usd for each in self.providers.values()), Decimal(0)),
            average_response_time_ms=self.time_ms / self.requests if self.requests else 0.0,
            metadata={
                "cache_hit_rate": self.cached / self.requests if self.requests else 0.0,
                "unknown_costs": self.unknown_costs,
                "next_offsets": dict(next_offsets),
            },
        )


@dataclass(slots=True)
class _Reading:
    """How far one source partition is read: window numbers never fall, so a window is a range."""

    seen: SeenIds
    number: int = 0
    next_offset: int = 0
    first_of: dict[int, int] = field(default_factory=dict)


class Windows:
    """Tumbling windows by the records' own time.

    Within a partition the windows follow one another, so each is a contiguous range of offsets:
    what begins again at the `next_offsets` of the last published window counts each record once.

    Args:
        length_ms: Of a window.
        from_ms: The end of the last published window.
    """

    def __init__(self, *, length_ms: int, from_ms: int) -> None:
        self._length_ms = length_ms
        self._first = from_ms // length_ms
        self._readings: dict[Source, _Reading] = {}
        self._windows: dict[int, _Window] = {}

    def begin(self, source: Source, position: int) -> None:
        """Expect records of a source partition, from an offset on or a little before it."""
        self._readings[source] = _Reading(SeenIds(_HORIZON_MS), self._first, position)

    def add(self, source: Source, offset: int, at_ms: int, event: EventEnvelope[Counted]) -> None:
        """Count an event of a source partition; its offset must be higher than those before."""
        reading = self._pass(source, offset, at_ms)
        if reading.seen.note(event.event_id, offset, at_ms) == offset:
            self._windows.setdefault(reading.number, _Window()).add(event.data)

    def skip(self, source: Source, offset: int, at_ms: int, event_id: UUID | None = None) -> None:
        """Pass a record that is no event, or whose event a published window has counted."""
        reading = self._pass(source, offset, at_ms)
        if event_id is not None:
            reading.seen.note(event_id, offset, at_ms)

    def closed(self, now_ms: int, read_to_end: Container[Source]) -> Iterator[LLMUsageAnalyticsV1]:
        """Give the windows that are complete, in order, and forget them; none that is empty.

        `read_to_end` are the source partitions of which everything was added as of `now_ms`.
        """
        over = (now_ms - GRACE_MS) // self._length_ms
        # A record of a later window says that nothing comes for this one; so does the clock.
        complete_before = min(
            (
                max(reading.number, over if source in read_to_end else 0)
                for source, reading in self._readings.items()
            ),
            default=0,
        )
        for number in sorted(number for number in self._windows if number < complete_before):
            yield self._close(number)

    def _close(self, number: int) -> LLMUsageAnalyticsV1:
        for reading in self._readings.values():
            reading.number = max(reading.number, number + 1)
        start_ms = number * self._length_ms
        return self._windows.pop(number).event(
            start_ms, start_ms + self._length_ms, self._offsets_after(number)
        )

    def _offsets_after(self, number: int) -> dict[str, int]:
        offsets = {}
        for source, reading in self._readings.items():
            reading.first_of = {n: first for n, first in reading.first_of.items() if n > number}
            offsets[place_of(source)] = min(reading.first_of.values(), default=reading.next_offset)
        return offsets

    def _pass(self, source: Source, offset: int, at_ms: int) -> _Reading:
        if source not in self._readings:
            self.begin(source, offset)
        reading = self._readings[source]
        reading.number = max(reading.number, at_ms // self._length_ms)
        reading.next_offset = offset + 1
        reading.first_of.setdefault(reading.number, offset)
        return reading


def place_of(source: Source) -> str:
    """Name a source partition, as in `next_offsets`."""
    return f"{source.topic}/{source.partition}"


def source_of(place: str) -> Source:
    """Read a source partition's name. Raises ValueError where it is none."""
    topic, _, partition = place.rpartition("/")
    return Source(TopicName(topic), int(partition))


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _quantile(values: list[int], share: float) -> float | None:
    """Give the smallest value that at least this share of them does not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 1)
    return float(ordered[max(0, int(rank) - 1)])
