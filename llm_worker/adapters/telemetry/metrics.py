"""What the worker counts and measures, in the words of those who call."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    ProcessCollector,
    generate_latest,
)
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
    TOKENS,
    UNKNOWN_COSTS,
    UNSHARED,
)
from llm_worker.adapters.telemetry.labels import TOKEN_KIND
from llm_worker.contracts.vocabulary import Lane

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal
    from typing import TypeAlias

    from llm_worker.adapters.telemetry.catalog import Ending
    from llm_worker.adapters.telemetry.metric import Metric
    from llm_worker.contracts.vocabulary import ErrorCode, ProviderName
    from llm_worker.domain.verdict import Usage

    Readings: TypeAlias = Mapping[Metric, Mapping[tuple[str, ...], float]]
    """What gauges show now, by the values of their labels; `()` where they have none."""

# A request may name any model, and each new one would be a series for ever.
_MODELS_AT_MOST = 100
_OTHER_MODEL = "other"
_TOKEN_FIELDS = tuple((kind, f"{kind}_tokens") for kind in TOKEN_KIND.values)


class Metrics:
    """Counts what ends, and renders it with what is true now. Registers nothing globally."""

    def __init__(self) -> None:
        self._registry: Final = registry_of_process()
        self._gauges: Final = Gauges()
        self._counters: Final[dict[Metric, Children]] = {}
        self._registry.register(self._gauges)
        self._deliveries: Final = self._counter(DELIVERIES)
        self._attempts: Final = self._counter(ATTEMPTS)
        self._cost: Final = self._counter(COST)
        self._unknown_costs: Final = self._counter(UNKNOWN_COSTS)
        self._tokens: Final = self._counter(TOKENS)
        self._breaker_changes: Final = self._counter(BREAKER_CHANGES)
        self._publish_retries: Final = self._counter(PUBLISH_RETRIES).child()
        self._dead_letters: Final = self._counter(DEAD_LETTERS)
        self._lost_attempts: Final = self._counter(LOST_ATTEMPTS)
        self._superseded: Final = self._counter(SUPERSEDED).child()
        self._unshared: Final = self._counter(UNSHARED)
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
            REQUEST_SECONDS.label_names,
            buckets=REQUEST_SECONDS.buckets,
            registry=self._registry,
        )
        self._seconds: Final = {lane: histogram.labels(lane) for lane in Lane}
        self._models: Final[set[str]] = set()

    def expect(self, provider: ProviderName, model: str) -> None:
        """Let what is counted of a target that will be called stand at 0."""
        model = self._bounded(model)
        for counters in (
            self._attempts,
            self._cost,
            self._unknown_costs,
            self._tokens,
            self._breaker_changes,
            self._lost_attempts,
        ):
            counters.begin(provider, model)

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

    def tokens_used(self, provider: ProviderName, model: str, usage: Usage) -> None:
        """Add what a call used, as far as the provider has told it."""
        model = self._bounded(model)
        for kind, field in _TOKEN_FIELDS:
            count = getattr(usage, field)
            if count:
                self._tokens.child(provider, model, kind).inc(count)

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

    def total(self, metric: Metric, **labels: str) -> float:
        """Add up the series of a counter that have these labels."""
        return self._counters[metric].total(labels)

    def render(self, readings: Readings) -> bytes:
        """Render everything in Prometheus' text format 1.0.0, gauges as `readings` has them."""
        self._gauges.readings = readings
        return generate_latest(self._registry)

    def _counter(self, metric: Metric) -> Children:
        self._counters[metric] = counters = counter_of(metric, self._registry)
        return counters

    def _bounded(self, model: str) -> str:
        if model in self._models:
            return model
        if len(self._models) >= _MODELS_AT_MOST:
            return _OTHER_MODEL
        self._models.add(model)
        return model


def registry_of_process() -> CollectorRegistry:
    """Make a registry that has the process's own CPU, memory, files and age in it."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def counter_of(metric: Metric, registry: CollectorRegistry) -> Children:
    """Register a counter, and give its children; where all are known they stand at 0."""
    children = Children(metric, registry)
    if all(label.values for label in metric.labels):
        children.begin()
    return children


class Children:
    """A counter's children by label values, kept because looking one up takes a lock."""

    def __init__(self, metric: Metric, registry: CollectorRegistry) -> None:
        self._counter: Final = Counter(
            metric.name, metric.help, metric.label_names, registry=registry
        )
        self._labels: Final = metric.labels
        self._known: Final[dict[tuple[str, ...], Counter]] = {}

    def child(self, *values: str) -> Counter:
        """Give the child of these label values."""
        child = self._known.get(values)
        if child is None:
            child = self._counter.labels(*values) if values else self._counter
            self._known[values] = child
        return child

    def begin(self, *first: str) -> None:
        """Let all children whose label values begin so stand at 0.

        A series that comes into being with 1 has not risen, to Prometheus.
        """
        for rest in product(*(label.values for label in self._labels[len(first) :])):
            self.child(*first, *rest)

    def total(self, labels: Mapping[str, str]) -> float:
        """Add up the children that have these values of labels."""
        names = [label.name for label in self._labels]
        return sum(
            _value(child)
            for values, child in self._known.items()
            if labels.items() <= dict(zip(names, values, strict=True)).items()
        )


def _value(child: Counter) -> float:
    [family] = child.collect()
    return next(sample.value for sample in family.samples if sample.name.endswith("_total"))


class Gauges(Collector):
    """Shows the last readings and nothing else: a partition given away leaves no series."""

    def __init__(self) -> None:
        self.readings: Readings = {}

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        for metric, values in self.readings.items():
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.label_names)
            for labels, value in values.items():
                named = dict(zip(metric.label_names, labels, strict=True))
                family.add_sample(metric.name, named, value)
            yield family
