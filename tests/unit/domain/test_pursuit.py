from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.contracts.vocabulary import ErrorCode, ProviderName
from llm_worker.domain.errors import (
    AuthenticationFailedError,
    DeadlinePassedError,
    MalformedAnswerError,
    OverBudgetError,
    ProviderDownError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    TruncatedAnswerError,
)
from llm_worker.domain.outcome import Attempt, FinishedAttempt, Repair, Target
from llm_worker.domain.pursuit import Go, Hindrance, Pursuit, Readiness, Stop, Wait
from llm_worker.domain.verdict import Billing
from tests.support.builders import NOW, completion_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_worker.domain.verdict import Completion

_A, _B, _C = (
    Target(provider=name, model="m")
    for name in (ProviderName.ANTHROPIC, ProviderName.OPENAI, ProviderName.GOOGLE)
)
_READY = Readiness(float("-inf"))
_DOWN = ProviderDownError("503")
_FORBIDDEN = AuthenticationFailedError("401")
_LATE = DeadlinePassedError("too little time is left for this target")
_OVER = OverBudgetError("no room")
_MALFORMED = MalformedAnswerError("no winner", answer="Both are fine.", billing=Billing())


def _ready(_target: Target) -> Readiness:
    return _READY


def _standing(**hindrances: Readiness) -> Callable[[Target], Readiness]:
    return lambda target: hindrances.get(target.provider, _READY)


def _pursuit(
    *targets: Target, attempts_at_most: int = 4, deadline_s: float = 300.0, spills: bool = False
) -> Pursuit:
    return Pursuit(
        targets=targets or (_A, _B, _C),
        deadline_s=deadline_s,
        attempts_at_most=attempts_at_most,
        spills=spills,
    )


def _finished(
    target: Target, ending: Completion | ProviderError, repair: Repair | None = None
) -> FinishedAttempt:
    attempt = Attempt(attempt_id=uuid4(), number=1, target=target, started_at=NOW, repair=repair)
    return FinishedAttempt(attempt=attempt, ended_at=NOW, response_time_ms=1, ending=ending)


def _fail(
    pursuit: Pursuit, target: Target, error: ProviderError, *, not_before_s: float = 0.0
) -> None:
    pursuit.note(_finished(target, error), not_before_s)


def test_first_target_is_tried_first() -> None:
    assert _pursuit().next_step(_ready, 0) == Go(_A)


def test_failure_that_may_pass_goes_to_the_next_at_once_and_may_come_back() -> None:
    pursuit = _pursuit(_A, _B)
    _fail(pursuit, _A, _DOWN, not_before_s=5)
    assert pursuit.next_step(_ready, 0) == Go(_B)
    _fail(pursuit, _B, _DOWN, not_before_s=9)
    assert pursuit.next_step(_ready, 1) == Wait(5)
    assert pursuit.next_step(_ready, 5) == Go(_A)


@pytest.mark.parametrize("error", [_FORBIDDEN, RefusedError("no"), TruncatedAnswerError("cut")])
def test_failure_that_does_not_pass_goes_to_the_next_and_never_back(error: ProviderError) -> None:
    pursuit = _pursuit(_A, _B, attempts_at_most=10)
    _fail(pursuit, _A, error)
    assert pursuit.next_step(_ready, 0) == Go(_B)
    _fail(pursuit, _B, error)
    assert pursuit.next_step(_ready, 299) == Stop(error)


def test_retry_after_is_waited_for() -> None:
    pursuit, error = _pursuit(_A), RateLimitedError("slow down", retry_after_s=20)
    _fail(pursuit, _A, error, not_before_s=20)
    assert pursuit.next_step(_ready, 0) == Wait(20)
    assert pursuit.next_step(_ready, 20) == Go(_A)


def test_retry_after_beyond_the_deadline_ends_the_request_at_once() -> None:
    pursuit, error = _pursuit(_A), RateLimitedError("slow down", retry_after_s=600)
    _fail(pursuit, _A, error, not_before_s=600)
    assert pursuit.next_step(_ready, 0) == Stop(error)


