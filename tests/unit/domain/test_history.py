from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_worker.domain.history import STEP_S, STEPS, History, Reading, TopicLag, drains_in_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_START_S = 1_000.0


def _reading(after_s: float, **fields: object) -> Reading:
    known: dict[str, object] = {"at_s": _START_S + after_s, "lags": {}}
    return Reading(**{**known, **fields})  # type: ignore[arg-type] # each test knows its fields


def _lag(records: int, *partitions: int) -> dict[str, TopicLag]:
    return {"t": TopicLag(partitions=frozenset(partitions or (0, 1)), records=records)}


def _history() -> History:
    return History(_reading(0))


def _noted(
    seconds: Iterable[int], read: Callable[[int], dict[str, object]], into: History | None = None
) -> History:
    history = into or _history()
    for second in seconds:
        history.note(_reading(second, **read(second)))
    return history


def test_each_step_has_what_was_counted_in_it_and_what_was_true_at_its_end() -> None:
    hour = _noted(
        range(1, 31),
        lambda second: {
            "verdicts": 2 * second,
            "failures": second // 20,
            "cost_usd": second / 4,
            "running_calls": second,
            "lags": _lag(100 - second),
        },
    ).hour()
    assert hour.verdicts == (30, 30)
    assert hour.failures == (0, 1)
    assert hour.cost_usd == (3.75, 3.75)
    assert hour.running_calls == (15, 30)
    assert hour.lag == (85, 70)
    assert hour.ended_s == _START_S + 30


def test_step_that_has_not_ended_is_not_told() -> None:
    hour = _noted(range(1, 30), lambda second: {"verdicts": second}).hour()
    assert (hour.verdicts, hour.ended_s) == ((15,), _START_S + 15)


def test_lag_without_a_partition_is_unknown() -> None:
    assert _noted(range(1, 16), lambda _: {}).hour().lag == (None,)


def test_steps_in_which_the_loop_stood_still_are_unknown_and_later_ones_are_known() -> None:
    history = _noted(range(1, 21), lambda second: {"verdicts": second})
    history = _noted(range(69, 107), lambda second: {"verdicts": second}, history)
    hour = history.hour()
    # It stood still from 20 s to 69 s; what is counted at 69 s may be of any step since 15 s.
    assert hour.verdicts == (15, None, None, None, None, 15, 15)
    assert hour.running_calls == (0, None, None, None, 0, 0, 0)
    assert hour.ended_s == _START_S + 105


@pytest.mark.parametrize(("after_s", "verdicts"), [(17, 3), (20, 3), (20.5, None)])
def test_step_is_known_whose_end_was_seen_at_most_five_seconds_late(
    after_s: float, verdicts: int | None
) -> None:
    history = _history()
    history.note(_reading(after_s, verdicts=3))
    assert history.hour().verdicts == (verdicts,)


def test_an_hour_is_kept_and_no_more() -> None:
    hour = _noted(range(1, 2 * 3_600 + 1, 3), lambda second: {"verdicts": second}).hour()
    assert len(hour.verdicts) == len(hour.lag) == STEPS
    assert sum(count or 0 for count in hour.verdicts) == 3_600
    assert hour.ended_s == _START_S + 2 * 3_600 - STEP_S


def test_standstill_of_days_leaves_an_hour_of_which_nothing_is_known() -> None:
    history = _noted(range(1, 16), lambda second: {"verdicts": second})
    history.note(_reading(1_000_000))
    hour = history.hour()
    assert len(hour.verdicts) == len(hour.cost_usd) == len(hour.running_calls) == STEPS
    assert set(hour.verdicts) == {None}


def test_verdict_shows_at_once_and_is_forgotten_after_a_minute() -> None:
    history = _history()
    assert history.verdicts_per_minute(_reading(1)) == 0
    now = _reading(2, verdicts=4, failures=1)
    assert history.verdicts_per_minute(now) == 4
    assert history.failures_per_minute(now) == 1
    _noted(range(2, 63), lambda _: {"verdicts": 4, "failures": 1}, history)
    later = _reading(63, verdicts=4, failures=1)
    assert (history.verdicts_per_minute(later), history.failures_per_minute(later)) == (0, 0)


def test_steady_work_has_its_rate_also_after_a_standstill() -> None:
    history = _noted(range(1, 101), lambda second: {"verdicts": 3 * second})
    assert history.verdicts_per_minute(_reading(100, verdicts=300)) == 180
    assert history.verdicts_per_minute(_reading(400, verdicts=1_200)) == 180


def test_lag_that_shrinks_is_told_with_its_speed() -> None:
    history = _noted(range(1, 121), lambda second: {"lags": _lag(1_000 - second)})
    now = _reading(120, lags=_lag(880))
    assert history.lag_per_minute("t", now) == -60
    assert history.lag_per_minute("another", now) is None


def test_trend_needs_a_whole_step() -> None:
    history = _noted(range(1, 30), lambda _: {"lags": _lag(9)})
    assert history.lag_per_minute("t", _reading(29, lags=_lag(9))) is None
    history.note(_reading(30, lags=_lag(9)))
    assert history.lag_per_minute("t", _reading(30, lags=_lag(9))) == 0


def test_trend_forgets_what_was_more_than_five_minutes_ago() -> None:
    grown = _noted(range(1, 601), lambda second: {"lags": _lag(10 * second)})
    shrinking = _noted(range(601, 901), lambda second: {"lags": _lag(6_600 - second)}, grown)
    trend = shrinking.lag_per_minute("t", _reading(900, lags=_lag(5_700)))
    assert trend == pytest.approx(-60)


def test_trend_goes_back_beyond_a_step_in_which_nobody_looked() -> None:
    history = _noted(range(1, 31), lambda second: {"lags": _lag(1_000 - second)})
    history = _noted(range(69, 91), lambda second: {"lags": _lag(970 - 2 * second)}, history)
    # From 985 records at 15 s on.
    assert history.lag_per_minute("t", _reading(90, lags=_lag(790))) == -156


def test_trend_begins_anew_with_other_partitions() -> None:
    history = _noted(range(1, 121), lambda _: {"lags": _lag(1_000, 0, 1)})
    handed_over = _reading(120, lags=_lag(500, 0))
    assert history.lag_per_minute("t", handed_over) is None
    _noted(range(121, 151), lambda second: {"lags": _lag(620 - second, 0)}, history)
    assert history.lag_per_minute("t", _reading(150, lags=_lag(470, 0))) == -60


@pytest.mark.parametrize(
    ("records", "per_minute", "seconds"),
    [
        (0, None, 0.0),
        (0, 5.0, 0.0),
        (100, -50.0, 120.0),
        (100, 0.0, None),
        (100, 5.0, None),
        (100, None, None),
    ],
)
def test_time_to_drain_is_what_waits_by_how_fast_it_shrinks(
    records: int, per_minute: float | None, seconds: float | None
) -> None:
    assert drains_in_s(records, per_minute) == seconds
