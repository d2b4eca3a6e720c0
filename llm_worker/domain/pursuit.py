"""The next step for one request: try a target, wait, or stop. Pure; every time is monotonic.

A failure that may pass keeps its target out for a while, one that may not keeps it out for good;
meanwhile the next target in order is tried. So a request fails over at once where it can, waits
where it must, and a whole provider's outage costs it one attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from llm_worker.domain.errors import (
    AllTargetsLimitedError,
    AllTargetsOpenError,
    DeadlinePassedError,
    MalformedAnswerError,
    NoTargetError,
    OverBudgetError,
    ProviderError,
)
from llm_worker.domain.outcome import Repair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_worker.domain.errors import WorkerError
    from llm_worker.domain.outcome import FinishedAttempt, Target

_LOOK_AGAIN_S = 5.0
_LIMITED = "no target has room under its rate limit"
_SHORT = "the budget has no room beside the calls under way"
_FIRST_BUDGET_PAUSE_S = 0.2
_LONGEST_BUDGET_PAUSE_S = 2.0
_REPAIRED_CHARACTERS = 4_000
"""Of a malformed answer, as much as is shown to the model again."""


class Hindrance(Enum):
    """Why a target cannot be tried now."""

    OPEN = auto()
    LIMITED = auto()
    OFF = auto()
    """Nobody may call it any more."""
    BUSY = auto()
    """At its own limit: it may be tried, but a free one goes first where work may spill."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """From when a target may be tried, and what stands in the way until then, if anything."""

    at_s: float
    hindrance: Hindrance | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """Try the target now."""

    target: Target
    repair: Repair | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again when something has changed, or at this time."""

    until_s: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Give up."""

    error: WorkerError


@dataclass(slots=True, kw_only=True)
class Pursuit:
    """What has been tried for one request.

    `targets` are in the order of preference. `attempts_at_most` counts over all of them.
    """

    targets: Sequence[Target]
    deadline_s: float
    attempts_at_most: int
    spills: bool = False
    attempts: list[FinishedAttempt] = field(default_factory=list)
    _out: dict[Target, float] = field(default_factory=dict)
    _may_repair: bool = True
    _is_late: bool = False
    _is_short: bool = False
    _over_budget: OverBudgetError | None = None
    _budget_pause_s: float = _FIRST_BUDGET_PAUSE_S

    def next_step(self, readiness: Callable[[Target], Readiness], now_s: float) -> Go | Wait | Stop:
        """Decide what to do now; `readiness` tells how a target stands."""
        last = self.attempts[-1] if self.attempts else None
        if last is not None and len(self.attempts) >= self.attempts_at_most:
            return Stop(self._verdict_on_failures())
        if now_s >= self.deadline_s:
            return Stop(self._verdict_on_failures() if last else _too_late())
        repair = self._repair_of(last)
        if last is not None and repair is not None:
            self._may_repair = False
            return Go(last.attempt.target, repair)
        return self._choose(readiness, now_s)

    def note(self, finished: FinishedAttempt, not_before_s: float) -> None:
        """Remember a failed attempt; its target may be tried again from `not_before_s` on."""
        self.attempts.append(finished)
        ending = finished.ending
        again = isinstance(ending, ProviderError) and ending.is_retryable
        target, until_s = finished.attempt.target, not_before_s if again else float("inf")
        # A repair that fails otherwise does not bring a target back that was ruled out before.
        self._out[target] = max(self._out.get(target, until_s), until_s)

    def skip(self, target: Target, now_s: float) -> None:
        """Leave out for a while a target whose limits have no room before the deadline.

        The request goes elsewhere or stays: if it failed at once, so would all that are still in
        Kafka, one after the other, where they should wait.
        """
        self._out[target] = max(self._out.get(target, now_s), now_s + _LOOK_AGAIN_S)

    def rule_out(self, target: Target, error: DeadlinePassedError | OverBudgetError) -> None:
        """Leave out a target that costs more than is left, or takes longer by what it took lately.

        The budget's is the error that is told where no other target is left.
        """
        self._out[target] = float("inf")
        if isinstance(error, OverBudgetError):
            self._over_budget = error
        else:
            self._is_late = True

    def postpone(self, target: Target, now_s: float) -> None:
        """Leave out a target, each time for longer, while the budget is set aside for others."""
        self._out[target] = max(self._out.get(target, now_s), now_s + self._budget_pause_s)
        self._budget_pause_s = min(2 * self._budget_pause_s, _LONGEST_BUDGET_PAUSE_S)
        self._is_short = True

    def target_of(self, error: WorkerError) -> Target:
        """Name whose error it is; where nobody was asked, who would have been asked first."""
        told = (each.attempt.target for each in self.attempts if each.ending is error)
        return next(told, self.targets[0])

    def _choose(self, readiness: Callable[[Target], Readiness], now_s: float) -> Go | Wait | Stop:
        busy: Target | None = None
        soonest_s = float("inf")
        is_open = False
        for target in self.targets:
            kept_out_until_s = self._out.get(target, now_s)
            if kept_out_until_s > now_s:
                soonest_s = min(soonest_s, kept_out_until_s)
                continue
            standing = readiness(target)
            if standing.hindrance is Hindrance.OFF:
                self._out[target] = float("inf")
            elif standing.at_s > now_s:
                soonest_s = min(soonest_s, standing.at_s)
                is_open = is_open or standing.hindrance is Hindrance.OPEN
            elif standing.hindrance is not Hindrance.BUSY or not self.spills:
                return Go(target)
            else:
                busy = busy or target
        if busy is not None:
            return Go(busy)
        if soonest_s < self.deadline_s:
            return Wait(soonest_s)
        return Stop(self._over() or self._hopeless(is_open=is_open))

    def _over(self) -> OverBudgetError | None:
        """Give the budget's refusal where it ruled the last target out."""
        return self._over_budget if self._is_nothing_left() else None

    def _is_nothing_left(self) -> bool:
        return all(self._out.get(each) == float("inf") for each in self.targets)

    def _hopeless(self, *, is_open: bool) -> WorkerError:
        if self.attempts:
            return self._verdict_on_failures()
        if self._is_late:
            return _too_late()
        if is_open:
            return AllTargetsOpenError(
                "no target will be tried before the deadline, since circuit breakers are open; "
                "nothing was spent: send it again later, or name another provider"
            )
        if self._is_nothing_left():
            return NoTargetError(
                "no provider is left for this request: each that it could go to was disabled "
                "meanwhile; nothing was spent: send it again"
            )
        return AllTargetsLimitedError(
            f"{_SHORT if self._is_short else _LIMITED} before the deadline; nothing was spent: "
            "send it again later, or with a later not_after"
        )

    def _repair_of(self, last: FinishedAttempt | None) -> Repair | None:
        ending = last.ending if last else None
        if not self._may_repair or not isinstance(ending, MalformedAnswerError):
            return None
        return Repair(answer=ending.answer[:_REPAIRED_CHARACTERS], fault=ending.fault)

    def _verdict_on_failures(self) -> ProviderError:
        """Give the last failure that may pass, else the last: it says whether to send again."""
        errors = [each.ending for each in self.attempts if isinstance(each.ending, ProviderError)]
        hopeful = [error for error in errors if error.is_retryable]
        return (hopeful or errors)[-1]


def _too_late() -> DeadlinePassedError:
    return DeadlinePassedError(
        "the deadline leaves no time to ask a provider; nothing was spent: "
        "send it again with a later not_after"
    )
