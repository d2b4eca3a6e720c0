"""deploy/prometheus: what it names is there, it is tested, and it says what to do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from llm_worker.adapters.telemetry.accountant_catalog import ACCOUNTANT_METRICS
from llm_worker.adapters.telemetry.catalog import METRICS
from llm_worker.adapters.telemetry.metrics import Metrics
from llm_worker.adapters.telemetry.spend import SpendTelemetry
from llm_worker.cli.app import COMMANDS
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.settings.names import variables
from tests.support import debian
from tests.support.promql import OF_TARGETS, grouped_by, known_series, selectors, unknown_names

_ROOT = Path(__file__).parents[2]
_RULES = _ROOT / "deploy" / "prometheus" / "alerts.yaml"
_CONFIG = _RULES.with_name("prometheus.yml")
_TESTS = _RULES.with_name("alerts.test.yaml")
_ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(_RULES.read_text("utf-8"))["groups"] for rule in group["rules"]
]
_LABEL_IN_TEXT = re.compile(r"\$labels\.(\w+)")
_EACH_ALERT = pytest.mark.parametrize("alert", _ALERTS, ids=lambda alert: alert["alert"])


@pytest.fixture(scope="module")
def promtool() -> list[str]:
    return debian.command("promtool", "prometheus")


def test_rules_and_configuration_are_valid(promtool: list[str]) -> None:
    _succeeds([*promtool, "check", "rules", "--lint-fatal", str(_RULES)])
    _succeeds([*promtool, "check", "config", "--lint-fatal", str(_CONFIG)])


def test_rules_pass_their_tests(promtool: list[str]) -> None:
    _succeeds([*promtool, "test", "rules", str(_TESTS)])


def test_pages_of_worker_and_accountant_have_nothing_that_prometheus_frowns_on(
    promtool: list[str],
) -> None:
    worker, accountant = Metrics(), SpendTelemetry()
    for provider in ProviderName:
        worker.expect(provider, "m")
    for telemetry, metrics in ((worker, METRICS), (accountant, (*METRICS, *ACCOUNTANT_METRICS))):
        page = telemetry.render(
            {
                metric: {tuple("x" for _ in metric.labels): 1.0}
                for metric in metrics
                if metric.kind == "gauge"
            }
        )
        _succeeds([*promtool, "check", "metrics"], given=page)


@_EACH_ALERT
def test_alert_names_metrics_labels_and_values_that_there_are(alert: dict[str, Any]) -> None:
    assert selectors(alert["expr"])
    assert unknown_names(alert["expr"], known_series()) == []


@_EACH_ALERT
def test_alert_says_how_bad_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    said = alert["annotations"]
    assert said.keys() == {"summary", "description", "runbook"}
    assert all(said.values())
    assert said["runbook"] == f"docs/runbook.md#{alert['alert'].lower()}"


@_EACH_ALERT
def test_alert_speaks_of_labels_that_it_has(alert: dict[str, Any]) -> None:
    expression, series = alert["expr"], known_series()
    if " by (" in expression:
        has = grouped_by(expression)
    else:
        has = OF_TARGETS.union(*(series[name] for name in selectors(expression)))
    assert set(_LABEL_IN_TEXT.findall(str(alert["annotations"]))) <= has


@_EACH_ALERT
def test_alert_names_commands_and_settings_that_there_are(alert: dict[str, Any]) -> None:
    said = alert["annotations"]["description"]
    assert set(re.findall(r"`llm-worker ([a-z]+)", said)) <= COMMANDS.keys()
    assert set(re.findall(r"LLM_WORKER_\w+", said)) <= variables().keys()


@_EACH_ALERT
def test_alert_has_a_time_at_which_it_fires_and_one_at_which_it_does_not(
    alert: dict[str, Any],
) -> None:
    name = alert["alert"]
    asked = [
        each
        for test in yaml.safe_load(_TESTS.read_text("utf-8"))["tests"]
        for each in test["promql_expr_test"]
        if re.search(rf'alertname=~?"[^"]*\b{name}\b', each["expr"])
    ]
    fires = [f'"{name}"' in str(each.get("exp_samples", ())) for each in asked]
    assert set(fires) == {True, False}


def _succeeds(command: list[str], given: bytes | None = None) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        command, input=given, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
