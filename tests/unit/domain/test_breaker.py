from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm_worker.domain.breaker import BreakerState, CircuitBreaker

_THRESHOLD = 3
_RECOVERY_S = 60.0


def _breaker() -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=_THRESHOLD, recovery_timeout_s=_RECOVERY_S)


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
        assert not breaker.fail(0)
        assert not breaker.fail(0)
        breaker.succeed()


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


def test_breaker_that_was_closed_again_takes_as_many_failures_as_at_first() -> None:
    breaker = _open_at(10)
    breaker.allows(70)
    breaker.succeed()
    assert [breaker.fail(70) for _ in range(_THRESHOLD)] == [False, False, True]


def test_probe_that_fails_opens_it_for_another_timeout() -> None:
    breaker = _open_at(10)
    breaker.allows(70)
    breaker.fail(75)
    assert breaker.state is BreakerState.OPEN
    assert not breaker.allows(134)
    assert breaker.allows(135)


def test_change_of_state_is_told_to_whoever_caused_it() -> None:
    breaker = _breaker()
    assert [breaker.fail(0) for _ in range(4)] == [False, False, True, False]
    assert breaker.allows(60)
    assert breaker.fail(61)
    assert breaker.allows(121)
    assert breaker.succeed()
    assert not breaker.succeed()


def test_failure_of_a_call_that_went_before_does_not_extend_an_open_breaker() -> None:
    breaker = _open_at(10)
    breaker.fail(69)
    assert breaker.probe_due_in_s(69) == 1
    assert breaker.allows(70)


def test_probe_that_told_nothing_leaves_room_for_another_at_once() -> None:
    breaker = _open_at(10)
    assert breaker.allows(70)
    breaker.abandon()
    assert breaker.state is BreakerState.OPEN
    assert breaker.probe_due_in_s(71) == 0
    assert breaker.allows(71)
    assert not breaker.allows(71)


def test_sign_of_life_lets_the_probe_go_at_once() -> None:
    breaker = _open_at(10)
    breaker.hasten()
    assert breaker.state is BreakerState.OPEN
    assert breaker.allows(20)
    assert not breaker.allows(20)


@pytest.mark.parametrize("state", ["closed", "half-open"])
def test_sign_of_life_changes_nothing_where_no_probe_is_due(state: str) -> None:
    breaker = _breaker() if state == "closed" else _open_at(10)
    breaker.allows(70)
    before = breaker.state
    breaker.hasten()
    assert breaker.state is before


def test_breaker_that_is_closed_goes_by_its_new_threshold() -> None:
    breaker = _breaker()
    breaker.fail(0)
    breaker.retune(failure_threshold=2, recovery_timeout_s=5)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.fail(1)
    assert breaker.probe_due_in_s(1) == 5


@pytest.mark.parametrize(("recovery_timeout_s", "due_s"), [(5, 15), (600, 610)])
def test_probe_of_an_open_breaker_moves_with_the_recovery_timeout(
    recovery_timeout_s: float, due_s: float
) -> None:
    breaker = _open_at(10)
    breaker.retune(failure_threshold=_THRESHOLD, recovery_timeout_s=recovery_timeout_s)
    assert breaker.state is BreakerState.OPEN
    assert breaker.probe_due_in_s(10) == due_s - 10
    assert not breaker.allows(due_s - 1)
    assert breaker.allows(due_s)


def test_probe_that_may_go_is_not_put_off_by_a_longer_recovery_timeout() -> None:
    hastened, probing = _open_at(10), _open_at(10)
    hastened.hasten()
    assert probing.allows(70)
    for breaker in (hastened, probing):
        breaker.retune(failure_threshold=_THRESHOLD, recovery_timeout_s=600)
    probing.abandon()
    assert hastened.allows(20)
    assert probing.allows(70)


class _Calls(RuleBasedStateMachine):
    """Calls of any kind in any order, beside the simplest account of what is allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = _breaker()
        self.now_s = 0.0
        self.failures = 0
        self.due_s: float | None = None
        self.is_probing = False

    @rule(seconds=st.sampled_from([0.0, 0.5, 30.0, 59.5, 60.0]))
    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def call(self) -> None:
        is_allowed = self.breaker.allows(self.now_s)
        if self.due_s is None:
            assert is_allowed
        else:
            assert is_allowed == (not self.is_probing and self.now_s >= self.due_s)
            self.is_probing = self.is_probing or is_allowed

    @precondition(lambda self: self.due_s is None)
    @rule(is_success=st.booleans())
    def end_a_call(self, *, is_success: bool) -> None:
        self.failures = 0 if is_success else self.failures + 1
        if is_success:
            assert not self.breaker.succeed()
        else:
            opened = self.breaker.fail(self.now_s)
            assert opened == (self.failures == _THRESHOLD)
            self.due_s = self.now_s + _RECOVERY_S if opened else None

    @precondition(lambda self: self.due_s is None)
    @rule()
    def fail_until_it_opens(self) -> None:
        while self.due_s is None:
            self.end_a_call(is_success=False)

    @precondition(lambda self: self.due_s is not None and not self.is_probing)
    @rule()
    def probe_as_soon_as_it_may(self) -> None:
        self.now_s += self.breaker.probe_due_in_s(self.now_s)
        self.call()
        assert self.is_probing

    @precondition(lambda self: self.due_s is not None and not self.is_probing)
    @rule()
    def end_a_call_that_went_before_with_a_failure(self) -> None:
        assert not self.breaker.fail(self.now_s)

    @precondition(lambda self: self.is_probing)
    @rule(ending=st.sampled_from(["success", "failure", "nothing"]))
    def end_the_probe(self, ending: str) -> None:
        self.is_probing = False
        if ending == "success":
            assert self.breaker.succeed()
            self.failures, self.due_s = 0, None
        elif ending == "failure":
            assert self.breaker.fail(self.now_s)
            self.due_s = self.now_s + _RECOVERY_S
        else:
            self.breaker.abandon()

    @rule()
    def see_a_sign_of_life(self) -> None:
        self.breaker.hasten()
        if self.due_s is not None and not self.is_probing:
            self.due_s = min(self.due_s, self.now_s)

    @invariant()
    def tells_its_state(self) -> None:
        if self.due_s is None:
            assert self.breaker.state is BreakerState.CLOSED
        elif self.is_probing:
            assert self.breaker.state is BreakerState.HALF_OPEN
        else:
            assert self.breaker.state is BreakerState.OPEN
            assert self.breaker.probe_due_in_s(self.now_s) == max(0.0, self.due_s - self.now_s)


TestCallsInAnyOrder = _Calls.TestCase
TestCallsInAnyOrder.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
