from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.adapters.kafka.spend_codec import SpendCodec
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.domain.analytics import GRACE_MS, Resumption, Windows, place_of, source_of
from llm_worker.domain.spend import SOURCES, Source
from tests.support.builders import TOPICS
from tests.support.spend import (
    COSTS,
    FAILURES,
    REQUESTS,
    completion_value,
    cost_of,
    failure_value,
    record_of,
    uid,
)

if TYPE_CHECKING:
    from llm_worker.contracts.events import LLMUsageAnalyticsV1

_LENGTH_MS = 1_000
_LATER_MS = 10**12
_codec = SpendCodec(TOPICS)


def _event(value: bytes, source: Source = COSTS) -> EventEnvelope[Any]:
    event = _codec.event(record_of(value, source=source))
    assert isinstance(event, EventEnvelope)
    return event


def _windows(*sources: Source, from_ms: int = 0) -> Windows:
    windows = Windows(length_ms=_LENGTH_MS, from_ms=from_ms)
    for source in sources or (COSTS,):
        windows.begin(source, 0)
    return windows


def _add(
    windows: Windows, offset: int, at_ms: int, value: bytes | None = None, source: Source = COSTS
) -> None:
    windows.add(source, offset, at_ms, _event(value or cost_of(), source))


def _closed(
    windows: Windows, now_ms: int = _LATER_MS, *read_to_end: Source
) -> list[LLMUsageAnalyticsV1]:
    return list(windows.closed(now_ms, set(read_to_end or (COSTS, REQUESTS, FAILURES))))


def _starts_ms(closed: list[LLMUsageAnalyticsV1]) -> list[int]:
    return [int(data.period_start.timestamp() * 1000) for data in closed]


def _completions(*times_ms: int, **fields: object) -> LLMUsageAnalyticsV1:
    windows = _windows(REQUESTS)
    for offset, time_ms in enumerate(times_ms):
        value = completion_value(**{"response_time_ms": time_ms, **fields})  # type: ignore[arg-type]
        _add(windows, offset, 0, value, REQUESTS)
    [data] = _closed(windows)
    return data


def test_window_tells_requests_attempts_tokens_and_money() -> None:
    windows = _windows(COSTS, REQUESTS, FAILURES)
    tokens = {"prompt_tokens": 10, "total_tokens": 15}
    _add(windows, 0, 5_100, cost_of(usd=0.1, token_usage=tokens))
    _add(windows, 1, 5_900, cost_of(usd=0.2, token_usage=tokens))
    for offset in (2, 3, 4):
        _add(windows, offset, 5_999, cost_of(usd=None, provider="google"))
    _add(windows, 0, 5_000, completion_value(response_time_ms=100), REQUESTS)
    _add(windows, 1, 5_500, completion_value(response_time_ms=300, success=False), REQUESTS)
    _add(windows, 0, 5_200, failure_value(), FAILURES)
    _add(windows, 1, 5_300, failure_value(), FAILURES)
    [data] = _closed(windows)
    assert data.period_start == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert data.period_end == datetime(1970, 1, 1, 0, 0, 6, tzinfo=UTC)
    assert (data.total_requests, data.successful_requests, data.failed_requests) == (2, 1, 1)
    assert data.total_tokens == {"prompt_tokens": 20, "total_tokens": 30}
    assert data.total_cost == Decimal("0.3")
    assert data.average_response_time_ms == 200
    openai, google = data.provider_stats["openai"], data.provider_stats["google"]
    assert (openai.requests, openai.failures, openai.tokens) == (2, 2, 30)
    assert (openai.cost, openai.p50_response_ms, openai.p95_response_ms) == (
        Decimal("0.3"),
        100,
        100,
    )
    assert (google.requests, google.cost, google.p50_response_ms) == (0, Decimal(0), None)
    assert google.tokens == 0
    assert data.metadata["unknown_costs"] == 3


