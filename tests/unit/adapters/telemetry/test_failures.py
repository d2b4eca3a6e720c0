"""The endings without a verdict that telemetry remembers for the health page."""

from __future__ import annotations

from uuid import UUID

import pytest

from llm_worker.adapters.telemetry.events import WorkerTelemetry
from llm_worker.adapters.telemetry.metrics import Metrics
from llm_worker.contracts.state import RecentFailure
from llm_worker.contracts.vocabulary import ErrorCode
from llm_worker.domain.errors import ProviderDownError
from llm_worker.domain.outcome import LetGo, Rejected, Replayed
from tests.support.builders import (
    NOW,
    TARGET,
    attempt_of,
    body_of,
    codec_of,
    completed_of,
    delivery_of,
    failed_of,
    request_of,
)
from tests.support.fakes import ManualClock


@pytest.fixture
def telemetry() -> WorkerTelemetry:
    return WorkerTelemetry(Metrics(), ManualClock())


def _rejected(value: bytes, key: bytes) -> Rejected:
    rejected = codec_of().decode(delivery_of(value, key=key))
    assert isinstance(rejected, Rejected)
    return rejected


def test_failed_request_is_remembered_by_ids_and_codes(telemetry: WorkerTelemetry) -> None:
    request = request_of()
    error = ProviderDownError("mock is down: Zwiebelkuchen")
    telemetry.handled(
        request.delivery, failed_of(request, error, attempt_of(error), attempt_of(error))
    )
    [failure] = telemetry.failures
    assert failure == RecentFailure(
        at=NOW,
        kind="failed",
        error_code=ErrorCode.SERVICE_UNAVAILABLE,
        correlation_id=request.correlation_id,
        request_id=request.request_id,
        provider=TARGET.provider,
        model=TARGET.model,
        attempts=2,
        dead_letter=True,
    )
    assert "Zwiebelkuchen" not in failure.model_dump_json()


def test_rejected_request_that_can_be_answered_is_no_dead_letter(
    telemetry: WorkerTelemetry,
) -> None:
    rejected = _rejected(b"{", key=str(UUID(int=7)).encode())
    telemetry.handled(rejected.delivery, rejected)
    [failure] = telemetry.failures
    assert (failure.kind, failure.error_code) == ("rejected", ErrorCode.PARSING_ERROR)
    assert (failure.correlation_id, failure.dead_letter) == (UUID(int=7), False)
    assert (failure.provider, failure.model, failure.attempts) == (None, None, 0)


def test_rejected_request_that_nobody_can_be_told_of_is_a_dead_letter(
    telemetry: WorkerTelemetry,
) -> None:
    rejected = _rejected(b"{", key=b"nobody")
    telemetry.handled(rejected.delivery, rejected)
    [failure] = telemetry.failures
    assert (failure.correlation_id, failure.dead_letter) == (None, True)


def test_the_last_fifty_are_remembered_newest_first(telemetry: WorkerTelemetry) -> None:
    requests = [request_of() for _ in range(60)]
    for request in requests:
        telemetry.handled(request.delivery, failed_of(request, ProviderDownError("down")))
    newest = [request.request_id for request in reversed(requests)][:50]
    assert [failure.request_id for failure in telemetry.failures] == newest


def test_verdict_is_no_failure_and_neither_is_what_comes_again(telemetry: WorkerTelemetry) -> None:
    request = request_of(**body_of()["data"])
    for ending in (completed_of(request), Replayed(request=request), LetGo()):
        telemetry.handled(request.delivery, ending)
    assert not telemetry.failures
