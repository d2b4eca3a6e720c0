from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.application.books import Books
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.events import LLMCostTrackingV1
from llm_worker.domain.analytics import Resumption, Windows, source_of
from tests.support.accountant import FakeTopics
from tests.support.spend import COSTS, MORE_COSTS, cost_of, record_of, uid

if TYPE_CHECKING:
    from llm_worker.contracts.events import LLMUsageAnalyticsV1
    from llm_worker.domain.delivery import PlacedRecord
    from llm_worker.domain.spend import Source

_LENGTH_MS = 1_000
_Cost = EventEnvelope[LLMCostTrackingV1]


@dataclass(slots=True)
class _Process:
    """Counts what is read, and begins anew after a crash at the last window that was published."""

    records: dict[Source, list[PlacedRecord]]
    published: list[LLMUsageAnalyticsV1] = field(default_factory=list)
    read: Counter[Source] = field(default_factory=Counter)
    committed: Counter[Source] = field(default_factory=Counter)
    books: Books = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        resumption = Resumption(from_ms=0, next_offsets={})
        if self.published:
            last = self.published[-1]
            offsets = last.metadata["next_offsets"].items()
            resumption = Resumption(
                from_ms=int(last.period_end.timestamp() * 1000),
                next_offsets={source_of(place): offset for place, offset in offsets},
            )
        self.books = Books(
            generation=1,
            month="2026-11",
            since="2026-10",
            history=FakeTopics(),
            raised=set(),
            windows=Windows(length_ms=_LENGTH_MS, from_ms=resumption.from_ms),
            resumption=resumption,
        )
        for source in self.records:
            self.books.windows.begin(source, self.committed[source])
            self.read[source] = 0
            self.take(source, self.committed[source])

    def take(self, source: Source, count: int) -> None:
        first = self.read[source]
        for record in self.records[source][first : first + count]:
            self.books.count(source, record, _Cost.model_validate_json(record.value or b""))
            self.read[source] = record.offset + 1

    def close(self, now_ms: int, at_most: int | None = None) -> None:
        read_to_end = {
            source for source, records in self.records.items() if self.read[source] == len(records)
        }
        for number, data in enumerate(self.books.windows.closed(now_ms, read_to_end)):
            if number == at_most:
                self.start()
                return
            self.published.append(data)


@st.composite
def _partitions(draw: st.DrawFn, *, ids: int = 0) -> dict[Source, list[PlacedRecord]]:
    """Records in any order of their times; without `ids`, each is an event of its own."""
    times_ms = st.lists(st.integers(0, 6_000), max_size=25)
    partitions = {}
    for number, source in enumerate((COSTS, MORE_COSTS)):
        numbers = st.integers(10 * number, 10 * number + ids - 1)
        event_ids = numbers.map(uid) if ids else st.none()
        partitions[source] = [
            record_of(cost_of(draw(event_ids)), offset, source=source, at_ms=at_ms)
            for offset, at_ms in enumerate(draw(times_ms))
        ]
    return partitions


_sources = st.sampled_from([COSTS, MORE_COSTS])
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), _sources, st.integers(1, 10)),
        st.tuples(st.just("close"), _sources, st.integers(0, 14_000)),
        st.tuples(st.just("commit"), _sources, st.integers(1, 25)),
        st.tuples(st.just("crash"), _sources, st.integers(0, 3)),
    ),
    max_size=25,
)


def _play(process: _Process, steps: list[tuple[str, Source, int]]) -> None:
    for what, source, amount in steps:
        match what:
            case "take":
                process.take(source, amount)
            case "close":
                process.close(amount)
            case "commit":
                reached = process.committed[source] + amount
                process.committed[source] = min(reached, process.read[source])
            case _:
                process.close(10_000, at_most=amount)
                process.start()
    for source in process.records:
        process.take(source, 1_000)
    process.close(10**9)


def _total(published: list[LLMUsageAnalyticsV1]) -> Decimal:
    return sum((data.total_cost for data in published), Decimal(0))


@settings(deadline=None)
@given(_partitions(), _steps)
def test_each_record_is_in_exactly_one_published_window_whatever_is_interrupted(
    records: dict[Source, list[PlacedRecord]], steps: list[tuple[str, Source, int]]
) -> None:
    process = _Process(records)
    _play(process, steps)
    assert _total(process.published) == sum(map(len, records.values())) * Decimal("0.01")


@settings(deadline=None)
@given(_partitions(ids=6), _steps)
def test_each_event_is_counted_once_however_often_it_stands_there(
    records: dict[Source, list[PlacedRecord]], steps: list[tuple[str, Source, int]]
) -> None:
    process = _Process(records)
    _play(process, steps)
    told = {record.value for partition in records.values() for record in partition}
    assert _total(process.published) == len(told) * Decimal("0.01")


@settings(deadline=None)
@given(_partitions(), _steps)
def test_windows_are_published_in_order_and_each_once(
    records: dict[Source, list[PlacedRecord]], steps: list[tuple[str, Source, int]]
) -> None:
    process = _Process(records)
    _play(process, steps)
    starts = [data.period_start for data in process.published]
    assert starts == sorted(set(starts))
    assert all(data.total_cost for data in process.published)


@settings(deadline=None)
@given(_partitions(), _steps)
def test_no_record_is_in_a_window_before_its_own_time(
    records: dict[Source, list[PlacedRecord]], steps: list[tuple[str, Source, int]]
) -> None:
    """It may be late; it is never early."""
    process = _Process(records)
    _play(process, steps)
    ends = [int(data.period_end.timestamp() * 1000) for data in process.published]
    for source, partition in records.items():
        place = f"{source.topic}/{source.partition}"
        first = 0
        for end_ms, data in zip(ends, process.published, strict=True):
            behind = data.metadata["next_offsets"][place]
            assert all(record.at_ms < end_ms for record in partition[first:behind])
            first = behind
