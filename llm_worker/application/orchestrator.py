"""Resolve: from a request to a verdict, or to the reason why there is none.

The third of the three files of the data path. What to do next is decided by `domain/pursuit.py`,
how targets stand is known to `application/switchboard.py`; here it is done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, assert_never

from llm_worker.application.ports import BudgetBusyError
from llm_worker.application.purchases import shared_failure
from llm_worker.application.routes import Plan
from llm_worker.application.slots import Grant
from llm_worker.application.tracing import NO_TRACING
from llm_worker.domain.cached import CachedVerdict, CacheHit
from llm_worker.domain.errors import (
    DeadlinePassedError,
    OverBudgetError,
    ProviderError,
    WorkerError,
    WorkerFaultError,
)
from llm_worker.domain.judging import expected_usage
from llm_worker.domain.outcome import Completed, Failed, FinishedAttempt, LetGo, Target
from llm_worker.domain.pursuit import Go, Pursuit, Stop, Wait

if TYPE_CHECKING:
    from llm_worker.application.backoff import Backoff
    from llm_worker.application.buyer import Buyer, Refusal, Tried
    from llm_worker.application.ports import AttemptLog, Clock, Telemetry
    from llm_worker.application.purchases import Purchases
    from llm_worker.application.routes import Routes
    from llm_worker.application.slots import RunningSlots
    from llm_worker.application.switchboard import Switchboard
    from llm_worker.application.tracing import Tracing
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.routing import Route
    from llm_worker.domain.verdict import Completion

    Ending = Completed | Failed | LetGo


@dataclass(slots=True, kw_only=True)
class Orchestrator:
    """Ask targets in turn, within their limits, until one gives a verdict or none can.

    `routes`, `attempts_at_most` and `backoff` may be set while it works: a request under way keeps
    the plan that it has.
    """

    routes: Routes
    board: Switchboard
    attempts_at_most: int
    backoff: Backoff
    slots: RunningSlots
    buyer: Buyer
    purchases: Purchases
    clock: Clock
    telemetry: Telemetry
    tracing: Tracing = NO_TRACING

    def plan(self, request: ComparisonRequest) -> Plan | WorkerError:
        """Say where the request may go and what it asks, and begin to look for the answer."""
        plan = self.routes.plan(
            request.asked,
            lane=request.delivery.lane,
            prompt_bytes=request.prompt.size_bytes,
            is_late=self.clock.monotonic() >= request.deadline_s,
        )
        if isinstance(plan, Plan) and plan.is_shared:
            self.purchases.look_ahead(plan.fingerprint)
        return plan

    def drop(self, plan: Plan | WorkerError) -> None:
        """Give back what was begun for a request that is not resolved here, or not now."""
        if isinstance(plan, Plan) and plan.is_shared:
            self.purchases.never_mind(plan.fingerprint)

    async def resolve(
        self, request: ComparisonRequest, plan: Plan | WorkerError, log: AttemptLog
    ) -> Ending:
        """Bring the request to its end; `log` is told of each attempt."""
        if isinstance(plan, WorkerError):
            return self._failed(request, self.routes.first_target(request.asked), plan)
        if plan.is_shared:
            return await self._share(plan.fingerprint, request, plan.route, log)
        ending = await self._buy(request, plan.route, log)
        if isinstance(ending, Completed) and plan.fingerprint:
            self.purchases.keep(plan.fingerprint, _to_remember(ending))
        return ending

    async def _share(
        self, fingerprint: str, request: ComparisonRequest, route: Route, log: AttemptLog
    ) -> Ending:
        """Answer from the cache or from another's purchase, or buy for all who ask the same."""
        lookup = self.purchases.join(fingerprint, request.deadline_s)
        match await self.tracing.looking_up(lookup):
            case Grant.GRANTED:
                ending = await self._buy_for_all(fingerprint, request, route, log)
            case CacheHit(verdict=known) as hit:
                return self._completed(request, known.provider, known.completion, hit=hit)
            case ProviderError() as error:
                ending = self._failed(request, route.targets[0], error)
            case Grant.EXPIRED:
                late = DeadlinePassedError("another request's call for the same took too long")
                ending = self._failed(request, route.targets[0], late)
            case _:
                return LetGo()
        return ending if isinstance(ending, LetGo) else replace(ending, is_cache_miss=True)

    async def _buy_for_all(
        self, fingerprint: str, request: ComparisonRequest, route: Route, log: AttemptLog
    ) -> Ending:
        ending: Ending | None = None
        try:
            ending = await self._buy(request, route, log)
        finally:
            if isinstance(ending, Completed):
                self.purchases.bought(fingerprint, _to_remember(ending))
            else:
                self.purchases.failed(fingerprint, shared_failure(ending, route))
        return ending

    async def _buy(self, request: ComparisonRequest, route: Route, log: AttemptLog) -> Ending:
        pursuit = Pursuit(
            targets=self.board.in_order(route, request.prompt.size_bytes),
            deadline_s=request.deadline_s,
            attempts_at_most=self.attempts_at_most,
            spills=route.strategy.spills,
        )
        try:
            return await self._pursue(pursuit, request, log)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not hide what was paid
            self.telemetry.faulted(request.delivery, error)
            fault = WorkerFaultError(
                f"the worker has a defect: {type(error).__name__}; see its log"
            )
            return self._failed(request, route.targets[0], fault, pursuit)

    def let_go(self) -> None:
        """Give back all requests that wait, and every later one that would, until `reopen`."""
        self.slots.let_go()
        self.board.let_go()
        self.purchases.let_go()

    def reopen(self) -> None:
        """Let requests wait again."""
        self.slots.reopen()
        self.board.reopen()
        self.purchases.reopen()

    async def _pursue(
        self, pursuit: Pursuit, request: ComparisonRequest, log: AttemptLog
    ) -> Ending:
        readiness = partial(self.board.readiness, lane=request.delivery.lane)
        while True:
            step = pursuit.next_step(readiness, self.clock.monotonic())
            match step:
                case Stop(error):
                    return self._failed(request, pursuit.target_of(error), error, pursuit)
                case Wait(until_s):
                    if not await self.board.bell.wait(min(until_s, request.deadline_s)):
                        return LetGo(tuple(pursuit.attempts))
                case Go():
                    ending = await self._go(step, pursuit, request, log)
                    if ending is not None:
                        return ending
                case _:
                    assert_never(step)

    async def _go(
        self, step: Go, pursuit: Pursuit, request: ComparisonRequest, log: AttemptLog
    ) -> Ending | None:
        """Try a target; None where the request has to go on."""
        number = len(pursuit.attempts) + 1
        match await self._within_limits(step, number, request, log):
            case FinishedAttempt() as finished:
                pursuit.note(finished, self._not_before_s(finished, pursuit))
                log.ended(finished)
                self._tell(finished, request)
                if not isinstance(finished.ending, ProviderError):
                    return self._completed(request, step.target.provider, finished.ending, pursuit)
            case Grant.LET_GO:
                return LetGo(tuple(pursuit.attempts))
            case Grant.EXPIRED:
                pursuit.skip(step.target, self.clock.monotonic())
            case OverBudgetError(may_go_elsewhere=False) as error:
                return self._failed(request, step.target, error, pursuit)
            case OverBudgetError() | DeadlinePassedError() | BudgetBusyError() as refusal:
                self._leave_out(step.target, pursuit, refusal)
            case Grant.GRANTED | Grant.TURNED_AWAY | None:
                pass
        return None

    def _leave_out(self, target: Target, pursuit: Pursuit, why: Refusal) -> None:
        if isinstance(why, BudgetBusyError):
            pursuit.postpone(target, self.clock.monotonic())
        else:
            pursuit.rule_out(target, why)

    def _tell(self, finished: FinishedAttempt, request: ComparisonRequest) -> None:
        """Tell all who keep a book; a defect of theirs takes nobody's paid verdict away."""
        try:
            self.board.scored(finished)
            self.telemetry.attempted(request, finished)
        except Exception as error:  # noqa: BLE001 - see above
            self.telemetry.faulted(request.delivery, error)

    async def _within_limits(
        self, step: Go, number: int, request: ComparisonRequest, log: AttemptLog
    ) -> Tried:
        """Wait for room at the provider, then for a running slot, and ask."""
        lane, gate = request.delivery.lane, self.board.gates[step.target.provider]
        tokens = expected_usage(request.prompt.size_bytes).prompt_tokens or 0
        grant = await gate.enter(lane, tokens, request.deadline_s)
        if grant is not Grant.GRANTED:
            return grant
        tried: Tried = None
        try:
            tried = await self.slots.acquire(lane, request.deadline_s)
            if tried is Grant.GRANTED:
                try:
                    tried = await self.buyer.buy(step, number, request, log)
                finally:
                    self.slots.release(lane)
        finally:
            gate.leave(lane, tokens, tried if isinstance(tried, FinishedAttempt) else None)
        return tried

    def _not_before_s(self, finished: FinishedAttempt, pursuit: Pursuit) -> float:
        """Say from when on a target that failed may be tried again."""
        ending = finished.ending
        if not isinstance(ending, ProviderError):
            return 0.0
        failures = 1 + sum(
            each.attempt.target == finished.attempt.target for each in pursuit.attempts
        )
        wait_s = max(self.backoff.seconds(failures), ending.retry_after_s or 0.0)
        return self.clock.monotonic() + wait_s

    def _completed(
        self,
        request: ComparisonRequest,
        provider: ProviderName,
        completion: Completion,
        pursuit: Pursuit | None = None,
        hit: CacheHit | None = None,
    ) -> Completed:
        return Completed(
            request=request,
            attempts=tuple(pursuit.attempts) if pursuit else (),
            target=Target(provider=provider, model=completion.model),
            completion=completion,
            completed_at=self.clock.now(),
            response_time_ms=self._elapsed_ms(request),
            hit=hit,
        )

    def _failed(
        self,
        request: ComparisonRequest,
        target: Target,
        error: WorkerError,
        pursuit: Pursuit | None = None,
    ) -> Failed:
        return Failed(
            request=request,
            attempts=tuple(pursuit.attempts) if pursuit else (),
            target=target,
            error=error,
            completed_at=self.clock.now(),
            response_time_ms=self._elapsed_ms(request),
        )

    def _elapsed_ms(self, request: ComparisonRequest) -> int:
        return round((self.clock.monotonic() - request.delivery.received_s) * 1000)


def _to_remember(bought: Completed) -> CachedVerdict:
    request = bought.request
    return CachedVerdict(
        provider=bought.target.provider,
        completion=bought.completion,
        bought_by=request.correlation_id,
        organization_id=request.asked.organization_id,
        bought_at=bought.completed_at,
    )
