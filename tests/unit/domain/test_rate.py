from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.domain.rate import RateBucket

if TYPE_CHECKING:
    from collections.abc import Sequence

_WINDOW_S = 60 - 1e-6  # half-open, with room for rounding
_per_minute = st.integers(min_value=1, max_value=2_000)
_gaps_s = st.lists(
    st.floats(min_value=0, max_value=90, allow_subnormal=False), min_size=1, max_size=60
)


def _most_in_a_minute(uses: Sequence[tuple[float, float]]) -> float:
    """The largest sum of amounts that any minute holds."""
    return max(
        sum(amount for at_s, amount in uses if start_s <= at_s < start_s + _WINDOW_S)
        for start_s, _ in uses
    )


def _patient(bucket: RateBucket, amounts: Sequence[float], gaps_s: Sequence[float]) -> list[float]:
    """When each amount goes that is asked for after its gap, in order."""
    now_s, due = 0.0, []
    for amount, gap_s in zip(amounts, gaps_s, strict=True):
        now_s += gap_s
        due.append(now_s + bucket.take(amount, now_s))
    return due


@given(per_minute=_per_minute, gaps_s=_gaps_s)
def test_no_minute_holds_more_than_the_limit_whenever_requests_come(
    per_minute: int, gaps_s: list[float]
) -> None:
    due = _patient(RateBucket(per_minute), [1] * len(gaps_s), gaps_s)
    assert _most_in_a_minute([(at_s, 1) for at_s in due]) <= per_minute


@given(per_minute=st.integers(min_value=1, max_value=60), bursts=st.lists(_per_minute, max_size=3))
def test_no_minute_holds_more_than_the_limit_when_a_crowd_comes_at_once(
    per_minute: int, bursts: list[int]
) -> None:
    bucket, uses = RateBucket(per_minute), [(0.0, 0.0)]
    for number, size in enumerate(bursts):
        now_s = 45.0 * number
        uses += [(now_s + bucket.take(1, now_s), 1.0) for _ in range(min(size, 150))]
    assert _most_in_a_minute(uses) <= per_minute


@given(per_minute=_per_minute, data=st.data())
def test_large_amounts_go_over_the_limit_by_no_more_than_the_excess_of_one(
    per_minute: int, data: st.DataObject
) -> None:
    amounts = data.draw(st.lists(st.integers(1, 2 * per_minute), min_size=1, max_size=40))
    gaps_s = data.draw(st.lists(st.floats(0, 30), min_size=len(amounts), max_size=len(amounts)))
    due = _patient(RateBucket(per_minute), amounts, gaps_s)
    excess = max(0, max(amounts) - max(1, per_minute / 20))
    assert _most_in_a_minute(list(zip(due, amounts, strict=True))) < per_minute + 1 + excess


@given(per_minute=_per_minute, gaps_s=_gaps_s)
def test_whoever_comes_first_goes_first(per_minute: int, gaps_s: list[float]) -> None:
    due = _patient(RateBucket(per_minute), [1] * len(gaps_s), gaps_s)
    assert all(one_s <= next_s + 1e-9 for one_s, next_s in pairwise(due))


@given(per_minute=_per_minute, crowd=st.integers(min_value=1, max_value=500))
def test_backlog_goes_out_at_nineteen_twentieths_of_the_limit_or_more(
    per_minute: int, crowd: int
) -> None:
    bucket = RateBucket(per_minute)
    waits_s = [bucket.take(1, 0.0) for _ in range(crowd)]
    assert waits_s[-1] <= crowd * 60 / (0.95 * per_minute)


@given(per_minute=_per_minute)
def test_whoever_comes_to_an_idle_provider_never_waits(per_minute: int) -> None:
    bucket, gap_s = RateBucket(per_minute), 60 / per_minute * 1.06
    assert [bucket.take(1, number * gap_s) for number in range(40)] == pytest.approx([0.0] * 40)


def test_twentieth_of_a_minute_goes_at_once_and_the_rest_at_an_even_pace() -> None:
    bucket = RateBucket(100)
    waits_s = [bucket.take(1, 0.0) for _ in range(10)]
    assert waits_s[:5] == [0.0] * 5
    steps = [later - earlier for earlier, later in pairwise(waits_s[4:])]
    assert steps == pytest.approx([60 / 96] * 5)


def test_amount_that_the_bucket_never_holds_goes_when_it_is_full() -> None:
    bucket = RateBucket(100)
    assert bucket.take(50, 0.0) == 0.0
    assert bucket.wait_s(50, 0.0) == pytest.approx(50 / 96 * 60)


