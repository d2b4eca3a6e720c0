"""Every metric of the worker, in one list: here what it counts, in gauges.py what stands now."""

from __future__ import annotations

from typing import Final, Literal, get_args

from llm_worker.adapters.telemetry.gauges import GAUGES
from llm_worker.adapters.telemetry.labels import (
    BREAKER_STATE,
    BUDGET_REASON,
    CACHE_RESULT,
    CACHE_TIER,
    ERROR_CODE,
    LANE,
    MODEL,
    OUTCOME,
    PROVIDER,
    REDIS_FAULT,
    SHARED_STEP,
    TOKEN_KIND,
)
from llm_worker.adapters.telemetry.metric import Label, Metric

Ending = Literal["completed", "failed", "rejected", "replayed", "let_go"]
"""How a delivery ended; replayed: its old result once more; let_go: given back, to come again."""
ENDING: Final = Label("ending", get_args(Ending))


DELIVERIES = Metric(
    name="llm_worker_deliveries_total",
    kind="counter",
    help="Deliveries by how they ended: completed, failed, rejected, replayed (a duplicate, "
    "answered with its known result, and nothing bought), let_go (given back, to come again).",
    labels=(LANE, ENDING),
)
REQUEST_SECONDS = Metric(
    name="llm_worker_request_seconds",
    kind="histogram",
    help="Seconds from a request's arrival to its end.",
    labels=(LANE,),
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320),
)
ATTEMPTS = Metric(
    name="llm_worker_provider_attempts_total",
    kind="counter",
    help="Calls to providers by outcome: success, or the failure's type.",
    labels=(PROVIDER, MODEL, OUTCOME),
)
COST = Metric(
    name="llm_worker_cost_usd_total",
    kind="counter",
    help="US dollars spent, as far as they are known.",
    labels=(PROVIDER, MODEL),
)
UNKNOWN_COSTS = Metric(
    name="llm_worker_unknown_costs_total",
    kind="counter",
    help="Calls whose cost is not known; they are not in the dollars.",
    labels=(PROVIDER, MODEL),
)
TOKENS = Metric(
    name="llm_worker_tokens_total",
    kind="counter",
    help="Tokens as providers reported them, as far as they are known. Prompt has cache_read and "
    "cache_write in it, completion has reasoning: do not add those up.",
    labels=(PROVIDER, MODEL, TOKEN_KIND),
)
BREAKER_CHANGES = Metric(
    name="llm_worker_provider_breaker_changes_total",
    kind="counter",
    help="Changes of targets' circuit breakers by the state they changed to: open, half_open "
    "(a probe goes), closed.",
    labels=(PROVIDER, MODEL, BREAKER_STATE),
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
    labels=(ERROR_CODE,),
)
LOST_ATTEMPTS = Metric(
    name="llm_worker_lost_attempts_total",
    kind="counter",
    help="Calls of processes that are gone, of which nobody knows how they ended; they are told as "
    "outcome unknown before anything is bought again.",
    labels=(PROVIDER, MODEL),
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
    labels=(SHARED_STEP,),
)
CACHE_LOOKUPS = Metric(
    name="llm_worker_cache_lookups_total",
    kind="counter",
    help="Looks into the cache by tier (local, redis) and result (hit, miss).",
    labels=(CACHE_TIER, CACHE_RESULT),
)
CACHE_SAVINGS = Metric(
    name="llm_worker_cache_savings_usd_total",
    kind="counter",
    help="US dollars that answers from the cache, or from a call shared with others (local), did "
    "not spend, as far as they are known.",
    labels=(CACHE_TIER,),
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
    labels=(REDIS_FAULT,),
)
BUDGET_REFUSALS = Metric(
    name="llm_worker_budget_refusals_total",
    kind="counter",
    help="Attempts that a hard limit refused, by why: over (no room), unpriced (the model has no "
    "known price).",
    labels=(BUDGET_REASON,),
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

METRICS = (
    DELIVERIES,
    REQUEST_SECONDS,
    ATTEMPTS,
    COST,
    UNKNOWN_COSTS,
    TOKENS,
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
    *GAUGES,
)