def test_window_of_attempts_alone_has_no_requests_to_tell_of() -> None:
    windows = _windows()
    _add(windows, 0, 0)
    [data] = _closed(windows)
    assert (data.total_requests, data.average_response_time_ms) == (0, 0)
    assert data.metadata["cache_hit_rate"] == 0


def test_cache_hits_are_requests_that_no_provider_was_asked_for() -> None:
    windows = _windows(REQUESTS)
    for offset in range(4):
        hit = {"cached": offset < 2}
        _add(windows, offset, 0, completion_value(metadata=hit, response_time_ms=10), REQUESTS)
    [data] = _closed(windows)
    assert (data.total_requests, data.provider_stats["openai"].requests) == (4, 2)
    assert data.metadata["cache_hit_rate"] == 0.5


@pytest.mark.parametrize(
    ("times_ms", "p50", "p95"),
    [
        ([7], 7, 7),
        ([1, 2], 1, 2),
        ([3, 1, 2], 2, 3),
        (list(range(100, 0, -1)), 50, 95),
        (list(range(1, 21)), 10, 19),
        (list(range(1, 22)), 11, 20),
    ],
)
def test_quantiles_are_values_that_occurred(times_ms: list[int], p50: int, p95: int) -> None:
    stats = _completions(*times_ms).provider_stats["openai"]
    assert (stats.p50_response_ms, stats.p95_response_ms) == (p50, p95)


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=60))
def test_quantile_is_the_smallest_value_that_its_share_does_not_exceed(
    times_ms: list[int],
) -> None:
    stats = _completions(*times_ms).provider_stats["openai"]
    for percent, found in ((50, stats.p50_response_ms), (95, stats.p95_response_ms)):
        enough = [
            value
            for value in times_ms
            if 100 * sum(each <= value for each in times_ms) >= percent * len(times_ms)
        ]
        assert found == min(enough)


def test_requests_without_a_verdict_have_no_part_in_the_quantiles() -> None:
    stats = _completions(10, 20, success=False).provider_stats["openai"]
    assert (stats.requests, stats.p50_response_ms, stats.p95_response_ms) == (2, None, None)


def test_record_at_the_end_of_a_window_is_in_the_next() -> None:
    windows = _windows()
    for offset, at_ms in enumerate((999, 1_000, 1_999, 2_000)):
        _add(windows, offset, at_ms)
    closed = _closed(windows)
    assert _starts_ms(closed) == [0, 1_000, 2_000]
    assert [data.metadata["next_offsets"]["cost_tracking/0"] for data in closed] == [1, 3, 4]


def test_window_without_an_event_is_not_published() -> None:
    windows = _windows()
    _add(windows, 0, 0)
    windows.skip(COSTS, 1, 3_000)
    _add(windows, 2, 5_000)
    assert _starts_ms(_closed(windows)) == [0, 5_000]
    assert _closed(windows) == _closed(_windows()) == []


def test_event_that_stands_there_twice_is_counted_once() -> None:
    windows = _windows()
    for offset, at_ms in enumerate((0, 10, 1_500)):
        _add(windows, offset, at_ms, cost_of(uid(1), usd=0.1))
    [data] = _closed(windows)
    assert data.total_cost == Decimal("0.1")
    assert data.metadata["next_offsets"] == {"cost_tracking/0": 2}


