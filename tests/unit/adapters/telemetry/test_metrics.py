from __future__ import annotations

from decimal import Decimal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llm_worker.adapters.cache.faults import Fault
from llm_worker.adapters.telemetry import catalog, gauges
from llm_worker.adapters.telemetry.accountant_catalog import ACCOUNTANT_METRICS
from llm_worker.adapters.telemetry.labels import REDIS_FAULT, TOKEN_KIND
from llm_worker.adapters.telemetry.metrics import Metrics
from llm_worker.adapters.telemetry.spend import SpendTelemetry
from llm_worker.contracts.vocabulary import AlertType, ErrorCode, FailureType, Lane, ProviderName
from llm_worker.domain.verdict import Usage


def _samples(rendered: bytes) -> dict[tuple[str, frozenset[str]], float]:
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(rendered.decode())
        for sample in family.samples
    }


def _of(name: str, telemetry: Metrics | SpendTelemetry) -> dict[frozenset[str], float]:
    samples = _samples(telemetry.render({})).items()
    return {labels: value for (known, labels), value in samples if known == name}


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


def test_tokens_are_added_up_by_kind_and_unknown_ones_are_left_out() -> None:
    metrics = Metrics()
    usage = Usage(prompt_tokens=100, completion_tokens=20, cache_read_tokens=60)
    metrics.tokens_used(ProviderName.MOCK, "m", usage)
    metrics.tokens_used(ProviderName.MOCK, "m", Usage(prompt_tokens=1, reasoning_tokens=7))
    metrics.tokens_used(ProviderName.MOCK, "m", Usage())
    tokens = _of("llm_worker_tokens_total", metrics)
    call = {"mock", "m"}
    assert tokens == {
        frozenset(call | {"prompt"}): 101,
        frozenset(call | {"completion"}): 20,
        frozenset(call | {"cache_read"}): 60,
        frozenset(call | {"reasoning"}): 7,
    }


def test_what_a_provider_tells_of_tokens_is_counted_whatever_its_kind() -> None:
    kinds = {kind for kind in Usage.__slots__ if kind != "cache_write_1h_tokens"}
    assert kinds == {f"{kind}_tokens" for kind in TOKEN_KIND.values}


def test_target_that_will_be_called_is_counted_from_0() -> None:
    metrics = Metrics()
    metrics.expect(ProviderName.MOCK, "m")
    attempts = _of("llm_worker_provider_attempts_total", metrics)
    outcomes = ("success", *FailureType)
    assert attempts == {frozenset({"mock", "m", outcome}): 0 for outcome in outcomes}
    for name in ("cost_usd", "unknown_costs", "lost_attempts"):
        assert _of(f"llm_worker_{name}_total", metrics) == {frozenset({"mock", "m"}): 0}
    assert len(_of("llm_worker_tokens_total", metrics)) == len(TOKEN_KIND.values)
    metrics.attempt_ended(ProviderName.MOCK, "m", "timeout")
    after = _of("llm_worker_provider_attempts_total", metrics)
    assert after == {**attempts, frozenset({"mock", "m", "timeout"}): 1}


def test_counters_whose_labels_are_known_stand_at_0_from_the_start() -> None:
    metrics = Metrics()
    assert len(_of("llm_worker_deliveries_total", metrics)) == 2 * 5
    codes = _of("llm_worker_dead_letters_total", metrics)
    assert codes == {frozenset({code}): 0 for code in ErrorCode}
    for name in ("unshared", "redis_failures", "budget_refusals", "cache_lookups"):
        values = _of(f"llm_worker_{name}_total", metrics).values()
        assert values
        assert not any(values)
    alerts = _of("llm_worker_accountant_alerts_total", SpendTelemetry())
    assert alerts == {frozenset({kind}): 0 for kind in AlertType}


def test_faults_of_redis_are_those_that_its_adapter_tells() -> None:
    assert REDIS_FAULT.values == tuple(Fault)


