from __future__ import annotations

from llm_worker.domain.breaker import BreakerState, CircuitBreaker


def _breaker() -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=3, recovery_timeout_s=60)


def _open_at(now_s: float) -> CircuitBreaker:
    breaker = _breaker()
    for _ in range(3):
        breaker.fail(now_s)
    return breaker


def test_fewer_failures_than_the_threshold_leave_it_closed() -> None:
    breaker = _breaker()
    breaker.fail(0)
    breaker.fail(0)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.allows(0)


def test_failures_in_a_row_open_it() -> None:
    breaker = _open_at(10)
    assert breaker.state is BreakerState.OPEN
    assert not breaker.allows(69.9)
    assert breaker.probe_due_in_s(50) == 20


def test_success_between_failures_starts_the_count_again() -> None:
    breaker = _breaker()
    for _ in range(5):
        breaker.fail(0)
        breaker.fail(0)
        breaker.succeed()
    assert breaker.state is BreakerState.CLOSED


def test_one_probe_goes_after_the_recovery_timeout() -> None:
    breaker = _open_at(10)
    assert breaker.probe_due_in_s(70) == 0
    assert breaker.allows(70)
    assert breaker.state is BreakerState.HALF_OPEN
    assert not breaker.allows(71)


def test_probe_that_succeeds_closes_it() -> None:
    breaker = _open_at(10)
    breaker.allows(70)
    breaker.succeed()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.allows(70)
    assert breaker.probe_due_in_s(70) == 0


def test_probe_that_fails_opens_it_for_another_timeout() -> None:
    breaker = _open_at(10)
    breaker.allows(70)
    breaker.fail(75)
    assert breaker.state is BreakerState.OPEN
    assert not breaker.allows(134)
    assert breaker.allows(135)
