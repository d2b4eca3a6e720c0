"""Buy: one call to one target, after one more look at whether it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from llm_worker.application.ports import BudgetBusyError
from llm_worker.application.slots import Grant
from llm_worker.application.tracing import NO_TRACING
from llm_worker.domain.errors import (
    AdapterFaultError,
    DeadlinePassedError,
    OverBudgetError,
    ProviderError,
    ProviderTimeoutError,
)
from llm_worker.domain.outcome import Attempt, FinishedAttempt
from llm_worker.domain.verdict import Billing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from llm_worker.application.ports import (
        AttemptLog,
        Budget,
        Clock,
        Ownership,
        Provider,
        Telemetry,
    )
    from llm_worker.application.switchboard import Switchboard
    from llm_worker.application.tracing import Tracing
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.pursuit import Go
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Completion

    Refusal = OverBudgetError | BudgetBusyError | DeadlinePassedError
    Tried = FinishedAttempt | Grant | Refusal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """Makes calls, and lets each end as a value. Limits and running slots are its caller's."""

    providers: Mapping[ProviderName, Provider]
    board: Switchboard
    ownership: Ownership
    budget: Budget
    clock: Clock
    telemetry: Telemetry
    tracing: Tracing = NO_TRACING

    async def buy(
        self, step: Go, number: int, request: ComparisonRequest, log: AttemptLog
    ) -> Tried:
        """Look once more whether it may be, and ask; None: the target is closed by now."""
        target = step.target
        if not self.board.admits(target):
            return None
        is_probe, tried = self.board.is_probing(target), None
        try:
            # Before anything is reserved: what is set aside for long counts as spent.
            await log.ready()
            if not await self.ownership.holds(request.delivery.generation):
                return Grant.LET_GO
            attempt = Attempt(
                attempt_id=uuid4(),
                number=number,
                target=target,
                started_at=self.clock.now(),
                repair=step.repair,
                is_probe=is_probe,
            )
            tried = await self._pay(request, attempt, log)
        finally:
            if is_probe and not isinstance(tried, FinishedAttempt):
                self.board.abandoned(target)
        return tried

    async def _pay(self, request: ComparisonRequest, attempt: Attempt, log: AttemptLog) -> Tried:
        """Call if there is time for it and the budget permits."""
        if self._left_s(request) <= self.board.expected_s(attempt.target):
            return DeadlinePassedError("too little time is left for this target")
        try:
            permission = self.budget.reserve(request, attempt)
            return await self._call(request, attempt, permission, log)
        except (OverBudgetError, BudgetBusyError) as refusal:
            return refusal

    async def _call(
        self,
        request: ComparisonRequest,
        attempt: Attempt,
        permission: Awaitable[None],
        log: AttemptLog,
    ) -> Tried:
        """Announce and call; what is reserved is settled here, however it ends."""
        billing: Billing | None = None
        is_refused = False
        try:
            if not await log.begins(attempt, permission):
                return Grant.LET_GO
            # Redis and Kafka may have taken their time to note it.
            timeout_s = self.providers[attempt.target.provider].timeout_s
            limit_s = min(timeout_s, self._left_s(request))
            if limit_s <= 0:
                return DeadlinePassedError("no time is left")
            billing = Billing()
            call = self._attempt(request, attempt, limit_s)
            finished = await self.tracing.attempting(request, attempt, call)
            billing = finished.billing
        except (OverBudgetError, BudgetBusyError):
            is_refused = True
            raise
        finally:
            if not is_refused:
                self._settle(request, attempt, billing)
        return finished

    def _settle(
        self, request: ComparisonRequest, attempt: Attempt, billing: Billing | None
    ) -> None:
        """Settle; a defect of the budget's takes nobody's paid verdict away."""
        try:
            self.budget.settle(attempt, billing)
        except Exception as error:  # noqa: BLE001 - see above
            self.telemetry.faulted(request.delivery, error)

    async def _attempt(
        self, request: ComparisonRequest, attempt: Attempt, limit_s: float
    ) -> FinishedAttempt:
        target, started_s = attempt.target, self.clock.monotonic()
        provider = self.providers[target.provider]
        ending: Completion | ProviderError
        try:
            ending = await provider.judge(request, attempt, limit_s)
        except ProviderError as error:
            ending = error
        except Exception as error:  # noqa: BLE001 - a paid call's end is told, whatever broke
            self.telemetry.faulted(request.delivery, error)
            reason = f"the adapter of {target.provider} broke: {type(error).__name__}"
            ending = AdapterFaultError(reason, billing=Billing())
        # Who was given less than its time, and did not answer in it, is not to blame.
        is_hurried = isinstance(ending, ProviderTimeoutError) and limit_s < provider.timeout_s
        if is_hurried and attempt.is_probe:
            self.board.abandoned(target)
        return FinishedAttempt(
            attempt=attempt,
            ended_at=self.clock.now(),
            response_time_ms=round((self.clock.monotonic() - started_s) * 1000),
            ending=ending,
            breaker_move=None
            if is_hurried
            else self.board.ended(target, ending, is_probe=attempt.is_probe),
        )

    def _left_s(self, request: ComparisonRequest) -> float:
        return request.deadline_s - self.clock.monotonic()
