"""Counters added up, for those that read them here."""

from __future__ import annotations

from decimal import Decimal

from llm_worker.adapters.telemetry import catalog
from llm_worker.adapters.telemetry.metrics import Metrics
from llm_worker.contracts.vocabulary import Lane, ProviderName


def test_nothing_counted_is_0() -> None:
    assert Metrics().total(catalog.DELIVERIES, ending="completed") == 0
    assert Metrics().total(catalog.COST) == 0


def test_series_are_added_up_by_the_labels_that_are_named() -> None:
    metrics = Metrics()
    metrics.delivery_ended(Lane.BULK, "completed", 0.1)
    metrics.delivery_ended(Lane.NORMAL, "completed", 0.1)
    metrics.delivery_ended(Lane.NORMAL, "failed", 0.1)
    assert metrics.total(catalog.DELIVERIES, ending="completed") == 2
    assert metrics.total(catalog.DELIVERIES, lane=Lane.NORMAL) == 2
    assert metrics.total(catalog.DELIVERIES, lane=Lane.NORMAL, ending="failed") == 1
    assert metrics.total(catalog.DELIVERIES) == 3


def test_all_of_a_metric_are_added_up_without_a_label() -> None:
    metrics = Metrics()
    for name in (ProviderName.MOCK, ProviderName.OPENAI):
        metrics.cost_incurred(name, "m", Decimal("0.25"))
    assert metrics.total(catalog.COST) == 0.5
