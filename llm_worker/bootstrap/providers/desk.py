"""What the API says of providers, and a trial of one."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

from llm_worker.adapters.web.answers import RequestError
from llm_worker.application.trial import try_out
from llm_worker.contracts.http import ProvidersAnswer, ProviderSummary, ProviderTestAnswer
from llm_worker.contracts.vocabulary import ErrorCode, ProviderName
from llm_worker.domain.breaker import BreakerState
from llm_worker.domain.errors import ProviderError
from llm_worker.domain.spend import EVERYTHING, day_of
from llm_worker.domain.verdict import wire_confidence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_worker.application.ports import Clock, Provider
    from llm_worker.application.routes import Routes
    from llm_worker.bootstrap.spend.feed import SpendFeed
    from llm_worker.domain.outcome import FinishedAttempt
    from llm_worker.domain.provider_view import ProviderView

_log = structlog.get_logger("llm_worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDesk:
    """See Providers.

    `views` gives those that can be called, `silent` describes the others and `lacking` says what
    they need.
    """

    providers: Mapping[ProviderName, Provider]
    views: Callable[[], list[ProviderView]]
    silent: Callable[[ProviderName], ProviderView]
    lacking: Callable[[ProviderName], str]
    routes: Callable[[], Routes]
    feed: SpendFeed
    clock: Clock

    def summary(self) -> ProvidersAnswer:
        """See Providers."""
        views = {view.name: view for view in self.views()}
        today = None
        if self.feed.is_read:
            today = self.feed.view.total(EVERYTHING, day_of(self.clock.now()))
        routes = self.routes()
        return ProvidersAnswer(
            providers=[_summary(views.get(name) or self.silent(name)) for name in ProviderName],
            default_provider=routes.first_target().provider,
            selection_strategy=routes.routing.strategy,
            total_requests_today=today and today.requests,
            total_cost_today=None if today is None else float(today.cost_usd),
        )

    async def try_out(self, name: ProviderName) -> ProviderTestAnswer:
        """See Providers."""
        provider = self.providers.get(name)
        if provider is None:
            raise RequestError(
                HTTPStatus.CONFLICT,
                ErrorCode.CONFIGURATION_ERROR,
                f"provider {name} is not in use: {self.lacking(name)}",
            )
        trial = await try_out(provider, self.clock)
        success, message = _in_words(trial)
        _log.info("provider_tried_out", provider=name, success=success)
        return ProviderTestAnswer(success=success, provider=name, message=message)


def _summary(view: ProviderView) -> ProviderSummary:
    return ProviderSummary(
        name=view.name,
        enabled=view.enabled,
        available=view.enabled and view.configured and view.breaker is not BreakerState.OPEN,
        circuit_breaker_state=view.breaker.value,
        default_model=view.default_model,
        last_success=view.last_success,
        last_failure=view.last_failure,
        failure_count=view.failures,
        average_response_time_ms=view.average_response_ms,
    )


def _in_words(trial: FinishedAttempt) -> tuple[bool, str]:
    ending = trial.ending
    cost_usd = trial.billing.cost_usd if trial.billing else 0
    cost = "of unknown cost" if cost_usd is None else f"for {cost_usd:f} USD"
    if isinstance(ending, ProviderError):
        return False, f"{ending.code}: {ending.message} ({cost})"
    confidence = wire_confidence(ending.verdict.confidence)
    return True, (
        f"{ending.verdict.winner}, confidence {confidence:.1f} of 5, by {ending.model} "
        f"in {trial.response_time_ms} ms {cost}"
    )
