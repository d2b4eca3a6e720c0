"""What is logged and counted of attempts and breakers."""

from __future__ import annotations

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
from llm_worker.domain.verdict import Billing, CallFacts
from tests.support.builders import TARGET, attempt_of, completed_of, completion_of, request_of
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
