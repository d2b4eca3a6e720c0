"""Resolve: from a request to a verdict, or to the reason why there is none."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from llm_worker.application.slots import Grant
from llm_worker.domain.errors import (
    DeadlinePassedError,
    NoTargetError,
    OverBudgetError,
    ProviderError,
    ProviderTimeoutError,
    WorkerError,
)
from llm_worker.domain.outcome import (
    Attempt,
    Completed,
    Failed,
    FinishedAttempt,
    LetGo,
    Target,
)
from llm_worker.domain.verdict import Billing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from llm_worker.application.ports import (
        Budget,
        Clock,
        Ownership,
        Provider,
        Telemetry,
        VerdictCache,
    )
    from llm_worker.application.slots import RunningSlots
    from llm_worker.contracts.request import LLMComparisonRequestV1
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Completion

    Announce = Callable[[Attempt], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orchestrator:
    """Decide whom to ask, wait for a slot, ask once, and say how it ended.

    `stand_in` answers for every provider when it is given (`USE_MOCK_LLM`).
    """

    providers: Mapping[ProviderName, Provider]
    default_provider: ProviderName
    stand_in: ProviderName | None
    slots: RunningSlots
    ownership: Ownership
    cache: VerdictCache
    budget: Budget
    clock: Clock
    telemetry: Telemetry

    def first_target(self, asked: LLMComparisonRequestV1 | None = None) -> Target:
        """Name who would be asked first; for a provider that is not there, its bare name."""
        overrides = asked.llm_config_overrides if asked else None
        wanted = (overrides and overrides.provider_override) or self.default_provider
        provider = self.providers.get(self.stand_in or wanted)
        model = overrides.model_override if overrides else None
        if provider is None:
            return Target(provider=wanted, model=model or "unknown")
        return Target(provider=provider.name, model=model or provider.default_model)

    async def resolve(
        self, request: ComparisonRequest, announce: Announce
    ) -> Completed | Failed | LetGo:
        """Bring the request to its end; `announce` is awaited before each attempt."""
        target = self.first_target(request.asked)
        provider = self.providers.get(target.provider)
        if provider is None:
            known = ", ".join(sorted(self.providers))
            reason = f"provider {target.provider} is not configured here; ask one of: {known}"
            return self._failed(request, target, NoTargetError(reason))
        known_completion = await self.cache.find(request, target)
        if known_completion is not None:
            return self._completed(request, target, known_completion)
        match await self.slots.acquire(request.delivery.lane, request.deadline_s):
            case Grant.LET_GO:
                return LetGo()
            case Grant.EXPIRED:
                return self._failed(request, target, _too_late())
            case Grant.GRANTED:
                try:
                    return await self._buy(provider, request, target, announce)
                finally:
                    self.slots.release(request.delivery.lane)

    async def _buy(
        self, provider: Provider, request: ComparisonRequest, target: Target, announce: Announce
    ) -> Completed | Failed | LetGo:
        if not await self.ownership.holds(request.delivery):
            return LetGo()
        if self.clock.monotonic() >= request.deadline_s:
            return self._failed(request, target, _too_late())
        try:
            await self.budget.reserve(request, target)
        except OverBudgetError as error:
            return self._failed(request, target, error)
        attempt = Attempt(attempt_id=uuid4(), number=1, target=target, started_at=self.clock.now())
        await announce(attempt)
        finished = await self._attempt(provider, request, attempt)
        await self.budget.settle(request, finished.billing)
        if isinstance(finished.ending, ProviderError):
            return self._failed(request, target, finished.ending, finished)
        await self.cache.keep(request, target, finished.ending)
        return self._completed(request, target, finished.ending, finished)

    async def _attempt(
        self, provider: Provider, request: ComparisonRequest, attempt: Attempt
    ) -> FinishedAttempt:
        started_s = self.clock.monotonic()
        limit_s = min(provider.timeout_s, request.deadline_s - started_s)
        ending: Completion | ProviderError
        try:
            async with asyncio.timeout(limit_s):
                ending = await provider.judge(request, attempt)
        except TimeoutError:
            reason = f"{attempt.target.provider} did not answer within {limit_s:.1f} s"
            ending = ProviderTimeoutError(reason, billing=Billing())
        except ProviderError as error:
            ending = error
        except Exception as error:  # noqa: BLE001 - a paid call's end is told, whatever broke
            self.telemetry.faulted(request.delivery, error)
            reason = f"the adapter of {attempt.target.provider} broke: {type(error).__name__}"
            ending = ProviderError(reason, billing=Billing())
        finished = FinishedAttempt(
            attempt=attempt,
            ended_at=self.clock.now(),
            response_time_ms=round((self.clock.monotonic() - started_s) * 1000),
            ending=ending,
        )
        self.telemetry.attempted(finished)
        return finished

    def _completed(
        self,
        request: ComparisonRequest,
        target: Target,
        completion: Completion,
        *attempts: FinishedAttempt,
    ) -> Completed:
        return Completed(
            request=request,
            attempts=attempts,
            target=Target(provider=target.provider, model=completion.model),
            completion=completion,
            completed_at=self.clock.now(),
            response_time_ms=self._elapsed_ms(request),
        )

    def _failed(
        self,
        request: ComparisonRequest,
        target: Target,
        error: WorkerError,
        *attempts: FinishedAttempt,
    ) -> Failed:
        return Failed(
            request=request,
            attempts=attempts,
            target=target,
            error=error,
            completed_at=self.clock.now(),
            response_time_ms=self._elapsed_ms(request),
        )

    def _elapsed_ms(self, request: ComparisonRequest) -> int:
        return round((self.clock.monotonic() - request.delivery.received_s) * 1000)


def _too_late() -> DeadlinePassedError:
    return DeadlinePassedError(
        "the deadline passed before a provider was asked; nothing was spent: "
        "send it again with a later not_after"
    )