def test_attempts_are_counted_over_all_targets() -> None:
    pursuit = _pursuit(attempts_at_most=2)
    _fail(pursuit, _A, _DOWN)
    _fail(pursuit, _B, _DOWN)
    assert pursuit.next_step(_ready, 0) == Stop(_DOWN)


def test_nothing_is_tried_at_or_after_the_deadline() -> None:
    step = _pursuit(deadline_s=10).next_step(_ready, 10)
    assert isinstance(step, Stop)
    assert step.error.code is ErrorCode.TIMEOUT
    assert "not_after" in step.error.message


def test_deadline_after_a_failure_tells_the_failure() -> None:
    pursuit = _pursuit(deadline_s=10)
    _fail(pursuit, _A, _DOWN)
    assert pursuit.next_step(_ready, 10) == Stop(_DOWN)


def test_failure_that_may_pass_is_told_before_one_that_does_not() -> None:
    pursuit = _pursuit(_A, _B, attempts_at_most=2)
    _fail(pursuit, _A, _DOWN)
    _fail(pursuit, _B, _FORBIDDEN)
    assert pursuit.next_step(_ready, 0) == Stop(_DOWN)
    assert pursuit.target_of(_DOWN) == _A
    assert pursuit.target_of(_FORBIDDEN) == _B


def test_error_of_nobodys_is_told_under_the_first_target() -> None:
    pursuit = _pursuit(deadline_s=0)
    step = pursuit.next_step(_ready, 0)
    assert isinstance(step, Stop)
    assert pursuit.target_of(step.error) == _A


def test_malformed_answer_is_repaired_once_by_the_same_target() -> None:
    pursuit = _pursuit(_A, _B)
    _fail(pursuit, _A, _MALFORMED, not_before_s=30)
    step = pursuit.next_step(_ready, 0)
    assert isinstance(step, Go)
    assert step.target == _A
    assert step.repair is not None
    assert (step.repair.answer, step.repair.fault) == ("Both are fine.", "no winner")
    pursuit.note(_finished(_A, _MALFORMED, step.repair), 30)
    assert pursuit.next_step(_ready, 0) == Go(_B)
    _fail(pursuit, _B, _MALFORMED, not_before_s=40)
    assert pursuit.next_step(_ready, 0) == Stop(_MALFORMED)


def test_repair_that_fails_otherwise_does_not_bring_its_target_back() -> None:
    pursuit, down = _pursuit(_A), ProviderDownError("503")
    _fail(pursuit, _A, _MALFORMED)
    assert isinstance(pursuit.next_step(_ready, 0), Go)
    _fail(pursuit, _A, down)
    assert pursuit.next_step(_ready, 0) == Stop(down)


def test_repair_counts_as_an_attempt() -> None:
    pursuit = _pursuit(attempts_at_most=1)
    _fail(pursuit, _A, _MALFORMED)
    assert pursuit.next_step(_ready, 0) == Stop(_MALFORMED)


def test_answer_without_words_is_repaired_too() -> None:
    pursuit = _pursuit(_A, _B)
    _fail(pursuit, _A, MalformedAnswerError("empty", billing=Billing()), not_before_s=1)
    assert pursuit.next_step(_ready, 0) == Go(_A, Repair(answer="", fault="empty"))


def test_target_that_takes_too_long_is_left_out() -> None:
    pursuit = _pursuit(_A, _B)
    pursuit.rule_out(_A, _LATE)
    assert pursuit.next_step(_ready, 0) == Go(_B)
    pursuit.rule_out(_B, _LATE)
    step = pursuit.next_step(_ready, 0)
    assert isinstance(step, Stop)
    assert step.error.code is ErrorCode.TIMEOUT


def test_of_a_long_malformed_answer_only_a_part_is_shown_again() -> None:
    pursuit = _pursuit()
    _fail(pursuit, _A, MalformedAnswerError("too long", answer="x" * 100_000, billing=Billing()))
    step = pursuit.next_step(_ready, 0)
    assert isinstance(step, Go)
    assert step.repair is not None
    assert len(step.repair.answer) == 4_000


