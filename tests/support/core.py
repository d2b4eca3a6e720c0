"""The core wired with fakes, as bootstrap wires it with the real things."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llm_worker.adapters.cache.local_outcomes import LocalOutcomes
from llm_worker.application.backoff import Backoff
from llm_worker.application.bell import Bell
from llm_worker.application.buyer import Buyer
from llm_worker.application.gate import Limits
from llm_worker.application.orchestrator import Orchestrator
from llm_worker.application.pipeline import Pipeline
from llm_worker.application.publishing import Publishing
from llm_worker.application.purchases import Purchases
from llm_worker.application.routes import Routes
from llm_worker.application.slots import RunningSlots
from llm_worker.application.switchboard import Switchboard
from llm_worker.application.tracing import NO_TRACING
from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.breaker import CircuitBreaker
from llm_worker.domain.routing import Place, Routing
from llm_worker.domain.strategies import Strategy
from tests.support.builders import codec_of, completion_of, request_of
from tests.support.fakes import (
    FakeBudget,
    FakeCache,
    FakeOwnership,
    FakeProvider,
    FakePublisher,
    FakeReplyTopics,
    LoopClock,
    ManualClock,
    RecordingLog,
    RecordingTelemetry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llm_worker.application.orchestrator import Ending
    from llm_worker.application.ports import AttemptLog, OutcomeStore, Provider
    from llm_worker.application.tracing import Tracing
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.routing import Rule


@dataclass(slots=True)
class Core:
    """Everything a test may look at or change before the first delivery."""

    provider: FakeProvider = field(default_factory=lambda: FakeProvider(completion_of()))
    others: list[FakeProvider] = field(default_factory=list)
    publisher: FakePublisher = field(default_factory=FakePublisher)
    ownership: FakeOwnership = field(default_factory=FakeOwnership)
    reply_topics: FakeReplyTopics = field(default_factory=FakeReplyTopics)
    cache: FakeCache = field(default_factory=FakeCache)
    budget: FakeBudget = field(default_factory=FakeBudget)
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)
    tracing: Tracing = NO_TRACING
    outcomes: OutcomeStore = field(
        default_factory=lambda: LocalOutcomes(max_bytes=10_000_000, clock=ManualClock())
    )
    slots: RunningSlots = field(default_factory=lambda: RunningSlots(8, tuple(Lane)))
    clock: LoopClock = field(default_factory=LoopClock)
    stand_in: ProviderName | None = None
    strategy: Strategy = Strategy.PRIORITY
    rules: tuple[Rule, ...] = ()
    limits: dict[ProviderName, Limits] = field(default_factory=dict)
    weights: dict[ProviderName, float] = field(default_factory=dict)
    attempts_at_most: int = 4
    failure_threshold: int = 3
    recovery_timeout_s: float = 60.0

    @property
    def providers(self) -> dict[ProviderName, Provider]:
        return {provider.name: provider for provider in (self.provider, *self.others)}

    def routes(self) -> Routes:
        places = tuple(Place(provider=name) for name in self.providers)
        return Routes(
            providers=self.providers,
            routing=Routing(places=places, strategy=self.strategy, rules=self.rules),
            stand_in=self.stand_in,
        )

    def board(self) -> Switchboard:
        return Switchboard(
            providers=self.providers,
            limits={
                name: self.limits.get(name, Limits(max_in_flight=8)) for name in self.providers
            },
            weights=self.weights,
            new_breaker=lambda: CircuitBreaker(
                failure_threshold=self.failure_threshold,
                recovery_timeout_s=self.recovery_timeout_s,
            ),
            clock=self.clock,
            telemetry=self.telemetry,
        )

    def orchestrator(self) -> Orchestrator:
        board = self.board()
        return Orchestrator(
            routes=self.routes(),
            board=board,
            buyer=Buyer(
                providers=self.providers,
                board=board,
                ownership=self.ownership,
                budget=self.budget,
                clock=self.clock,
                telemetry=self.telemetry,
                tracing=self.tracing,
            ),
            attempts_at_most=self.attempts_at_most,
            backoff=Backoff(base_s=0.5, longest_s=20),
            slots=self.slots,
            purchases=Purchases(cache=self.cache, bell=Bell()),
            clock=self.clock,
            telemetry=self.telemetry,
            tracing=self.tracing,
        )

    def pipeline(self) -> Pipeline:
        codec = codec_of(self.clock)
        return Pipeline(
            codec=codec,
            orchestrator=self.orchestrator(),
            outcomes=self.outcomes,
            publishing=Publishing(
                codec=codec,
                publisher=self.publisher,
                telemetry=self.telemetry,
                tracing=self.tracing,
            ),
            reply_topics=self.reply_topics,
            clock=self.clock,
            telemetry=self.telemetry,
            tracing=self.tracing,
        )


def arriving(
    *, lane: Lane = Lane.NORMAL, within_s: float = 300.0, **data: object
) -> ComparisonRequest:
    """A request that is pulled now, and wants an answer of its own within so many seconds."""
    now_s = asyncio.get_running_loop().time()
    request = request_of(**{"cache_mode": "bypass"} | data)
    delivery = replace(request.delivery, lane=lane, received_s=now_s)
    return replace(request, delivery=delivery, deadline_s=now_s + within_s)


async def resolve(
    orchestrator: Orchestrator, request: ComparisonRequest, log: AttemptLog | None = None
) -> Ending:
    """Bring one request to its end."""

    return await orchestrator.resolve(request, orchestrator.plan(request), log or RecordingLog())


async def resolve_all(
    orchestrator: Orchestrator, requests: Iterable[ComparisonRequest]
) -> list[Ending]:
    """Bring requests that come at once to their ends."""
    return await asyncio.gather(*(resolve(orchestrator, request) for request in requests))
