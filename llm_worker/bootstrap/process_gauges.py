"""What worker and accountant measure alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llm_worker.adapters.telemetry import gauges
from llm_worker.domain.health import HealthStatus

if TYPE_CHECKING:
    from llm_worker.adapters.kafka.group_state import GroupState
    from llm_worker.adapters.telemetry.metrics import Readings
    from llm_worker.domain.health import Health

_HEALTH_READINGS: Final = {
    HealthStatus.HEALTHY: 0.0,
    HealthStatus.DEGRADED: 1.0,
    HealthStatus.UNHEALTHY: 2.0,
}


def readings_of_process(process: str, health: Health, state: GroupState) -> Readings:
    """Read how a process stands; `process` is worker or accountant."""
    facts = health.facts
    return {
        gauges.BUILD_INFO: {(process, facts.version, facts.environment): 1.0},
        gauges.READY: {(): float(health.is_ready)},
        gauges.HEALTH: {(): _HEALTH_READINGS[health.status]},
        gauges.LOOP_LAG: {(): facts.loop_lag_s},
        gauges.DRAINING: {(): state.draining_s()},
        gauges.OLDEST_DELIVERY_OVERDUE: {(): facts.kafka.oldest_delivery_overdue_s},
        gauges.CONSUMER_LAG: state.lags(),
    }
