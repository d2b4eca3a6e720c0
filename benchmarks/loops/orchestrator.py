"""The orchestrator over five targets that answer at once, by every strategy."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.calls import request_of
from benchmarks.loops.solo import SoloJob
from benchmarks.loops.traced import let_profilers_in
from llm_worker.adapters.clock import SystemClock
from llm_worker.application.backoff import Backoff
from llm_worker.application.bell import Bell
from llm_worker.application.buyer import Buyer
from llm_worker.application.orchestrator import Orchestrator
from llm_worker.application.ports import GRANTED, Turn
from llm_worker.application.purchases import Purchases
from llm_worker.application.routes import Routes
from llm_worker.application.slots import RunningSlots
from llm_worker.application.switchboard import Switchboard
from llm_worker.bootstrap.providers.breaker import new_breaker
from llm_worker.bootstrap.providers.configured import (
    default_model,
    limits_of,
    models_of,
    own_settings,
    usable_providers,
)
from llm_worker.bootstrap.providers.routing import routing_of
from llm_worker.bootstrap.worker.app import load_worker_settings
from llm_worker.contracts.vocabulary import Lane, Winner
from llm_worker.domain.outcome import Completed
from llm_worker.domain.strategies import Strategy
from llm_worker.domain.verdict import (
    Billing,
    CallFacts,
    Completion,
    LimitKind,
    ReportedLimit,
    Usage,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from llm_worker.application.ports import ModelCatalog
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.breaker import BreakerState
    from llm_worker.domain.cached import CachedVerdict
    from llm_worker.domain.delivery import Delivery, Record
    from llm_worker.domain.outcome import Attempt, Ending, FinishedAttempt, Target
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.settings import Settings

_WARM_UP = 1_000
_ANSWER = Completion(
    verdict=Verdict(winner=Winner.A, justification="It argues its case.", confidence=0.8),
    model="any",
    billing=Billing(usage=Usage(prompt_tokens=700, completion_tokens=40)),
    facts=CallFacts(
        http_status=200,
        limits=tuple(
            ReportedLimit(kind=kind, per_minute=10**9, remaining=10**9, reset_s=1.0)
            for kind in LimitKind
        ),
    ),
)
"""As from a provider whose headers tell of its limits, and that are far away."""


async def run(job: SoloJob) -> None:
    """Time every strategy, in turn."""
    settings = load_worker_settings()
    orchestrators = {strategy: _orchestrator(settings, strategy) for strategy in Strategy}
    target = next(iter(orchestrators.values())).routes.first_target()
    request = request_of(job.essay_bytes, target)

    async def resolve(orchestrator: Orchestrator, times: int) -> None:
        for _ in range(times):
            await orchestrator.resolve(request, orchestrator.plan(request), _Log())

    for strategy, orchestrator in orchestrators.items():
        if not isinstance(
            await orchestrator.resolve(request, orchestrator.plan(request), _Log()), Completed
        ):
            raise TypeError(f"there was no verdict by {strategy}")
        await resolve(orchestrator, _WARM_UP)
    rounds = []
    for _ in range(job.rounds):
        found = {}
        for strategy, orchestrator in orchestrators.items():
            us = await job.cpu_us(partial(resolve, orchestrator))
            found[strategy.value] = {"orchestrator": us}
        rounds.append(found)
    job.tell(rounds)


class _Log:
    """Tells nobody."""

    async def ready(self) -> None:
        pass

    async def begins(self, _attempt: Attempt, permission: Awaitable[None]) -> bool:
        await permission
        return True

    def ended(self, _finished: FinishedAttempt) -> None:
        pass


class _NoBudget:
    """Allows everything."""

    def reserve(self, _request: ComparisonRequest, _attempt: Attempt) -> Awaitable[None]:
        return GRANTED

    def settle(self, _attempt: Attempt, _billing: Billing | None) -> None:
        pass


class _Forgetful:
    """A cache that never has what is asked: every request is bought."""

    def look_ahead(self, _fingerprint: str) -> None:
        pass

    def never_mind(self, _fingerprint: str) -> None:
        pass

    async def find(self, _fingerprint: str) -> Turn:
        return Turn.BUY

    def keep(self, _fingerprint: str, _verdict: CachedVerdict) -> None:
        pass

    def pass_on(self, _fingerprint: str) -> None:
        pass


@dataclass(slots=True, kw_only=True, eq=False)
class _Instant:
    """A target that answers at once, the models and prices of a real one."""

    name: ProviderName
    default_model: str
    models: ModelCatalog
    timeout_s: float = 45.0

    async def judge(
        self, _request: ComparisonRequest, _attempt: Attempt, _limit_s: float
    ) -> Completion:
        return _ANSWER

    async def probe(self, _limit_s: float) -> None:
        pass

    async def aclose(self) -> None:
        pass


class _Always:
    """Everything is ours."""

    async def holds(self, _generation: int) -> bool:
        return True


class _Silent:
    """Notes nothing."""

    def attempted(self, _request: ComparisonRequest, _attempt: FinishedAttempt) -> None:
        pass

    def breaker_moved(self, _target: Target, _state: BreakerState) -> None:
        pass

    def handled(self, _delivery: Delivery, _ending: Ending) -> None:
        pass

    def refused(self, _record: Record, _refusal: object) -> None:
        pass

    def attempt_lost(self, _request: ComparisonRequest, _attempt: Attempt) -> None:
        pass

    def superseded(self, _request: ComparisonRequest) -> None:
        pass

    def faulted(self, _delivery: Delivery | None, error: Exception) -> None:
        raise error


def _orchestrator(settings: Settings, strategy: Strategy) -> Orchestrator:
    """Wire it as bootstrap does."""
    clock, telemetry, budget = SystemClock(), _Silent(), _NoBudget()
    providers = _providers(settings, clock)
    board = Switchboard(
        providers=providers,
        limits={name: limits_of(settings, name) for name in providers},
        weights={name: own_settings(settings, name).weight for name in providers},
        new_breaker=lambda: new_breaker(settings),
        clock=clock,
        telemetry=telemetry,
    )
    return Orchestrator(
        routes=Routes(
            providers=providers, routing=replace(routing_of(settings), strategy=strategy)
        ),
        board=board,
        buyer=Buyer(
            providers=providers,
            board=board,
            ownership=_Always(),
            budget=budget,
            clock=clock,
            telemetry=telemetry,
        ),
        attempts_at_most=settings.retry.attempts,
        backoff=Backoff(base_s=settings.retry.backoff_s, longest_s=settings.retry.backoff_max_s),
        slots=RunningSlots(settings.max_in_flight, tuple(Lane)),
        purchases=Purchases(cache=_Forgetful(), bell=Bell()),
        clock=clock,
        telemetry=telemetry,
    )


def _providers(settings: Settings, clock: SystemClock) -> Mapping[ProviderName, _Instant]:
    return {
        name: _Instant(
            name=name,
            default_model=default_model(settings, name),
            models=models_of(settings, name, clock),
        )
        for name in usable_providers(settings)
    }


if __name__ == "__main__":
    let_profilers_in()
    asyncio.run(run(SoloJob.from_command_line()))
