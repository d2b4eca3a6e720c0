"""From settings to circuit breakers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.domain.breaker import CircuitBreaker

if TYPE_CHECKING:
    from llm_worker.settings import Settings


def new_breaker(settings: Settings) -> CircuitBreaker:
    """Make a circuit breaker, closed."""
    return CircuitBreaker(
        failure_threshold=settings.breaker.failure_threshold,
        recovery_timeout_s=settings.breaker.recovery_timeout_s,
    )


def retune(breaker: CircuitBreaker, settings: Settings) -> None:
    """Have a circuit breaker that is in use go by the settings."""
    breaker.retune(
        failure_threshold=settings.breaker.failure_threshold,
        recovery_timeout_s=settings.breaker.recovery_timeout_s,
    )
