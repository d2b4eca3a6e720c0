"""Usage analytics as the accountant publishes them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.contracts.vocabulary import TopicName
from tests.support.accountant import WINDOW_MS, Accountant, CrashError, FakeTopics
from tests.support.spend import (
    COSTS,
    FAILURES,
    NOW_MS,
    REQUESTS,
    completion_value,
    cost_of,
    failure_value,
    uid,
)
from tests.support.wire import read_event

if TYPE_CHECKING:
    from llm_worker.domain.spend import Source

_SOURCES = (COSTS, REQUESTS, FAILURES)


@pytest.fixture
def topics() -> FakeTopics:
    return FakeTopics()


def _accountant(topics: FakeTopics, **committed: int) -> Accountant:
    places = {source: committed.get(source.topic, 0) for source in _SOURCES}
    return Accountant(topics, committed=places)


def _requests(topics: FakeTopics) -> list[tuple[str, int]]:
    return [(data["period_start"][11:16], data["total_requests"]) for data in topics.windows()]


async def test_window_is_published_when_its_time_and_the_grace_are_over(
    topics: FakeTopics,
) -> None:
    topics.append(completion_value(), REQUESTS, NOW_MS)
    accountant = _accountant(topics)
    await accountant.accounting.book(topics.pulled(source=REQUESTS))
    for seconds, published in ((0, 0), (64, 0), (1, 1), (600, 1)):
        accountant.clock.advance(seconds)
        await accountant.accounting.review(1)
        assert len(topics.windows()) == published
    assert _requests(topics) == [("10:00", 1)]


async def test_all_sources_are_in_one_window(topics: FakeTopics) -> None:
    topics.append(completion_value(), REQUESTS, NOW_MS)
    topics.append(cost_of(usd=0.5), COSTS, NOW_MS + 1)
    topics.append(failure_value(), FAILURES, NOW_MS + 2)
    accountant = _accountant(topics)
    accountant.clock.advance(65)
    await accountant.accounting.book(
        [record for source in _SOURCES for record in topics.pulled(source=source)]
    )
    [data] = topics.windows()
    assert (data["total_requests"], data["total_cost"]) == (1, 0.5)
    assert data["provider_stats"]["openai"]["failures"] == 1
    places = ("cost_tracking/0", "request_completed/0", "provider_failure/0")
    assert data["metadata"]["next_offsets"] == dict.fromkeys(places, 1)


async def test_window_waits_for_what_lies_unread(topics: FakeTopics) -> None:
    for second in range(2):
        topics.append(completion_value(), REQUESTS, NOW_MS + second)
    accountant = _accountant(topics)
    accountant.clock.advance(600)
    await accountant.accounting.book(topics.pulled(0, 1, source=REQUESTS))
    await accountant.accounting.review(1)
    assert not topics.windows()
    await accountant.accounting.book(topics.pulled(1, source=REQUESTS))
    assert _requests(topics) == [("10:00", 2)]


async def test_unreadable_record_and_a_quiet_minute_make_no_window(topics: FakeTopics) -> None:
    topics.append(completion_value(), REQUESTS, NOW_MS)
    topics.append(b"unreadable", REQUESTS, NOW_MS + WINDOW_MS)
    topics.append(completion_value(), REQUESTS, NOW_MS + 3 * WINDOW_MS)
    accountant = _accountant(topics)
    accountant.clock.advance(600)
    await accountant.accounting.book(topics.pulled(source=REQUESTS))
    assert _requests(topics) == [("10:00", 1), ("10:03", 1)]


async def test_records_of_a_window_that_was_not_published_are_read_back(
    topics: FakeTopics,
) -> None:
    """They are committed: they were added up, and no window tells of them."""
    for _ in range(2):
        topics.append(completion_value(), REQUESTS, NOW_MS)
    await _accountant(topics).accounting.book(topics.pulled(0, 1, source=REQUESTS))
    heir = _accountant(topics, request_completed=1)
    heir.clock.advance(65)
    await heir.accounting.book(topics.pulled(1, source=REQUESTS, generation=2))
    assert _requests(topics) == [("10:00", 2)]


async def test_records_of_a_published_window_that_come_again_are_not_counted_again(
    topics: FakeTopics,
) -> None:
    for number in (1, 2):
        topics.append(completion_value(uid(number)), REQUESTS, NOW_MS)
    first = _accountant(topics)
    first.clock.advance(65)
    await first.accounting.book(topics.pulled(source=REQUESTS))
    topics.append(completion_value(uid(2)), REQUESTS, NOW_MS + WINDOW_MS)
    topics.append(completion_value(uid(3)), REQUESTS, NOW_MS + WINDOW_MS)
    heir = _accountant(topics)
    heir.clock.advance(600)
    await heir.accounting.book(topics.pulled(source=REQUESTS, generation=2))
    assert _requests(topics) == [("10:00", 2), ("10:01", 1)]


async def test_records_that_come_from_before_the_commit_are_counted_once(
    topics: FakeTopics,
) -> None:
    for _ in range(2):
        topics.append(completion_value(), REQUESTS, NOW_MS)
    accountant = _accountant(topics, request_completed=2)
    accountant.clock.advance(65)
    await accountant.accounting.book(topics.pulled(source=REQUESTS))
    assert _requests(topics) == [("10:00", 2)]


async def test_first_start_of_all_counts_the_hour_before_it(topics: FakeTopics) -> None:
    for minutes in (-61, -59, 0):
        topics.append(completion_value(), REQUESTS, NOW_MS + minutes * WINDOW_MS)
    accountant = _accountant(topics)
    await accountant.accounting.book(topics.pulled(source=REQUESTS))
    assert _requests(topics) == [("09:01", 1)]


async def test_window_that_is_published_twice_has_one_id(topics: FakeTopics) -> None:
    topics.append(completion_value(), REQUESTS, NOW_MS)
    ids = []
    for generation in (1, 2):
        accountant = _accountant(topics)
        accountant.clock.advance(65)
        await accountant.accounting.book(topics.pulled(source=REQUESTS, generation=generation))
        [window] = topics.of(TopicName.USAGE_ANALYTICS)
        ids.append(read_event(window.value)["event_id"])
        topics.held.clear()
    assert ids[0] == ids[1]


_batches = st.lists(
    st.tuples(
        st.sampled_from([COSTS, REQUESTS]),
        st.integers(1, 6),
        st.none() | st.integers(0, 25),
        st.integers(0, 150),
        st.booleans(),
    ),
    max_size=10,
)


@settings(deadline=None)
@given(st.lists(st.integers(0, 5 * WINDOW_MS), max_size=20), _batches)
def test_windows_add_up_to_all_events_wherever_a_crash_comes(
    times_ms: list[int], batches: list[tuple[Source, int, int | None, int, bool]]
) -> None:
    topics = FakeTopics()
    for number, at_ms in enumerate(times_ms):
        topics.append(completion_value(uid(number)), REQUESTS, NOW_MS + at_ms)
        topics.append(cost_of(uid(number), usd=0.5), COSTS, NOW_MS + at_ms)
    with asyncio.Runner() as runner:
        runner.run(_count(topics, batches))
    windows = topics.windows()
    assert sum(data["total_requests"] for data in windows) == len(times_ms)
    assert sum(data["total_cost"] for data in windows) == len(times_ms) / 2
    assert all(data["total_requests"] or data["total_cost"] for data in windows)


async def _count(
    topics: FakeTopics, batches: list[tuple[Source, int, int | None, int, bool]]
) -> None:
    committed = dict.fromkeys((COSTS, REQUESTS), 0)
    read, generation, elapsed_s = dict(committed), 1, 0  # within the hour that a start looks back
    accountant = Accountant(topics, committed=dict(committed))
    finally_all: list[tuple[Source, int, int | None, int, bool]] = [
        (source, 1_000, None, 600, True) for source in (COSTS, REQUESTS)
    ]
    for source, count, crash_after, seconds, is_committed in [*batches, *finally_all]:
        elapsed_s += seconds
        accountant.clock.advance(seconds)
        topics.crash_after = crash_after
        batch = topics.pulled(
            read[source], read[source] + count, source=source, generation=generation
        )
        with suppress(CrashError):
            if batch:
                await accountant.accounting.book(batch)
                read[source] += len(batch)
            await accountant.accounting.review(generation)
            if is_committed:
                committed = dict(read)
            topics.crash_after = None
            continue
        topics.crash_after, read, generation = None, dict(committed), generation + 1
        accountant = Accountant(topics, committed=dict(committed))
        accountant.clock.advance(elapsed_s)
    await accountant.accounting.review(generation)
