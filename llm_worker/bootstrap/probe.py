"""What the worker says of itself: facts from every part, for health and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_worker import __version__
from llm_worker.adapters.telemetry import catalog
from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.breaker import BreakerState
from llm_worker.domain.health import CacheFacts, Facts, ProviderFacts, judge

if TYPE_CHECKING:
    from llm_worker.adapters.kafka.inflight import InFlight
    from llm_worker.adapters.kafka.state import WorkerState
    from llm_worker.adapters.telemetry.metrics import Metrics, Readings
    from llm_worker.application.slots import RunningSlots
    from llm_worker.domain.breaker import CircuitBreaker
    from llm_worker.domain.health import Health

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
    slots: RunningSlots
    breaker: CircuitBreaker
    metrics_registry: Metrics
    environment: str

    def health(self) -> Health:
        """Judge the present facts."""
        mock = ProviderFacts(
            enabled=True, configured=True, circuit_breaker_state=BreakerState.CLOSED
        )
        return judge(
            Facts(
                version=__version__,
                environment=self.environment,
                loop_lag_s=self.state.loop_lag_s,
                kafka=self.state.kafka(),
                providers={ProviderName.MOCK.value: mock},
                cache=CacheFacts(),
            )
        )

    def metrics(self) -> bytes:
        """Render all metrics in Prometheus' text format."""
        return self.metrics_registry.render(self._readings())

    def _readings(self) -> Readings:
        return {
            catalog.RUNNING_CALLS: {(lane,): float(self.slots.running(lane)) for lane in Lane},
            catalog.WINDOW: {(lane,): float(self.in_flight.held(lane)) for lane in Lane},
            catalog.OLDEST_DELIVERY_AGE: {(): self.state.oldest_age_s()},
            catalog.GATE_DEPTH: {(): float(self.in_flight.gate.depth())},
            catalog.CONSUMER_LAG: self.state.lags(),
            catalog.PUBLISHER_BREAKER: {(): _BREAKER_READINGS[self.breaker.state]},
            catalog.LOOP_LAG: {(): self.state.loop_lag_s},
        }