def test_those_ahead_are_waited_for() -> None:
    bucket = RateBucket(60)
    alone_s = bucket.wait_s(1, 0.0)
    behind_s = bucket.wait_s(1, 0.0, ahead=10)
    for _ in range(10):
        bucket.take(1, 0.0)
    assert alone_s == 0.0
    assert behind_s == bucket.wait_s(1, 0.0) > 0


@given(
    per_minute=st.integers(min_value=1, max_value=120),
    steps=st.lists(st.tuples(st.floats(0, 5), st.booleans()), min_size=1, max_size=150),
)
def test_what_is_given_back_may_go_again_and_no_more(
    per_minute: int, steps: list[tuple[float, bool]]
) -> None:
    bucket, now_s, used = RateBucket(per_minute), 0.0, [(0.0, 0.0)]
    for gap_s, is_used in steps:
        now_s += gap_s
        due_s = now_s + bucket.take(1, now_s)
        if is_used:
            used.append((due_s, 1.0))
        else:
            bucket.give_back(1)
    assert _most_in_a_minute(used) <= per_minute


@given(
    per_minute=st.integers(min_value=1, max_value=120),
    steps=st.lists(
        st.tuples(
            st.floats(0, 5),
            st.none() | st.integers(0, 300),
            st.none() | st.integers(0, 300),
        ),
        min_size=1,
        max_size=150,
    ),
)
def test_no_word_of_the_providers_lets_more_go_than_our_own_limit(
    per_minute: int, steps: list[tuple[float, int | None, int | None]]
) -> None:
    bucket, now_s, used = RateBucket(per_minute), 0.0, [(0.0, 0.0)]
    for gap_s, limit, remaining in steps:
        now_s += gap_s
        now_s += bucket.take(1, now_s)  # one waits at a time, as at a gate
        used.append((now_s, 1.0))
        bucket.correct(limit, remaining, now_s)
        assert bucket.per_minute is not None
        assert bucket.per_minute <= per_minute
    assert _most_in_a_minute(used) <= per_minute


def test_no_more_is_given_back_than_the_bucket_holds() -> None:
    bucket = RateBucket(100)
    bucket.take(3, 0.0)
    bucket.give_back(1_000)
    assert bucket.level(0.0) == 5


def test_more_used_than_taken_is_waited_for_by_those_who_come_next() -> None:
    bucket = RateBucket(1_200)
    bucket.take(60, 0.0)
    bucket.give_back(-57)
    assert bucket.wait_s(1, 0.0) == pytest.approx(58 / (1_200 - 60 + 1) * 60)


def test_nothing_waits_without_a_limit() -> None:
    bucket = RateBucket(None)
    assert [bucket.take(1e9, 0.0) for _ in range(3)] == [0.0] * 3
    bucket.give_back(5)
    bucket.correct(None, 0, 0.0)
    assert (bucket.per_minute, bucket.level(1.0)) == (None, None)
    assert bucket.wait_s(1, 2.0) == 0.0


def test_limit_that_the_provider_tells_holds_where_there_is_none_of_our_own() -> None:
    bucket = RateBucket(None)
    bucket.wait_s(1, 0.0)
    bucket.correct(60, 1, 0.0)
    assert bucket.per_minute == 60
    assert bucket.take(1, 0.0) == 0.0
    assert bucket.take(1, 0.0) > 0
    level = bucket.level(1_000.0)
    assert level is not None
    assert math.isclose(level, 3)


def test_what_the_provider_says_is_left_is_believed_when_it_is_less() -> None:
    bucket = RateBucket(600)
    bucket.correct(600, 2, 0.0)
    assert bucket.level(0.0) == 2
    bucket.correct(600, 25, 0.0)
    assert bucket.level(0.0) == 2


def test_lower_limit_of_the_provider_holds_and_a_higher_one_does_not() -> None:
    bucket = RateBucket(600)
    bucket.correct(60, None, 0.0)
    assert (bucket.per_minute, bucket.level(0.0)) == (60, 3)
    bucket.correct(6_000, None, 0.0)
    assert bucket.per_minute == 600
    bucket.correct(0, None, 0.0)
    assert bucket.per_minute == 600
    bucket.correct(1, None, 0.0)
    assert bucket.per_minute == 1


def test_clock_that_is_read_out_of_order_gives_nothing_twice() -> None:
    bucket = RateBucket(60)
    for _ in range(3):
        bucket.take(1, 10.0)
    bucket.level(5.0)
    assert bucket.level(10.0) == 0
