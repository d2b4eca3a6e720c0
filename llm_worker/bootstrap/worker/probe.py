"""What the worker says of itself: facts from every part, for health and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_worker import __version__
from llm_worker.adapters.telemetry import gauges
from llm_worker.bootstrap.process_gauges import readings_of_process
from llm_worker.bootstrap.providers.configured import is_configured, is_enabled, usable_providers
from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.breaker import BreakerState
from llm_worker.domain.health import Facts, ProviderFacts, judge

if TYPE_CHECKING:
    from llm_worker.adapters.cache.budget import HardBudget
    from llm_worker.adapters.kafka.inflight import InFlight
    from llm_worker.adapters.kafka.state import WorkerState
    from llm_worker.adapters.telemetry.metrics import Readings
    from llm_worker.application.switchboard import Switchboard
    from llm_worker.bootstrap.worker.parts import WorkerParts
    from llm_worker.domain.health import Health
    from llm_worker.domain.provider_view import ProviderView
    from llm_worker.settings import Settings

_BREAKER_READINGS = {
    BreakerState.CLOSED: 0.0,
    BreakerState.HALF_OPEN: 1.0,
    BreakerState.OPEN: 2.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerProbe:
    """Answers /healthz and /metrics; reads, and never waits."""

    state: WorkerState
    in_flight: InFlight
    parts: WorkerParts
    board: Switchboard
    budget: HardBudget
    environment: str

    @property
    def loop_lag_s(self) -> float:
        """Seconds that the event loop's last timer was late."""
        return self.state.loop_lag_s

    def health(self) -> Health:
        """Judge the present facts."""
        return judge(
            Facts(
                version=__version__,
                environment=self.environment,
                loop_lag_s=self.loop_lag_s,
                kafka=self.state.kafka(),
                providers={name.value: facts for name, facts in self._provider_facts().items()},
                cache=self.parts.memory.facts(),
            )
        )

    def providers(self) -> list[ProviderView]:
        """Describe every provider that can be called, or could if it were enabled."""
        return [self.board.view(name) for name in self.board.providers]

    def metrics(self) -> bytes:
        """Render all metrics in Prometheus' text format."""
        return self.parts.metrics.render(self._readings())

    def _provider_facts(self) -> dict[ProviderName, ProviderFacts]:
        live = {
            view.name: ProviderFacts(
                enabled=view.enabled, configured=True, circuit_breaker_state=view.breaker
            )
            for view in self.providers()
        }
        return {**left_out_providers(self.parts.spending.runtime.settings), **live}

    def _readings(self) -> Readings:
        views, memory = self.providers(), self.parts.memory
        cache, drain = memory.facts(), self.in_flight.last_drain
        return {
            **readings_of_process("worker", self.health(), self.state),
            gauges.LAST_DRAIN: {} if drain is None else {(): drain.seconds},
            gauges.LAST_DRAIN_LEFT: {} if drain is None else {(): float(drain.left)},
            gauges.RUNNING_CALLS: {(lane,): float(self.parts.slots.running(lane)) for lane in Lane},
            gauges.WINDOW: {(lane,): float(self.in_flight.held(lane)) for lane in Lane},
            gauges.OLDEST_DELIVERY_AGE: {(): self.state.oldest_age_s()},
            gauges.GATE_DEPTH: {(): float(self.in_flight.gate.depth())},
            gauges.PROVIDER_BREAKER: {
                (target.provider, target.model): _BREAKER_READINGS[state]
                for target, state in self.board.breaker_states().items()
            },
            gauges.PROVIDER_RUNNING_CALLS: {(v.name,): float(v.in_flight) for v in views},
            gauges.PROVIDER_WAITING_CALLS: {(v.name,): float(v.waiting) for v in views},
            gauges.PROVIDER_ALLOWED_CALLS: {(v.name,): float(v.allowed) for v in views},
            gauges.PROVIDER_PAUSED: {(v.name,): v.paused_s for v in views},
            gauges.CACHE_ENTRIES: {(): float(len(memory.local_verdicts))},
            gauges.CACHE_BYTES: {(): float(memory.local_verdicts.size_bytes)},
            gauges.REDIS_AVAILABLE: {(): float(cache.redis_available)}
            if cache.cache_mode == "redis"
            else {},
            gauges.BUDGET_RESERVED: {(): float(self.budget.reserved_usd)},
            gauges.PUBLISHER_BREAKER: {(): _BREAKER_READINGS[self.parts.breaker.state]},
        }


def left_out_providers(settings: Settings) -> dict[ProviderName, ProviderFacts]:
    """Describe the providers that are not called, whether they are not wanted or lack a key."""
    usable = usable_providers(settings)
    return {
        name: ProviderFacts(
            enabled=is_enabled(settings, name),
            configured=is_configured(settings, name),
            circuit_breaker_state=BreakerState.CLOSED,
        )
        for name in ProviderName
        if name not in usable
    }