def test_open_target_is_passed_over() -> None:
    readiness = _standing(anthropic=Readiness(60, Hindrance.OPEN))
    assert _pursuit().next_step(readiness, 0) == Go(_B)


def test_all_open_is_waited_for_when_one_may_be_tried_before_the_deadline() -> None:
    readiness = _standing(
        anthropic=Readiness(60, Hindrance.OPEN), openai=Readiness(50, Hindrance.OPEN)
    )
    assert _pursuit(_A, _B, deadline_s=51).next_step(readiness, 0) == Wait(50)


def test_all_open_until_after_the_deadline_ends_the_request_at_once() -> None:
    readiness = _standing(
        anthropic=Readiness(60, Hindrance.OPEN), openai=Readiness(50, Hindrance.OPEN)
    )
    step = _pursuit(_A, _B, deadline_s=50).next_step(readiness, 0)
    assert isinstance(step, Stop)
    assert step.error.code is ErrorCode.CIRCUIT_BREAKER_OPEN
    assert step.error.is_retryable
    assert "name another provider" in step.error.message


def test_limits_until_after_the_deadline_end_the_request_as_a_rate_limit() -> None:
    readiness = _standing(anthropic=Readiness(60, Hindrance.LIMITED))
    step = _pursuit(_A, deadline_s=60).next_step(readiness, 0)
    assert isinstance(step, Stop)
    assert step.error.code is ErrorCode.RATE_LIMIT
    assert "rate limit" in step.error.message
    assert "not_after" in step.error.message


def test_target_without_room_before_the_deadline_is_left_out_for_a_while() -> None:
    pursuit = _pursuit(_A, _B)
    pursuit.skip(_A, 0)
    assert pursuit.next_step(_ready, 0) == Go(_B)
    pursuit.skip(_B, 1)
    assert pursuit.next_step(_ready, 1) == Wait(5)
    assert pursuit.next_step(_ready, 5) == Go(_A)


def test_repair_without_room_does_not_bring_its_target_back_too_soon() -> None:
    pursuit = _pursuit(_A)
    _fail(pursuit, _A, _MALFORMED, not_before_s=20)
    assert isinstance(pursuit.next_step(_ready, 0), Go)
    pursuit.skip(_A, 0)
    assert pursuit.next_step(_ready, 0) == Stop(_MALFORMED)


def test_request_that_no_limit_leaves_room_for_ends_as_a_rate_limit() -> None:
    pursuit = _pursuit(_A, _B, deadline_s=8)
    pursuit.skip(_A, 4)
    pursuit.skip(_B, 4)
    step = pursuit.next_step(_ready, 4)
    assert isinstance(step, Stop)
    assert step.error.code is ErrorCode.RATE_LIMIT


def test_failure_is_told_when_what_is_left_has_no_room() -> None:
    pursuit = _pursuit(_A, _B, deadline_s=4)
    _fail(pursuit, _A, _FORBIDDEN)
    pursuit.skip(_B, 0)
    assert pursuit.next_step(_ready, 0) == Stop(_FORBIDDEN)


def test_busy_target_is_passed_over_only_where_work_may_spill() -> None:
    readiness = _standing(anthropic=Readiness(0, Hindrance.BUSY))
    assert _pursuit(spills=True).next_step(readiness, 0) == Go(_B)
    assert _pursuit(spills=False).next_step(readiness, 0) == Go(_A)


def test_first_in_order_is_waited_for_when_all_are_busy() -> None:
    def readiness(_target: Target) -> Readiness:
        return Readiness(0, Hindrance.BUSY)

    assert _pursuit(spills=True).next_step(readiness, 0) == Go(_A)


def test_pursuit_without_a_target_says_so() -> None:
    step = Pursuit(targets=(), deadline_s=10, attempts_at_most=4).next_step(_ready, 0)
    assert isinstance(step, Stop)
    assert step.error.code is ErrorCode.CONFIGURATION_ERROR


_OFF = Readiness(float("inf"), Hindrance.OFF)


