"""docs/metrics.md, written from the two lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.adapters.telemetry.accountant_catalog import ACCOUNTANT_METRICS
from llm_worker.adapters.telemetry.catalog import METRICS

if TYPE_CHECKING:
    from llm_worker.adapters.telemetry.metric import Metric

_HEAD = """\
# Metrics

At `GET /metrics`, in Prometheus' text format. Counters start at 0 with the process. Beside each
counter and histogram stands a `_created` series, unless `PROMETHEUS_DISABLE_CREATED_SERIES` is set.
A model beyond the first hundred is counted as `other`.

This page is generated from `llm_worker/adapters/telemetry/`.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def metrics_table() -> str:
    """Render docs/metrics.md."""
    return _HEAD + "".join(map(_row, (*METRICS, *ACCOUNTANT_METRICS)))


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |\n"
