"""Every metric that the accountant has alone, in one list."""

from __future__ import annotations

from llm_worker.adapters.telemetry.labels import ALERT_TYPE, BOOKING_RESULT, PERIOD, PROVIDER
from llm_worker.adapters.telemetry.metric import Metric

BOOKED_EVENTS = Metric(
    name="llm_worker_accountant_events_total",
    kind="counter",
    help="Accountant: events by what became of them: added, repeated (known already), unreadable "
    "(a dead letter).",
    labels=(BOOKING_RESULT,),
)
ALERTS = Metric(
    name="llm_worker_accountant_alerts_total",
    kind="counter",
    help="Accountant: cost alerts raised, by type.",
    labels=(ALERT_TYPE,),
)
OVERWRITES = Metric(
    name="llm_worker_accountant_overwrites_total",
    kind="counter",
    help="Accountant: totals that a process which had lost its partitions has published over ours; "
    "ours were published again.",
)
SPEND = Metric(
    name="llm_worker_spend_usd",
    kind="gauge",
    help="Accountant: known cost in US dollars of the present day or month, UTC; each accountant "
    "has all of it, so take the highest, not the sum over accountants.",
    labels=(PERIOD, PROVIDER),
)
SPEND_UNKNOWN = Metric(
    name="llm_worker_spend_unknown_costs",
    kind="gauge",
    help="Accountant: calls of unknown cost of the present day or month, UTC; as above.",
    labels=(PERIOD, PROVIDER),
)
SPEND_LIMIT = Metric(
    name="llm_worker_spend_limit_usd",
    kind="gauge",
    help="Accountant: the overall limit in US dollars of a day or month; no series without one.",
    labels=(PERIOD,),
)
SPEND_DRIFT = Metric(
    name="llm_worker_spend_drift_accounts",
    kind="gauge",
    help="Accountant: totals that differed from their events when they were last compared; no "
    "series before that.",
)
ACCOUNTS = Metric(
    name="llm_worker_accountant_accounts",
    kind="gauge",
    help="Accountant: totals in hand, one for each scope, period and source partition.",
)

ACCOUNTANT_METRICS = (
    BOOKED_EVENTS,
    ALERTS,
    OVERWRITES,
    SPEND,
    SPEND_UNKNOWN,
    SPEND_LIMIT,
    SPEND_DRIFT,
    ACCOUNTS,
)
