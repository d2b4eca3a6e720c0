"""The core wired with fakes, as bootstrap wires it with the real things."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_worker.adapters.cache.local import LocalOutcomes
from llm_worker.application.orchestrator import Orchestrator
from llm_worker.application.pipeline import Pipeline
from llm_worker.application.slots import RunningSlots
from llm_worker.contracts.vocabulary import Lane, ProviderName
from tests.support.builders import codec_of, completion_of
from tests.support.fakes import (
    FakeBudget,
    FakeCache,
    FakeOwnership,
    FakeProvider,
    FakePublisher,
    FakeReplyTopics,
    LoopClock,
    RecordingTelemetry,
)

if TYPE_CHECKING:
    from llm_worker.application.ports import Provider


@dataclass(slots=True)
class Core:
    """Everything a test may look at or change before the first delivery."""

    provider: FakeProvider = field(default_factory=lambda: FakeProvider(completion_of()))
    publisher: FakePublisher = field(default_factory=FakePublisher)
    ownership: FakeOwnership = field(default_factory=FakeOwnership)
    reply_topics: FakeReplyTopics = field(default_factory=FakeReplyTopics)
    cache: FakeCache = field(default_factory=FakeCache)
    budget: FakeBudget = field(default_factory=FakeBudget)
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)
    outcomes: LocalOutcomes = field(default_factory=lambda: LocalOutcomes(max_bytes=10_000_000))
    slots: RunningSlots = field(default_factory=lambda: RunningSlots(8, tuple(Lane)))
    clock: LoopClock = field(default_factory=LoopClock)
    stand_in: ProviderName | None = None

    def orchestrator(self) -> Orchestrator:
        providers: dict[ProviderName, Provider] = {self.provider.name: self.provider}
        return Orchestrator(
            providers=providers,
            default_provider=ProviderName.MOCK,
            stand_in=self.stand_in,
            slots=self.slots,
            ownership=self.ownership,
            cache=self.cache,
            budget=self.budget,
            clock=self.clock,
            telemetry=self.telemetry,
        )

    def pipeline(self) -> Pipeline:
        return Pipeline(
            codec=codec_of(self.clock),
            orchestrator=self.orchestrator(),
            outcomes=self.outcomes,
            publisher=self.publisher,
            reply_topics=self.reply_topics,
            clock=self.clock,
            telemetry=self.telemetry,
        )
