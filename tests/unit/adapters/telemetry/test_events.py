"""What is logged and counted of attempts and breakers."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import structlog

from llm_worker.adapters.telemetry import events
from llm_worker.adapters.telemetry.events import WorkerTelemetry
from llm_worker.adapters.telemetry.logging import setup_logging
from llm_worker.adapters.telemetry.metrics import Metrics
from llm_worker.domain.breaker import BreakerState
from llm_worker.domain.errors import ProviderDownError
from llm_worker.domain.outcome import Rejected, Replayed
from llm_worker.domain.verdict import Billing, CallFacts, Usage
from tests.support.builders import (
    TARGET,
    attempt_of,
    body_of,
    codec_of,
    completed_of,
    completion_of,
    delivery_of,
    request_of,
)
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    stream = StringIO()
    setup_logging("INFO", "json", stream)
    # A logger keeps the stream of its first line.
    monkeypatch.setattr(events, "_log", structlog.get_logger("llm_worker"))
    yield stream
    structlog.reset_defaults()


def _lines(log: StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in log.getvalue().splitlines()]


def test_failed_attempt_is_logged_with_the_providers_request_id(log: StringIO) -> None:
    metrics = Metrics()
    error = ProviderDownError(
        "mock is down",
        billing=Billing(),
        facts=CallFacts(http_status=503, provider_request_id="req_7"),
    )
    WorkerTelemetry(metrics, ManualClock()).attempted(request_of(), attempt_of(error, number=2))
    [line] = _lines(log)
    assert (
        line.items()
        >= {
            "event": "attempt_failed",
            "provider": "mock",
            "attempt": 2,
            "error_code": "SERVICE_UNAVAILABLE",
            "http_status": 503,
            "provider_request_id": "req_7",
        }.items()
    )
    rendered = metrics.render({}).decode()
    assert 'llm_worker_unknown_costs_total{model="mock-judge-1",provider="mock"} 1.0' in rendered


def test_delivery_is_logged_with_the_request_id_of_its_last_attempt(log: StringIO) -> None:
    request = request_of()
    facts = CallFacts(provider_request_id="req_8")
    telemetry = WorkerTelemetry(Metrics(), ManualClock())
    paid = attempt_of(completion_of(facts=facts))
    telemetry.handled(request.delivery, completed_of(request, paid))
    [line] = _lines(log)
    assert line["provider_request_id"] == "req_8"
    assert "Dogs are loyal" not in log.getvalue()


def test_tokens_of_an_attempt_are_counted_for_its_target() -> None:
    metrics = Metrics()
    usage = Usage(prompt_tokens=300, completion_tokens=40)
    paid = attempt_of(replace(completion_of(), billing=Billing(usage=usage)))
    WorkerTelemetry(metrics, ManualClock()).attempted(request_of(), paid)
    rendered = metrics.render({}).decode()
    for kind, count in (("prompt", 300.0), ("completion", 40.0)):
        labels = f'kind="{kind}",model="mock-judge-1",provider="mock"'
        assert f"llm_worker_tokens_total{{{labels}}} {count}" in rendered


def test_breaker_that_moves_is_logged_and_counted(log: StringIO) -> None:
    metrics = Metrics()
    telemetry = WorkerTelemetry(metrics, ManualClock())
    for state in (BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED):
        telemetry.breaker_moved(TARGET, state)
    assert [line["state"] for line in _lines(log)] == ["open", "half_open", "closed"]
    name, labels = "llm_worker_provider_breaker_changes_total", 'model="mock-judge-1"'
    rendered = metrics.render({}).decode()
    for name_of_state in ("open", "half_open", "closed"):
        assert f'{name}{{{labels},provider="mock",state="{name_of_state}"}} 1.0' in rendered


def test_lines_carry_the_trace_id_where_there_is_one(log: StringIO) -> None:
    telemetry = WorkerTelemetry(Metrics(), ManualClock())
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    traced = replace(request_of(), trace={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    failed = attempt_of(ProviderDownError("mock is down", billing=Billing()))
    rejected = codec_of().decode(delivery_of(body_of(user_prompt=7) | {"metadata": traced.trace}))
    assert isinstance(rejected, Rejected)
    for request in (traced, request_of()):
        telemetry.attempted(request, failed)
        telemetry.attempt_lost(request, failed.attempt)
        telemetry.superseded(request)
        telemetry.handled(request.delivery, completed_of(request))
        telemetry.handled(request.delivery, Replayed(request=request))
    telemetry.handled(rejected.delivery, rejected)
    lines = _lines(log)
    assert [line.get("trace_id") for line in lines] == [trace_id] * 5 + [None] * 5 + [trace_id]
    assert all(line["correlation_id"] for line in lines)