def test_counts_of_several_workers_may_be_added_up() -> None:
    one, other = Metrics(), Metrics()
    for metrics, seconds in ((one, 0.2), (one, 0.2), (other, 0.2)):
        metrics.delivery_ended(Lane.BULK, "completed", seconds)
        metrics.attempt_ended(ProviderName.MOCK, "m", "success")
        metrics.cost_incurred(ProviderName.MOCK, "m", Decimal("0.25"))
    summed: dict[tuple[str, frozenset[str]], float] = {}
    for metrics in (one, other):
        for series, value in _samples(metrics.render({gauges.WINDOW: {("bulk",): 4.0}})).items():
            summed[series] = summed.get(series, 0) + value
    assert summed["llm_worker_deliveries_total", frozenset({"bulk", "completed"})] == 3
    assert summed["llm_worker_request_seconds_bucket", frozenset({"bulk", "0.25"})] == 3
    assert summed["llm_worker_cost_usd_total", frozenset({"mock", "m"})] == 0.75
    assert summed["llm_worker_window_deliveries", frozenset({"bulk"})] == 8


def test_process_tells_its_cpu_memory_files_and_start() -> None:
    for page in (Metrics().render({}), SpendTelemetry().render({})):
        names = {name for name, _ in _samples(page)}
        assert names >= {
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_start_time_seconds",
            "python_gc_collections_total",
        }


def test_gauges_show_the_last_readings_and_nothing_older() -> None:
    metrics = Metrics()
    metrics.render({gauges.CONSUMER_LAG: {("t", "0"): 5, ("t", "1"): 6}, gauges.LOOP_LAG: {(): 1}})
    samples = _samples(metrics.render({gauges.CONSUMER_LAG: {("t", "1"): 7}}))
    assert samples["llm_worker_consumer_lag_records", frozenset({"t", "1"})] == 7
    assert ("llm_worker_consumer_lag_records", frozenset({"t", "0"})) not in samples
    assert ("llm_worker_event_loop_lag_seconds", frozenset()) not in samples


def test_reading_with_too_few_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Metrics().render({gauges.CONSUMER_LAG: {("t",): 5}})


def test_models_that_requests_make_up_do_not_make_series_for_ever() -> None:
    metrics = Metrics()
    for number in range(300):
        metrics.attempt_ended(ProviderName.MOCK, f"m{number}", "success")
    metrics.attempt_ended(ProviderName.MOCK, "m0", "success")
    attempts = _of("llm_worker_provider_attempts_total", metrics)
    assert len(attempts) == 101
    assert attempts[frozenset({"mock", "m0", "success"})] == 2
    assert attempts[frozenset({"mock", "other", "success"})] == 200


def test_two_workers_in_one_process_do_not_share_counts() -> None:
    one, other = Metrics(), Metrics()
    one.publish_retried()
    assert _samples(other.render({}))["llm_worker_publish_retries_total", frozenset()] == 0


def test_every_metric_of_the_catalogue_can_be_rendered() -> None:
    for telemetry, metrics in (
        (Metrics(), catalog.METRICS),
        (SpendTelemetry(), ACCOUNTANT_METRICS),
    ):
        rendered = telemetry.render(
            {
                metric: {tuple("1" for _ in metric.labels): 1.0}
                for metric in metrics
                if metric.kind == "gauge"
            }
        )
        described = {
            line.split()[2] for line in rendered.decode().splitlines() if line.startswith("# HELP")
        }
        assert {metric.name for metric in metrics} <= described


def test_what_a_hard_limit_does_is_counted() -> None:
    metrics = Metrics()
    metrics.budget_refused("over")
    metrics.budget_refused("unpriced")
    metrics.budget_waited()
    metrics.budget_unshared()
    samples = _samples(metrics.render({gauges.BUDGET_RESERVED: {(): 1.5}}))
    assert samples["llm_worker_budget_refusals_total", frozenset({"over"})] == 1
    assert samples["llm_worker_budget_refusals_total", frozenset({"unpriced"})] == 1
    assert samples["llm_worker_budget_waits_total", frozenset()] == 1
    assert samples["llm_worker_budget_unshared_total", frozenset()] == 1
    assert samples["llm_worker_budget_reserved_usd", frozenset()] == 1.5
