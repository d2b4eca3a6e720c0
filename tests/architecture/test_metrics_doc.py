from __future__ import annotations

import re
from pathlib import Path

from llm_worker.adapters.telemetry.accountant_catalog import ACCOUNTANT_METRICS
from llm_worker.adapters.telemetry.catalog import METRICS
from llm_worker.adapters.telemetry.metrics_page import metrics_table

_ROOT = Path(__file__).parents[2]
_BASE_UNITS = (
    "seconds",
    "bytes",
    "deliveries",
    "records",
    "calls",
    "verdicts",
    "state",
    "available",
    "ready",
    "info",
    "usd",
    "costs",
    "accounts",
)


def test_metrics_page_is_current() -> None:
    page = (_ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert page == metrics_table(), (
        "write it again: python -c 'from llm_worker.adapters.telemetry.metrics_page import "
        'metrics_table; print(metrics_table(), end="")\' > docs/metrics.md'
    )


def test_names_follow_the_rules_of_prometheus() -> None:
    every = (*METRICS, *ACCOUNTANT_METRICS)
    for metric in every:
        assert re.fullmatch(r"llm_worker_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.kind == "counter" or metric.name.endswith(_BASE_UNITS)
    assert len({metric.name for metric in every}) == len(every)
