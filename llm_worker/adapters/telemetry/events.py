"""One log line and a few numbers for each thing that ended."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, assert_never

import structlog

from llm_worker.adapters.telemetry.failures import KEPT, failure_of
from llm_worker.adapters.telemetry.refusals import LoggedRefusals
from llm_worker.domain.errors import ProviderError
from llm_worker.domain.outcome import Completed, Failed, LetGo, Rejected, Replayed
from llm_worker.domain.results import trace_id_of
from llm_worker.domain.verdict import total_cost

if TYPE_CHECKING:
    from llm_worker.adapters.telemetry.catalog import Ending as EndingName
    from llm_worker.adapters.telemetry.metrics import Metrics
    from llm_worker.application.ports import Clock
    from llm_worker.contracts.state import RecentFailure
    from llm_worker.domain.breaker import BreakerState
    from llm_worker.domain.delivery import Delivery
    from llm_worker.domain.outcome import Attempt, Ending, FinishedAttempt, Target
    from llm_worker.domain.request import ComparisonRequest

_log = structlog.get_logger("llm_worker")


class WorkerTelemetry(LoggedRefusals):
    """Counts and logs. No line holds essay or prompt text: ids, codes and numbers only."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self.failures: deque[RecentFailure] = deque(maxlen=KEPT)
        """The last endings without a verdict, newest first."""

    def attempted(self, request: ComparisonRequest, finished: FinishedAttempt) -> None:
        """Note a call to a provider; one line for each that failed or whose cost is unknown."""
        target, ending = finished.attempt.target, finished.ending
        outcome = ending.failure if isinstance(ending, ProviderError) else "success"
        self._metrics.attempt_ended(target.provider, target.model, outcome)
        if finished.billing is not None:
            self._metrics.cost_incurred(target.provider, target.model, finished.billing.cost_usd)
            self._metrics.tokens_used(target.provider, target.model, finished.billing.usage)
        if isinstance(ending, ProviderError):
            _log.info(
                "attempt_failed",
                error_code=ending.code,
                why=ending.message,
                http_status=ending.facts.http_status,
                sent=ending.is_sent,
                **_call_facts(request, finished),
            )
        elif ending.billing.cost_usd is None:
            _log.info("attempt_of_unknown_cost", **_call_facts(request, finished))

    def breaker_moved(self, target: Target, state: BreakerState) -> None:
        """Note that a target's circuit breaker has changed its state."""
        self._metrics.breaker_changed(target.provider, target.model, state)
        _log.warning(
            "circuit_breaker", provider=target.provider, model=target.model, state=state.value
        )

    def handled(self, delivery: Delivery, ending: Ending) -> None:
        """Note how a delivery ended."""
        name, facts = _described(ending)
        elapsed_s = self._clock.monotonic() - delivery.received_s
        self._metrics.delivery_ended(delivery.lane, name, elapsed_s)
        failure = failure_of(ending)
        if failure is not None:
            self.failures.appendleft(failure)
            if failure.dead_letter:
                self._metrics.dead_lettered(failure.error_code)
        if isinstance(ending, Completed) and ending.hit is not None:
            self._metrics.cache_saved(ending.hit.tier, ending.hit.verdict.saved_usd)
        _log.info("delivery", ending=name, ms=round(elapsed_s * 1000), **_place(delivery), **facts)

    def attempt_lost(self, request: ComparisonRequest, attempt: Attempt) -> None:
        """Note a call of a process that is gone: nobody knows how it ended."""
        target = attempt.target
        self._metrics.attempt_lost(target.provider, target.model)
        _log.warning(
            "attempt_lost",
            **_ids(request),
            attempt_id=str(attempt.attempt_id),
            provider=target.provider,
            model=target.model,
            cost_usd="unknown",
        )

    def superseded(self, request: ComparisonRequest) -> None:
        """Note that a verdict was thrown away, since another process's was first."""
        self._metrics.superseded()
        _log.warning("superseded", **_ids(request))

    def redis_answered(self, seconds: float, error: str | None) -> None:
        """Note a round trip to Redis."""
        self._metrics.redis_answered(seconds, error)

    def redis_breaker_moved(self, state: BreakerState) -> None:
        """Note that Redis is left alone, tried, or asked again."""
        _log.warning("redis_breaker", state=state.value)

    def faulted(self, delivery: Delivery | None, error: Exception) -> None:
        """Note a defect of ours, with its traceback."""
        _log.error("fault", exc_info=error, **(_place(delivery) if delivery else {}))


def _call_facts(request: ComparisonRequest, finished: FinishedAttempt) -> dict[str, Any]:
    target = finished.attempt.target
    return {
        **_ids(request),
        "provider": target.provider,
        "model": target.model,
        "attempt": finished.attempt.number,
        "provider_request_id": finished.ending.facts.provider_request_id,
        "cost_usd": _cost_in_words(finished),
    }


def _cost_in_words(finished: FinishedAttempt) -> str:
    if finished.billing is None:
        return "0"
    cost_usd = finished.billing.cost_usd
    return "unknown" if cost_usd is None else str(cost_usd)


def _ids(request: ComparisonRequest) -> dict[str, Any]:
    return {
        "correlation_id": str(request.correlation_id),
        "request_id": str(request.request_id),
        **_trace(request.trace),
    }


def _trace(trace: dict[str, str]) -> dict[str, str]:
    trace_id = trace_id_of(trace)
    return {} if trace_id is None else {"trace_id": trace_id}


def _place(delivery: Delivery) -> dict[str, Any]:
    return {
        "lane": delivery.lane,
        "topic": delivery.topic,
        "partition": delivery.partition,
        "offset": delivery.offset,
    }


def _described(ending: Ending) -> tuple[EndingName, dict[str, Any]]:
    match ending:
        case Completed() | Failed():
            cost_usd = total_cost(ending.billings)
            facts: dict[str, Any] = {
                **_ids(ending.request),
                "provider": ending.target.provider,
                "model": ending.target.model,
                "attempts": len(ending.attempts),
                "cost_usd": "unknown" if cost_usd is None else str(cost_usd),
            }
            if isinstance(ending, Completed) and ending.hit is not None:
                facts["cache"] = ending.hit.tier
            if ending.attempts:
                last = ending.attempts[-1].ending.facts
                facts["provider_request_id"] = last.provider_request_id
            if isinstance(ending, Completed):
                return "completed", facts
            return "failed", facts | {"error_code": ending.error.code, "why": ending.error.message}
        case Rejected():
            return "rejected", {
                "correlation_id": ending.correlation_id and str(ending.correlation_id),
                **_trace(ending.trace),
                "error_code": ending.error.code,
                "why": ending.error.message,
            }
        case Replayed():
            return "replayed", _ids(ending.request)
        case LetGo():
            return "let_go", {}
        case _:
            assert_never(ending)
