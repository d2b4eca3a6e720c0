"""What the worker counts and measures, in the words of those who call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from llm_worker.adapters.telemetry.catalog import (
    ATTEMPTS,
    BREAKER_CHANGES,
    BUDGET_REFUSALS,
    BUDGET_UNSHARED,
    BUDGET_WAITS,
    CACHE_EVICTIONS,
    CACHE_LOOKUPS,
    CACHE_SAVINGS,
    COST,
    DEAD_LETTERS,
    DELIVERIES,
    LOST_ATTEMPTS,
    PUBLISH_RETRIES,
    REDIS_FAILURES,
    REDIS_SECONDS,
    REQUEST_SECONDS,
    SUPERSEDED,
    UNKNOWN_COSTS,
    UNSHARED,
)
from llm_worker.contracts.vocabulary import Lane

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal
    from typing import TypeAlias

    from llm_worker.adapters.telemetry.catalog import Ending
    from llm_worker.adapters.telemetry.metric import Metric
    from llm_worker.contracts.vocabulary import ErrorCode, ProviderName

    Readings: TypeAlias = Mapping[Metric, Mapping[tuple[str, ...], float]]
    """What gauges show now, by the values of their labels; `()` where they have none."""

# A request may name any model, and each new one would be a series for ever.
_MODELS_AT_MOST = 100
_OTHER_MODEL = "other"


class Metrics:
    """Counts what ends, and renders it with what is true now. Registers nothing globally."""

    def __init__(self) -> None:
        self._registry: Final = CollectorRegistry()
        self._gauges: Final = Gauges()
        self._registry.register(self._gauges)
        self._deliveries: Final = self._counter(DELIVERIES)
        self._attempts: Final = self._counter(ATTEMPTS)
        self._cost: Final = self._counter(COST)
        self._unknown_costs: Final = self._counter(UNKNOWN_COSTS)
        self._breaker_changes: Final = self._counter(BREAKER_CHANGES)
        self._publish_retries: Final = self._counter(PUBLISH_RETRIES).child()
        self._dead_letters: Final = self._counter(DEAD_LETTERS)
        self._lost_attempts: Final = self._counter(LOST_ATTEMPTS)
        self._superseded: Final = self._counter(SUPERSEDED).child()
        self._unshared: Final = self._counter(UNSHARED)
        for step in ("claim", "begin", "outcome"):
            self._unshared.child(step)  # a rise from nothing would be no rise to Prometheus
        self._cache_lookups: Final = self._counter(CACHE_LOOKUPS)
        self._cache_savings: Final = self._counter(CACHE_SAVINGS)
        self._cache_evictions: Final = self._counter(CACHE_EVICTIONS).child()
        self._budget_refusals: Final = self._counter(BUDGET_REFUSALS)
        self._budget_waits: Final = self._counter(BUDGET_WAITS).child()
        self._budget_unshared: Final = self._counter(BUDGET_UNSHARED).child()
        self._redis_failures: Final = self._counter(REDIS_FAILURES)
        self._redis_seconds: Final = Histogram(
            REDIS_SECONDS.name,
            REDIS_SECONDS.help,
            buckets=REDIS_SECONDS.buckets,
            registry=self._registry,
        )
        histogram = Histogram(
            REQUEST_SECONDS.name,
            REQUEST_SECONDS.help,
            REQUEST_SECONDS.labels,
            buckets=REQUEST_SECONDS.buckets,
            registry=self._registry,
        )
        self._seconds: Final = {lane: histogram.labels(lane) for lane in Lane}
        self._models: Final[set[str]] = set()

    def delivery_ended(self, lane: Lane, ending: Ending, seconds: float) -> None:
        """Count a delivery, `seconds` after its record arrived."""
        self._deliveries.child(lane, ending).inc()
        self._seconds[lane].observe(seconds)

    def attempt_ended(self, provider: ProviderName, model: str, outcome: str) -> None:
        """Count a call to a provider; `outcome` is success or the FailureType."""
        self._attempts.child(provider, self._bounded(model), outcome).inc()

    def cost_incurred(self, provider: ProviderName, model: str, usd: Decimal | None) -> None:
        """Add what a call cost; None where nobody knows."""
        model = self._bounded(model)
        if usd is None:
            self._unknown_costs.child(provider, model).inc()
        else:
            self._cost.child(provider, model).inc(float(usd))

    def breaker_changed(self, provider: ProviderName, model: str, state: str) -> None:
        """Count a change of a target's circuit breaker to `state`."""
        self._breaker_changes.child(provider, self._bounded(model), state).inc()

    def publish_retried(self) -> None:
        """Count one more try to publish."""
        self._publish_retries.inc()

    def dead_lettered(self, code: ErrorCode) -> None:
        """Count a dead letter by why it is one."""
        self._dead_letters.child(code).inc()

    def attempt_lost(self, provider: ProviderName, model: str) -> None:
        """Count a call of which nobody knows how it ended."""
        self._lost_attempts.child(provider, self._bounded(model)).inc()

    def superseded(self) -> None:
        """Count a verdict that was thrown away."""
        self._superseded.inc()

    def unshared(self, step: str) -> None:
        """Count a step that no other process knows of."""
        self._unshared.child(step).inc()

    def cache_asked(self, tier: str, *, is_hit: bool) -> None:
        """Count a look into a tier of the cache."""
        self._cache_lookups.child(tier, "hit" if is_hit else "miss").inc()

    def cache_saved(self, tier: str, usd: Decimal) -> None:
        """Add what a hit did not spend."""
        self._cache_savings.child(tier).inc(float(usd))

    def cache_evicted(self) -> None:
        """Count a verdict that made room for others."""
        self._cache_evictions.inc()

    def budget_refused(self, reason: str) -> None:
        """Count an attempt that a hard limit refused: over, or unpriced."""
        self._budget_refusals.child(reason).inc()

    def budget_waited(self) -> None:
        """Count an attempt that has to wait for room under a hard limit."""
        self._budget_waits.inc()

    def budget_unshared(self) -> None:
        """Count an attempt that was judged without asking the others."""
        self._budget_unshared.inc()

    def redis_answered(self, seconds: float, error: str | None) -> None:
        """Observe a round trip to Redis; `error` says in a word why it failed."""
        self._redis_seconds.observe(seconds)
        if error is not None:
            self._redis_failures.child(error).inc()

    def render(self, readings: Readings) -> bytes:
        """Render everything in Prometheus' text format 1.0.0, gauges as `readings` has them."""
        self._gauges.readings = readings
        return generate_latest(self._registry)

    def _counter(self, metric: Metric) -> Children:
        return counter_of(metric, self._registry)

    def _bounded(self, model: str) -> str:
        if model in self._models:
            return model
        if len(self._models) >= _MODELS_AT_MOST:
            return _OTHER_MODEL
        self._models.add(model)
        return model


def counter_of(metric: Metric, registry: CollectorRegistry) -> Children:
    """Register a counter, and give its children."""
    return Children(Counter(metric.name, metric.help, metric.labels, registry=registry))


class Children:
    """A counter's children by label values, kept because looking one up takes a lock."""

    def __init__(self, counter: Counter) -> None:
        self._counter: Final = counter
        self._known: Final[dict[tuple[str, ...], Counter]] = {}

    def child(self, *labels: str) -> Counter:
        """Give the child of these label values."""
        child = self._known.get(labels)
        if child is None:
            child = self._counter.labels(*labels) if labels else self._counter
            self._known[labels] = child
        return child


class Gauges(Collector):
    """Shows the last readings and nothing else: a partition given away leaves no series."""

    def __init__(self) -> None:
        self.readings: Readings = {}

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        for metric, values in self.readings.items():
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in values.items():
                family.add_sample(metric.name, dict(zip(metric.labels, labels, strict=True)), value)
            yield family