def test_target_that_was_disabled_is_passed_over_and_not_come_back_to() -> None:
    pursuit = _pursuit(_A, _B)
    assert pursuit.next_step(_standing(anthropic=_OFF), 0) == Go(_B)
    _fail(pursuit, _B, _DOWN, not_before_s=7)
    assert pursuit.next_step(_ready, 1) == Wait(7)


def test_failure_is_told_where_every_target_left_was_disabled() -> None:
    pursuit = _pursuit(_A, _B)
    _fail(pursuit, _A, _DOWN, not_before_s=1)
    assert pursuit.next_step(_standing(anthropic=_OFF, openai=_OFF), 2) == Stop(_DOWN)


def test_request_whose_every_target_was_disabled_has_nowhere_to_go() -> None:
    step = _pursuit(_A, _B).next_step(_standing(anthropic=_OFF, openai=_OFF), 0)
    assert isinstance(step, Stop)
    assert step.error.code is ErrorCode.CONFIGURATION_ERROR
    assert "disabled meanwhile; nothing was spent: send it again" in step.error.message


def test_target_that_is_limited_beside_a_disabled_one_is_what_is_told() -> None:
    limited = Readiness(1_000, Hindrance.LIMITED)
    step = _pursuit(_A, _B).next_step(_standing(anthropic=_OFF, openai=limited), 0)
    assert isinstance(step, Stop)
    assert step.error.code is ErrorCode.RATE_LIMIT


