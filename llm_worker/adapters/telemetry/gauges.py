"""What stands now in the worker: read when somebody looks, not counted."""

from __future__ import annotations

from llm_worker.adapters.telemetry.labels import (
    ENVIRONMENT,
    LANE,
    MODEL,
    PARTITION,
    PROCESS,
    PROVIDER,
    TOPIC,
    VERSION,
)
from llm_worker.adapters.telemetry.metric import Metric

BUILD_INFO = Metric(
    name="llm_worker_build_info",
    kind="gauge",
    help="Always 1: which process this is (worker, accountant), its version, its environment.",
    labels=(PROCESS, VERSION, ENVIRONMENT),
)
READY = Metric(
    name="llm_worker_ready",
    kind="gauge",
    help="1 while work may be given, as /readyz says: not while rebalancing, draining or, in a "
    "worker, without partitions.",
)
HEALTH = Metric(
    name="llm_worker_health_state",
    kind="gauge",
    help="What /healthz says: 0 healthy, 1 degraded, 2 unhealthy.",
)
LOOP_LAG = Metric(
    name="llm_worker_event_loop_lag_seconds",
    kind="gauge",
    help="Seconds that the event loop's last timer was late.",
)
DRAINING = Metric(
    name="llm_worker_draining_seconds",
    kind="gauge",
    help="Seconds since the process began to stop; 0 while it does not.",
)
LAST_DRAIN = Metric(
    name="llm_worker_last_drain_seconds",
    kind="gauge",
    help="Seconds that the last drain took, at a rebalance or a stop; no series before one.",
)
LAST_DRAIN_LEFT = Metric(
    name="llm_worker_last_drain_left_deliveries",
    kind="gauge",
    help="Deliveries that still ran when the last drain ended: at a rebalance they run on, and "
    "others wait for their outcomes; at a stop they are cancelled, and come again.",
)
RUNNING_CALLS = Metric(
    name="llm_worker_running_calls",
    kind="gauge",
    help="Calls to providers running now.",
    labels=(LANE,),
)
WINDOW = Metric(
    name="llm_worker_window_deliveries",
    kind="gauge",
    help="Deliveries pulled and not yet acknowledged.",
    labels=(LANE,),
)
OLDEST_DELIVERY_AGE = Metric(
    name="llm_worker_oldest_delivery_age_seconds",
    kind="gauge",
    help="Seconds since the oldest delivery in hand arrived; 0 with none.",
)
OLDEST_DELIVERY_OVERDUE = Metric(
    name="llm_worker_oldest_delivery_overdue_seconds",
    kind="gauge",
    help="Seconds that the oldest work in hand is past its deadline; 0 in time. At 60 in a worker "
    "the watchdog ends it, unless the broker takes nothing.",
)
GATE_DEPTH = Metric(
    name="llm_worker_gate_depth_deliveries",
    kind="gauge",
    help="Deliveries at the ordered gate: those under way, and finished ones behind them.",
)
CONSUMER_LAG = Metric(
    name="llm_worker_consumer_lag_records",
    kind="gauge",
    help="Records between our committed offset and the partition's end.",
    labels=(TOPIC, PARTITION),
)
PUBLISHER_BREAKER = Metric(
    name="llm_worker_publisher_breaker_state",
    kind="gauge",
    help="The publisher's circuit breaker: 0 closed, 1 half-open, 2 open.",
)
PROVIDER_BREAKER = Metric(
    name="llm_worker_provider_breaker_state",
    kind="gauge",
    help="A target's circuit breaker: 1 half-open, 2 open; those that are closed have no series.",
    labels=(PROVIDER, MODEL),
)
PROVIDER_RUNNING_CALLS = Metric(
    name="llm_worker_provider_running_calls",
    kind="gauge",
    help="Calls in flight, with those that have their place and wait for their turn a minute.",
    labels=(PROVIDER,),
)
PROVIDER_WAITING_CALLS = Metric(
    name="llm_worker_provider_waiting_calls",
    kind="gauge",
    help="Calls that wait for a place in flight.",
    labels=(PROVIDER,),
)
PROVIDER_ALLOWED_CALLS = Metric(
    name="llm_worker_provider_allowed_calls",
    kind="gauge",
    help="Calls that may be in flight; few after a pause or an outage, one more a success.",
    labels=(PROVIDER,),
)
PROVIDER_PAUSED = Metric(
    name="llm_worker_provider_paused_seconds",
    kind="gauge",
    help="Seconds for which the provider still wants to be left alone; 0 when it does not.",
    labels=(PROVIDER,),
)
CACHE_ENTRIES = Metric(
    name="llm_worker_cache_local_verdicts",
    kind="gauge",
    help="Verdicts in the local tier.",
)
CACHE_BYTES = Metric(
    name="llm_worker_cache_local_bytes",
    kind="gauge",
    help="Bytes of the local tier.",
)
REDIS_AVAILABLE = Metric(
    name="llm_worker_redis_available",
    kind="gauge",
    help="1 while Redis is asked, 0 while it is left alone; no series where none is set.",
)
BUDGET_RESERVED = Metric(
    name="llm_worker_budget_reserved_usd",
    kind="gauge",
    help="US dollars that this worker has set aside under hard limits for its calls under way.",
)

GAUGES = (
    BUILD_INFO,
    READY,
    HEALTH,
    LOOP_LAG,
    DRAINING,
    LAST_DRAIN,
    LAST_DRAIN_LEFT,
    RUNNING_CALLS,
    WINDOW,
    OLDEST_DELIVERY_AGE,
    OLDEST_DELIVERY_OVERDUE,
    GATE_DEPTH,
    CONSUMER_LAG,
    PUBLISHER_BREAKER,
    PROVIDER_BREAKER,
    PROVIDER_RUNNING_CALLS,
    PROVIDER_WAITING_CALLS,
    PROVIDER_ALLOWED_CALLS,
    PROVIDER_PAUSED,
    CACHE_ENTRIES,
    CACHE_BYTES,
    REDIS_AVAILABLE,
    BUDGET_RESERVED,
)
