"""The result of an outcome, as the caller reads it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from llm_worker.contracts.result import ErrorDetail, LLMComparisonResultV1, TokenUsage
from llm_worker.domain.errors import ProviderError
from llm_worker.domain.outcome import Completed
from llm_worker.domain.verdict import cut_at_word, total_cost, total_usage, wire_confidence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from llm_worker.domain.errors import WorkerError
    from llm_worker.domain.outcome import Failed, FinishedAttempt, Rejected, Target
    from llm_worker.domain.request import ComparisonRequest

SERVICE = "llm-worker"
_SHORT_JUSTIFICATION = 80


def completed_result(outcome: Completed) -> LLMComparisonResultV1:
    """Render a verdict."""
    verdict = outcome.completion.verdict
    return LLMComparisonResultV1(
        winner=verdict.winner,
        justification=cut_at_word(verdict.justification),
        confidence=wire_confidence(verdict.confidence),
        **_shared(outcome),
    )


def failed_result(outcome: Failed) -> LLMComparisonResultV1:
    """Render the reason why there is no verdict."""
    request = outcome.request
    details = {"errors": [_of_attempt(finished) for finished in outcome.attempts]}
    return LLMComparisonResultV1(
        error_detail=_error_detail(
            outcome.error,
            correlation_id=request.correlation_id,
            timestamp=outcome.completed_at,
            operation="judge",
            details=_error_facts(outcome.error, outcome.target) | details,
            trace=request.trace,
        ),
        **_shared(outcome),
    )


def rejected_result(outcome: Rejected, correlation_id: UUID) -> LLMComparisonResultV1:
    """Render what is wrong with a request."""
    return LLMComparisonResultV1(
        request_id=str(outcome.request_id),
        correlation_id=correlation_id,
        error_detail=_error_detail(
            outcome.error,
            correlation_id=correlation_id,
            timestamp=outcome.completed_at,
            operation="accept",
            details=_error_facts(outcome.error, outcome.target),
            trace=outcome.trace,
        ),
        provider=outcome.target.provider,
        model=outcome.target.model,
        response_time_ms=0,
        token_usage=TokenUsage(),
        cost_estimate=0.0,
        cost_known=True,
        cached=False,
        attempts=0,
        requested_at=outcome.completed_at,
        completed_at=outcome.completed_at,
        trace_id=trace_id_of(outcome.trace),
        request_metadata=outcome.metadata,
    )


def shrunk(result: LLMComparisonResultV1) -> Iterator[LLMComparisonResultV1]:
    """Give ever smaller forms of a result that is too large for its topic.

    First the request's metadata goes, and the result says so; then the words are cut.
    """
    kept = {k: v for k, v in result.request_metadata.items() if k == "prompt_sha256"}
    without_metadata = result.model_copy(
        update={"request_metadata": kept | {"metadata_dropped": "the result was too large"}}
    )
    yield without_metadata
    words = result.justification
    yield without_metadata.model_copy(
        update={"justification": words and cut_at_word(words, _SHORT_JUSTIFICATION)}
    )


def trace_id_of(trace: dict[str, str]) -> str | None:
    """Read the trace id out of a W3C `traceparent`, None where there is none."""
    return _ids_of(trace)[0]


def _ids_of(trace: dict[str, str]) -> tuple[str, str] | tuple[None, None]:
    parts = trace.get("traceparent", "").split("-")
    return (parts[1], parts[2]) if len(parts) >= 4 else (None, None)  # noqa: PLR2004 - version-trace-span-flags


def _shared(outcome: Completed | Failed) -> dict[str, Any]:
    request: ComparisonRequest = outcome.request
    cost_usd = total_cost(outcome.billings)
    return {
        "request_id": str(request.request_id),
        "correlation_id": request.correlation_id,
        "provider": outcome.target.provider,
        "model": outcome.target.model,
        "response_time_ms": outcome.response_time_ms,
        "token_usage": total_usage(outcome.billings),
        "cost_estimate": float(cost_usd or Decimal(0)),
        "cost_known": cost_usd is not None,
        "cached": outcome.is_cached,
        "attempts": len(outcome.attempts),
        "requested_at": request.requested_at,
        "completed_at": outcome.completed_at,
        "trace_id": trace_id_of(request.trace),
        "request_metadata": request.asked.metadata
        | {"prompt_sha256": request.prompt.sha256}
        | _adjustments(outcome)
        | _payer(outcome),
    }


def _payer(outcome: Completed | Failed) -> dict[str, str]:
    """Name the correlation id that bought a verdict from the cache."""
    if isinstance(outcome, Completed) and outcome.hit is not None:
        return {"bought_by": str(outcome.hit.verdict.bought_by)}
    return {}


def _adjustments(outcome: Completed | Failed) -> dict[str, list[str]]:
    """Say which parameters were left out, over all attempts, or when a cached one was bought."""
    endings = [each.ending for each in outcome.attempts]
    if isinstance(outcome, Completed) and outcome.hit is not None:
        endings = [outcome.completion]
    said = dict.fromkeys(words for ending in endings for words in ending.facts.adjustments)
    return {"adjustments": list(said)} if said else {}


def _error_facts(error: WorkerError, target: Target) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "provider": target.provider,
        "model": target.model,
        "is_retryable": error.is_retryable,
    }
    if isinstance(error, ProviderError):
        facts |= {
            "http_status": error.facts.http_status,
            "retry_after": error.retry_after_s,
            "provider_request_id": error.facts.provider_request_id,
        }
    return facts


def _of_attempt(finished: FinishedAttempt) -> dict[str, Any]:
    error = finished.ending
    if not isinstance(error, ProviderError):
        return {}
    facts = _error_facts(error, finished.attempt.target)
    return facts | {"error_code": error.code, "message": error.message}


def _error_detail(
    error: WorkerError,
    *,
    correlation_id: UUID,
    timestamp: datetime,
    operation: str,
    details: dict[str, Any],
    trace: dict[str, str],
) -> ErrorDetail:
    trace_id, span_id = _ids_of(trace)
    return ErrorDetail(
        error_code=error.code,
        message=error.message,
        correlation_id=correlation_id,
        timestamp=timestamp,
        service=SERVICE,
        operation=operation,
        details=details,
        trace_id=trace_id,
        span_id=span_id,
    )
