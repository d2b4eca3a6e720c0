"""Every metric of the worker, in one list."""

from __future__ import annotations

from typing import Literal

from llm_worker.adapters.telemetry.metric import Metric

Ending = Literal["completed", "failed", "rejected", "replayed", "let_go"]
"""How a delivery ended; replayed: its old events once more; let_go: given back, to come again."""


DELIVERIES = Metric(
    name="llm_worker_deliveries_total",
    kind="counter",
    help="Deliveries by how they ended: completed, failed, rejected, replayed (known already), "
    "let_go (given back).",
    labels=("lane", "ending"),
)
REQUEST_SECONDS = Metric(
    name="llm_worker_request_seconds",
    kind="histogram",
    help="Seconds from a request's arrival to its end.",
    labels=("lane",),
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320),
)
ATTEMPTS = Metric(
    name="llm_worker_provider_attempts_total",
    kind="counter",
    help="Calls to providers by outcome: success, or the failure's type.",
    labels=("provider", "model", "outcome"),
)
COST = Metric(
    name="llm_worker_cost_usd_total",
    kind="counter",
    help="US dollars spent, as far as they are known.",
    labels=("provider", "model"),
)
UNKNOWN_COSTS = Metric(
    name="llm_worker_unknown_costs_total",
    kind="counter",
    help="Calls whose cost is not known; they are not in the dollars.",
    labels=("provider", "model"),
)
BREAKER_CHANGES = Metric(
    name="llm_worker_provider_breaker_changes_total",
    kind="counter",
    help="Changes of targets' circuit breakers by the state they changed to: open, half_open "
    "(a probe goes), closed.",
    labels=("provider", "model", "state"),
)
PUBLISH_RETRIES = Metric(
    name="llm_worker_publish_retries_total",
    kind="counter",
    help="Times that publishing to Kafka was tried again.",
)
DEAD_LETTERS = Metric(
    name="llm_worker_dead_letters_total",
    kind="counter",
    help="Dead letters by error code.",
    labels=("code",),
)
LOST_ATTEMPTS = Metric(
    name="llm_worker_lost_attempts_total",
    kind="counter",
    help="Calls of processes that are gone, of which nobody knows how they ended; they are told as "
    "outcome unknown before anything is bought again.",
    labels=("provider", "model"),
)
SUPERSEDED = Metric(
    name="llm_worker_superseded_total",
    kind="counter",
    help="Verdicts that were thrown away since another process's was first.",
)
UNSHARED = Metric(
    name="llm_worker_unshared_total",
    kind="counter",
    help="Steps that no other process knows of, since Redis did not take them: claim, begin (of a "
    "call), outcome. A redelivery to another process buys again what is not shared.",
    labels=("step",),
)
CACHE_LOOKUPS = Metric(
    name="llm_worker_cache_lookups_total",
    kind="counter",
    help="Looks into the cache by tier (local, redis) and result (hit, miss).",
    labels=("tier", "result"),
)
CACHE_SAVINGS = Metric(
    name="llm_worker_cache_savings_usd_total",
    kind="counter",
    help="US dollars that answers from the cache, or from a call shared with others (local), did "
    "not spend, as far as they are known.",
    labels=("tier",),
)
CACHE_EVICTIONS = Metric(
    name="llm_worker_cache_evictions_total",
    kind="counter",
    help="Verdicts that the local tier dropped to make room.",
)
REDIS_SECONDS = Metric(
    name="llm_worker_redis_seconds",
    kind="histogram",
    help="Seconds of one round trip to Redis, with all commands of one turn in it.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
)
REDIS_FAILURES = Metric(
    name="llm_worker_redis_failures_total",
    kind="counter",
    help="Round trips to Redis that failed, by why: timeout, connection, refused, full, auth, "
    "script, other.",
    labels=("reason",),
)
BUDGET_REFUSALS = Metric(
    name="llm_worker_budget_refusals_total",
    kind="counter",
    help="Attempts that a hard limit refused, by why: over (no room), unpriced (the model has no "
    "known price).",
    labels=("reason",),
)
BUDGET_WAITS = Metric(
    name="llm_worker_budget_waits_total",
    kind="counter",
    help="Times that an attempt waited, since a hard limit had no room beside the calls under way.",
)
BUDGET_UNSHARED = Metric(
    name="llm_worker_budget_unshared_total",
    kind="counter",
    help="Attempts that were judged by this worker's share of a hard limit, since Redis did not "
    "answer, did not know yet what was spent, or is not set.",
)
BUDGET_RESERVED = Metric(
    name="llm_worker_budget_reserved_usd",
    kind="gauge",
    help="US dollars that this worker has set aside under hard limits for its calls under way.",
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
    help="1 while Redis is asked, 0 while it is left alone or none is set.",
)
RUNNING_CALLS = Metric(
    name="llm_worker_running_calls",
    kind="gauge",
    help="Calls to providers running now.",
    labels=("lane",),
)
WINDOW = Metric(
    name="llm_worker_window_deliveries",
    kind="gauge",
    help="Deliveries pulled and not yet acknowledged.",
    labels=("lane",),
)
OLDEST_DELIVERY_AGE = Metric(
    name="llm_worker_oldest_delivery_age_seconds",
    kind="gauge",
    help="Seconds since the oldest delivery in hand arrived; 0 with none.",
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
    labels=("topic", "partition"),
)
PROVIDER_BREAKER = Metric(
    name="llm_worker_provider_breaker_state",
    kind="gauge",
    help="A target's circuit breaker: 1 half-open, 2 open; those that are closed have no series.",
    labels=("provider", "model"),
)
PROVIDER_RUNNING_CALLS = Metric(
    name="llm_worker_provider_running_calls",
    kind="gauge",
    help="Calls in flight, with those that have their place and wait for their turn a minute.",
    labels=("provider",),
)
PROVIDER_WAITING_CALLS = Metric(
    name="llm_worker_provider_waiting_calls",
    kind="gauge",
    help="Calls that wait for a place in flight.",
    labels=("provider",),
)
PROVIDER_ALLOWED_CALLS = Metric(
    name="llm_worker_provider_allowed_calls",
    kind="gauge",
    help="Calls that may be in flight; few after a pause or an outage, one more a success.",
    labels=("provider",),
)
PROVIDER_PAUSED = Metric(
    name="llm_worker_provider_paused_seconds",
    kind="gauge",
    help="Seconds for which the provider still wants to be left alone; 0 when it does not.",
    labels=("provider",),
)
PUBLISHER_BREAKER = Metric(
    name="llm_worker_publisher_breaker_state",
    kind="gauge",
    help="The publisher's circuit breaker: 0 closed, 1 half-open, 2 open.",
)
LOOP_LAG = Metric(
    name="llm_worker_event_loop_lag_seconds",
    kind="gauge",
    help="Seconds that the event loop's last timer was late.",
)

METRICS = (
    DELIVERIES,
    REQUEST_SECONDS,
    ATTEMPTS,
    COST,
    UNKNOWN_COSTS,
    BREAKER_CHANGES,
    PUBLISH_RETRIES,
    DEAD_LETTERS,
    LOST_ATTEMPTS,
    SUPERSEDED,
    UNSHARED,
    CACHE_LOOKUPS,
    CACHE_SAVINGS,
    CACHE_EVICTIONS,
    REDIS_SECONDS,
    REDIS_FAILURES,
    BUDGET_REFUSALS,
    BUDGET_WAITS,
    BUDGET_UNSHARED,
    BUDGET_RESERVED,
    CACHE_ENTRIES,
    CACHE_BYTES,
    REDIS_AVAILABLE,
    RUNNING_CALLS,
    WINDOW,
    OLDEST_DELIVERY_AGE,
    GATE_DEPTH,
    CONSUMER_LAG,
    PROVIDER_BREAKER,
    PROVIDER_RUNNING_CALLS,
    PROVIDER_WAITING_CALLS,
    PROVIDER_ALLOWED_CALLS,
    PROVIDER_PAUSED,
    PUBLISHER_BREAKER,
    LOOP_LAG,
)
