"""docs/metrics.md, written from the two lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.adapters.telemetry.accountant_catalog import ACCOUNTANT_METRICS
from llm_worker.adapters.telemetry.catalog import METRICS

if TYPE_CHECKING:
    from llm_worker.adapters.telemetry.metric import Metric

_HEAD = """\
# Metrics

At `GET /metrics` of each worker and accountant, in Prometheus' text format. Every process counts
what it did itself, from 0, so counters may be added up over processes. A model beyond the first
hundred is counted as `other`. CPU, memory, open files and start time are in
prometheus_client's `process_*` and `python_gc_*`.

Rules for alerts and a dashboard: [deploy/](../deploy/README.md); what to do about an alert:
[runbook.md](runbook.md).

This page is generated from `llm_worker/adapters/telemetry/`.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def metrics_table() -> str:
    """Render docs/metrics.md."""
    return _HEAD + "".join(map(_row, (*METRICS, *ACCOUNTANT_METRICS)))


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{name}`" for name in metric.label_names)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |\n"
