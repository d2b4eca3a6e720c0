"""What expressions in PromQL name, against what the worker and the accountant tell."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from prometheus_client.parser import text_string_to_metric_families

from llm_worker.adapters.telemetry.accountant_catalog import ACCOUNTANT_METRICS
from llm_worker.adapters.telemetry.catalog import METRICS
from llm_worker.adapters.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llm_worker.adapters.telemetry.metric import Metric

    Labels = Mapping[str, tuple[str, ...]]
    """By name, with all values; none where they are not known."""

OF_TARGETS: Final = {"job", "instance"}
"""Labels that Prometheus gives to all that it scrapes."""
_SELECTOR = re.compile(r"\b((?:llm_worker|process|python)_\w+)(?:\{(.*?)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")


@cache
def known_series() -> dict[str, Labels]:
    """Give all series by name: those of the catalogues, and the process's own as it tells them."""
    page = Metrics().render({}).decode()
    series: dict[str, Labels] = {
        sample.name: dict.fromkeys(sample.labels, ())
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if not sample.name.startswith("llm_worker_")
    }
    for metric in (*METRICS, *ACCOUNTANT_METRICS):
        series.update(_series_of(metric))
    return series


def selectors(expression: str) -> list[str]:
    """Name the metrics of an expression."""
    return [name for name, _ in _SELECTOR.findall(expression)]


def grouped_by(expression: str) -> set[str]:
    """Name the labels of all groupings and matchings."""
    return {
        label.strip()
        for labels in _GROUPING.findall(expression)
        for label in labels.split(",")
        if label.strip()
    }


def unknown_names(expression: str, series: Mapping[str, Labels]) -> list[str]:
    """Say which metrics, labels and values there are not; values with a `$` are left alone."""
    found = _SELECTOR.findall(expression)
    strange = [name for name, _ in found if name not in series]
    if strange:
        return strange
    allowed = OF_TARGETS.union(*(series[name] for name, _ in found))
    return [
        *sorted(grouped_by(expression) - allowed),
        *(fault for name, inside in found for fault in _unmatched(name, inside, series[name])),
    ]


def _unmatched(name: str, inside: str, labels: Labels) -> Iterator[str]:
    for label, value in _MATCHER.findall(inside):
        if label not in OF_TARGETS | labels.keys():
            yield f"{name}{{{label}}}"
            continue
        values = labels.get(label, ())
        if values and "$" not in value:
            yield from (f'{label}="{each}"' for each in value.split("|") if each not in values)


def _series_of(metric: Metric) -> dict[str, Labels]:
    labels = {label.name: label.values for label in metric.labels}
    if metric.kind != "histogram":
        return {metric.name: labels}
    return {
        f"{metric.name}_bucket": {**labels, "le": ()},
        f"{metric.name}_sum": labels,
        f"{metric.name}_count": labels,
    }
