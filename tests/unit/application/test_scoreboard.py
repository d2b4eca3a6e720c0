from __future__ import annotations

from dataclasses import replace

import pytest

from llm_worker.application.scoreboard import Latency, Score
from llm_worker.domain.errors import ProviderDownError
from tests.support.builders import NOW, attempt_of, completion_of

_DOWN = ProviderDownError("503: the provider is overloaded")


def _score(*times_ms: int, failures: int = 0) -> Score:
    score = Score()
    for time_ms in times_ms:
        score.note(replace(attempt_of(completion_of()), response_time_ms=time_ms), 1.0)
    for _ in range(failures):
        score.note(attempt_of(_DOWN), 2.0)
    return score


def test_nothing_is_claimed_before_the_first_attempt() -> None:
    score = Score()
    assert (score.success_rate(), score.average_ms(), score.response_ms(0.5)) == (None, None, None)
    assert (score.last_success, score.last_failure, score.last_error) == (None, None, None)


def test_attempts_and_failures_are_counted() -> None:
    score = _score(10, 20, 30, failures=1)
    assert (score.attempts, score.failures, score.success_rate()) == (4, 1, 0.75)
    assert (score.last_success, score.last_failure) == (NOW, NOW)
    assert score.last_error == _DOWN.message
    assert score.last_attempt_s == 2.0


def test_response_times_are_those_of_successes() -> None:
    score = _score(*range(1, 101), failures=5)
    assert (score.response_ms(0.5), score.response_ms(0.95), score.response_ms(1.0)) == (
        51,
        96,
        100,
    )
    assert score.average_ms() == 50.5


def test_provider_that_never_succeeded_has_no_response_time() -> None:
    score = _score(failures=2)
    assert (score.success_rate(), score.average_ms(), score.response_ms(0.95)) == (0.0, None, None)


def test_what_was_long_ago_is_forgotten() -> None:
    score = _score(*[10] * 1_000, failures=200)
    assert (score.attempts, score.failures, score.success_rate()) == (1_200, 200, 0.0)


def test_average_follows_the_newest_by_a_fifth_and_by_half_after_a_minute() -> None:
    latency = Latency(1.0, 0.0)
    latency.add(2.0, 5.0)
    assert latency.average_s == pytest.approx(1.2)
    assert latency.measured_at_s == 5.0
    latency.add(2.2, 65.0)
    assert latency.average_s == pytest.approx(1.7)
    for _ in range(50):
        latency.add(2.0, 66.0)
    assert latency.average_s == pytest.approx(2.0, rel=0.001)