_ERRORS: dict[str, Callable[[float | None], ProviderError]] = {
    "down": lambda after_s: ProviderDownError("503", retry_after_s=after_s),
    "limited": lambda after_s: RateLimitedError("429", retry_after_s=after_s),
    "forbidden": lambda _: _FORBIDDEN,
    "refused": lambda _: RefusedError("no"),
    "malformed": lambda _: MalformedAnswerError("no winner", answer="tie", billing=Billing()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Happening:
    """What a run meets at one of its steps."""

    takes_s: float
    error: ProviderError | None
    backoff_s: float
    has_no_room: bool
    hindrances: tuple[Readiness | None, ...]


@st.composite
def _happenings(draw: st.DrawFn) -> _Happening:
    kind = draw(st.sampled_from([*_ERRORS, *_ERRORS, "verdict"]))
    after_s = draw(st.none() | st.floats(0, 400))
    hindrance = st.none() | st.builds(
        Readiness, st.floats(-10, 400), st.sampled_from([*Hindrance, None])
    )
    return _Happening(
        takes_s=draw(st.floats(0, 60)),
        error=None if kind == "verdict" else _ERRORS[kind](after_s),
        backoff_s=draw(st.floats(0, 20)),
        has_no_room=draw(st.integers(0, 9)) == 0,
        hindrances=draw(st.tuples(*[hindrance] * 3)),
    )


_CALM = _Happening(
    takes_s=1, error=None, backoff_s=0, has_no_room=False, hindrances=(None, None, None)
)


@dataclass(slots=True)
class _Run:
    """Follows a pursuit as the orchestrator does, and holds it to its promises."""

    pursuit: Pursuit
    now_s: float = 0.0
    repairs: int = 0
    not_before_s: dict[Target, float] = field(default_factory=dict)

    def follow(self, happenings: Sequence[_Happening]) -> Stop | Completion:
        for happening in happenings:
            step = self.pursuit.next_step(self._readiness(happening), self.now_s)
            match step:
                case Stop():
                    return step
                case Wait(until_s):
                    assert self.now_s < until_s < self.pursuit.deadline_s
                    self.now_s = until_s
                case Go(target) if happening.has_no_room:
                    self.pursuit.skip(target, self.now_s)
                case Go():
                    self._check(step, self._readiness(happening))
                    ending = self._try(step, happening)
                    if not isinstance(ending, ProviderError):
                        return ending
        pytest.fail("it never ends")

    def _readiness(self, happening: _Happening) -> Callable[[Target], Readiness]:
        def readiness(target: Target) -> Readiness:
            hindrance = happening.hindrances[(_A, _B, _C).index(target)]
            if hindrance is None:
                return _READY
            return Readiness(self.now_s + hindrance.at_s, hindrance.hindrance)

        return readiness

    def _check(self, step: Go, readiness: Callable[[Target], Readiness]) -> None:
        assert self.now_s < self.pursuit.deadline_s
        assert len(self.pursuit.attempts) < self.pursuit.attempts_at_most
        if step.repair is not None:
            self.repairs += 1
            assert self.repairs == 1
            last = self.pursuit.attempts[-1]
            assert step.target == last.attempt.target
            assert isinstance(last.ending, MalformedAnswerError)
        else:
            assert self.not_before_s.get(step.target, 0.0) <= self.now_s
            assert readiness(step.target).at_s <= self.now_s

    def _try(self, step: Go, happening: _Happening) -> Completion | ProviderError:
        self.now_s += happening.takes_s
        ending = happening.error or completion_of()
        not_before_s = self.now_s
        if isinstance(ending, ProviderError):
            not_before_s += max(happening.backoff_s, ending.retry_after_s or 0.0)
            self.not_before_s[step.target] = not_before_s if ending.is_retryable else float("inf")
        self.pursuit.note(_finished(step.target, ending, step.repair), not_before_s)
        return ending


@settings(deadline=None)
@given(
    happenings=st.lists(_happenings(), max_size=16),
    targets=st.permutations([_A, _B, _C]),
    count=st.integers(1, 3),
    attempts_at_most=st.integers(1, 6),
    spills=st.booleans(),
)
def test_pursuit_keeps_its_promises_and_ends_whatever_happens(
    happenings: list[_Happening],
    targets: list[Target],
    count: int,
    attempts_at_most: int,
    *,
    spills: bool,
) -> None:
    pursuit = _pursuit(*targets[:count], attempts_at_most=attempts_at_most, spills=spills)
    end = _Run(pursuit).follow([*happenings, *[_CALM] * 5])
    failures = [each.ending for each in pursuit.attempts if isinstance(each.ending, ProviderError)]
    if isinstance(end, Stop) and failures:
        assert end.error in failures
        assert pursuit.target_of(end.error) in pursuit.targets


def test_refused_target_is_out_and_the_budget_is_the_reason_where_none_is_left() -> None:
    pursuit = _pursuit(_A, _B)
    pursuit.rule_out(_A, _OVER)
    assert pursuit.next_step(_ready, 0) == Go(_B)
    pursuit.rule_out(_B, _LATE)
    assert pursuit.next_step(_ready, 0) == Stop(_OVER)


def test_budget_is_not_the_reason_while_another_target_may_be_well_again() -> None:
    pursuit = _pursuit(_A, _B, deadline_s=10)
    pursuit.rule_out(_A, _OVER)
    step = pursuit.next_step(_standing(openai=Readiness(50, Hindrance.OPEN)), 0)
    assert isinstance(step, Stop)
    assert step.error.code is ErrorCode.CIRCUIT_BREAKER_OPEN


def test_postponed_target_is_out_for_ever_longer() -> None:
    pursuit, now_s, waits = _pursuit(_A), 0.0, list[float]()
    for _ in range(6):
        pursuit.postpone(_A, now_s)
        step = pursuit.next_step(_ready, now_s)
        assert isinstance(step, Wait)
        waits.append(step.until_s - now_s)
        now_s = step.until_s
        assert pursuit.next_step(_ready, now_s) == Go(_A)
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 2, 2])


def test_budget_that_is_set_aside_until_the_deadline_is_what_is_told() -> None:
    pursuit = _pursuit(_A, deadline_s=0.1)
    pursuit.postpone(_A, 0)
    step = pursuit.next_step(_ready, 0)
    assert isinstance(step, Stop)
    assert step.error.code is ErrorCode.RATE_LIMIT
    assert "the budget has no room" in step.error.message


def test_postponing_does_not_bring_back_what_is_ruled_out() -> None:
    pursuit = _pursuit(_A)
    pursuit.rule_out(_A, _OVER)
    pursuit.postpone(_A, 0)
    assert pursuit.next_step(_ready, 5) == Stop(_OVER)
