from __future__ import annotations

from decimal import Decimal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llm_worker.adapters.telemetry import catalog
from llm_worker.adapters.telemetry.metrics import Metrics
from llm_worker.contracts.vocabulary import ErrorCode, Lane, ProviderName


def _samples(rendered: bytes) -> dict[tuple[str, frozenset[str]], float]:
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(rendered.decode())
        for sample in family.samples
    }


def test_delivery_is_counted_by_lane_and_ending_and_its_time_by_lane() -> None:
    metrics = Metrics()
    metrics.delivery_ended(Lane.BULK, "completed", 0.2)
    metrics.delivery_ended(Lane.BULK, "completed", 0.3)
    metrics.delivery_ended(Lane.NORMAL, "let_go", 1.0)
    samples = _samples(metrics.render({}))
    assert samples["llm_worker_deliveries_total", frozenset({"bulk", "completed"})] == 2
    assert samples["llm_worker_deliveries_total", frozenset({"normal", "let_go"})] == 1
    assert samples["llm_worker_request_seconds_sum", frozenset({"bulk"})] == pytest.approx(0.5)
    assert samples["llm_worker_request_seconds_bucket", frozenset({"bulk", "0.25"})] == 1


def test_attempts_costs_retries_and_dead_letters_are_counted() -> None:
    metrics = Metrics()
    metrics.attempt_ended(ProviderName.MOCK, "m", "success")
    metrics.attempt_ended(ProviderName.MOCK, "m", "timeout")
    metrics.cost_incurred(ProviderName.MOCK, "m", Decimal("0.25"))
    metrics.cost_incurred(ProviderName.MOCK, "m", Decimal("0.5"))
    metrics.cost_incurred(ProviderName.MOCK, "m", None)
    metrics.publish_retried()
    metrics.dead_lettered(ErrorCode.VALIDATION_ERROR)
    samples = _samples(metrics.render({}))
    call = frozenset({"mock", "m"})
    assert samples["llm_worker_provider_attempts_total", call | {"success"}] == 1
    assert samples["llm_worker_provider_attempts_total", call | {"timeout"}] == 1
    assert samples["llm_worker_cost_usd_total", call] == 0.75
    assert samples["llm_worker_unknown_costs_total", call] == 1
    assert samples["llm_worker_publish_retries_total", frozenset()] == 1
    assert samples["llm_worker_dead_letters_total", frozenset({"VALIDATION_ERROR"})] == 1


def test_unknown_cost_adds_no_dollars() -> None:
    metrics = Metrics()
    metrics.cost_incurred(ProviderName.MOCK, "m", None)
    assert ("llm_worker_cost_usd_total", frozenset({"mock", "m"})) not in _samples(
        metrics.render({})
    )


def test_gauges_show_the_last_readings_and_nothing_older() -> None:
    metrics = Metrics()
    metrics.render(
        {catalog.CONSUMER_LAG: {("t", "0"): 5, ("t", "1"): 6}, catalog.LOOP_LAG: {(): 1}}
    )
    samples = _samples(metrics.render({catalog.CONSUMER_LAG: {("t", "1"): 7}}))
    assert samples["llm_worker_consumer_lag_records", frozenset({"t", "1"})] == 7
    assert ("llm_worker_consumer_lag_records", frozenset({"t", "0"})) not in samples
    assert ("llm_worker_event_loop_lag_seconds", frozenset()) not in samples


def test_reading_with_too_few_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Metrics().render({catalog.CONSUMER_LAG: {("t",): 5}})


def test_models_that_requests_make_up_do_not_make_series_for_ever() -> None:
    metrics = Metrics()
    for number in range(300):
        metrics.attempt_ended(ProviderName.MOCK, f"m{number}", "success")
    metrics.attempt_ended(ProviderName.MOCK, "m0", "success")
    attempts = {
        labels: value
        for (name, labels), value in _samples(metrics.render({})).items()
        if name == "llm_worker_provider_attempts_total"
    }
    assert len(attempts) == 101
    assert attempts[frozenset({"mock", "m0", "success"})] == 2
    assert attempts[frozenset({"mock", "other", "success"})] == 200


def test_two_workers_in_one_process_do_not_share_counts() -> None:
    one, other = Metrics(), Metrics()
    one.publish_retried()
    assert _samples(other.render({}))["llm_worker_publish_retries_total", frozenset()] == 0


def test_every_metric_of_the_catalogue_can_be_rendered() -> None:
    metrics = Metrics()
    rendered = metrics.render(
        {
            metric: {tuple("1" for _ in metric.labels): 1.0}
            for metric in catalog.METRICS
            if metric.kind == "gauge"
        }
    )
    described = {
        line.split()[2] for line in rendered.decode().splitlines() if line.startswith("# HELP")
    }
    assert {metric.name for metric in catalog.METRICS} <= described


def test_what_a_hard_limit_does_is_counted() -> None:
    metrics = Metrics()
    metrics.budget_refused("over")
    metrics.budget_refused("unpriced")
    metrics.budget_waited()
    metrics.budget_unshared()
    samples = _samples(metrics.render({catalog.BUDGET_RESERVED: {(): 1.5}}))
    assert samples["llm_worker_budget_refusals_total", frozenset({"over"})] == 1
    assert samples["llm_worker_budget_refusals_total", frozenset({"unpriced"})] == 1
    assert samples["llm_worker_budget_waits_total", frozenset()] == 1
    assert samples["llm_worker_budget_unshared_total", frozenset()] == 1
    assert samples["llm_worker_budget_reserved_usd", frozenset()] == 1.5