def test_event_of_a_published_window_is_not_counted_again_until_it_is_forgotten() -> None:
    windows, twice = _windows(from_ms=1_000), cost_of(uid(1), usd=0.1)
    windows.skip(COSTS, 0, 900, uid(1))
    windows.skip(COSTS, 1, 1_000 + 3_600_000 // 100, uid(2))
    _add(windows, 2, 1_500, twice)
    assert not _closed(windows)
    windows.skip(COSTS, 3, 2 * 3_600_000, uid(3))
    _add(windows, 4, 2 * 3_600_000, twice)
    [data] = _closed(windows)
    assert data.total_cost == Decimal("0.1")


def test_late_record_goes_into_the_window_that_its_partition_has_reached() -> None:
    windows = _windows()
    for offset, at_ms in enumerate((500, 1_500, 400)):
        _add(windows, offset, at_ms, cost_of(usd=0.1))
    closed = _closed(windows)
    assert _starts_ms(closed) == [0, 1_000]
    assert [data.total_cost for data in closed] == [Decimal("0.1"), Decimal("0.2")]


def test_record_that_is_late_for_a_closed_window_goes_into_the_next_one() -> None:
    windows = _windows(COSTS, REQUESTS)
    _add(windows, 0, 500)
    assert _starts_ms(_closed(windows)) == [0]
    _add(windows, 0, 600, completion_value(), REQUESTS)
    [late] = _closed(windows)
    assert (_starts_ms([late]), late.total_requests) == ([1_000], 1)


def test_window_is_closed_once_every_partition_has_gone_beyond_it() -> None:
    windows = _windows(COSTS, REQUESTS)
    _add(windows, 0, 500)
    _add(windows, 1, 1_000)
    nobody = Source(SOURCES[0], 9)
    assert not _closed(windows, 0, nobody)
    _add(windows, 0, 1_700, completion_value(), REQUESTS)
    assert _starts_ms(_closed(windows, 0, nobody)) == [0]


def test_window_stays_open_while_a_partition_has_unread_records() -> None:
    windows = _windows(COSTS, REQUESTS)
    _add(windows, 0, 500)
    assert not _closed(windows, _LATER_MS, COSTS)
    assert _starts_ms(_closed(windows, _LATER_MS, COSTS, REQUESTS)) == [0]


def test_window_of_partitions_read_to_their_ends_is_closed_when_its_grace_has_passed() -> None:
    windows = _windows()
    _add(windows, 0, 500)
    assert not _closed(windows, _LENGTH_MS + GRACE_MS - 1)
    assert _starts_ms(_closed(windows, _LENGTH_MS + GRACE_MS)) == [0]
    assert not _closed(windows)


def test_windows_before_the_last_published_one_do_not_come_again() -> None:
    windows = _windows(from_ms=5_000)
    _add(windows, 0, 100)
    assert _starts_ms(_closed(windows)) == [5_000]


def test_windows_begin_at_multiples_of_their_length_whatever_was_published_before() -> None:
    windows = _windows(from_ms=5_500)
    _add(windows, 0, 100)
    assert _starts_ms(_closed(windows)) == [5_000]


def test_nothing_is_closed_before_any_partition_is_known() -> None:
    assert not list(Windows(length_ms=_LENGTH_MS, from_ms=0).closed(_LATER_MS, set()))


def test_partition_that_was_not_expected_is_counted_from_its_first_record_on() -> None:
    windows = Windows(length_ms=_LENGTH_MS, from_ms=0)
    _add(windows, 7, 500)
    [data] = _closed(windows)
    assert data.metadata["next_offsets"] == {"cost_tracking/0": 8}


def test_partition_without_a_record_is_resumed_where_it_was_begun() -> None:
    windows = _windows()
    windows.begin(REQUESTS, 42)
    _add(windows, 0, 500)
    [data] = _closed(windows)
    assert data.metadata["next_offsets"] == {"cost_tracking/0": 1, "request_completed/0": 42}


def test_record_is_counted_already_by_its_offset_or_without_one_by_its_time() -> None:
    resumption = Resumption(from_ms=1_000, next_offsets={COSTS: 5})
    assert resumption.is_counted(COSTS, 4, 9_999)
    assert not resumption.is_counted(COSTS, 5, 0)
    assert resumption.is_counted(REQUESTS, 9, 999)
    assert not resumption.is_counted(REQUESTS, 0, 1_000)


@given(st.sampled_from(SOURCES), st.integers(0, 10_000))
def test_place_of_a_source_partition_is_read_back(topic: Any, partition: int) -> None:  # noqa: ANN401 - a topic
    assert source_of(place_of(Source(topic, partition))) == Source(topic, partition)


@pytest.mark.parametrize("place", ["", "costs/1", "cost_tracking", "cost_tracking/x"])
def test_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="valid"):
        source_of(place)
