"""The providers as the health page shows them, those that are not called included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.bootstrap.providers.configured import default_model, is_configured, is_enabled
from llm_worker.bootstrap.providers.routing import lacking
from llm_worker.contracts.state import BreakerTrouble, ProviderState
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.breaker import BreakerState
from llm_worker.domain.provider_view import ProviderView
from llm_worker.domain.spend import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llm_worker.domain.ledger import Account
    from llm_worker.domain.spend_view import SpendView
    from llm_worker.settings import Settings


def provider_states(
    settings: Settings, views: Iterable[ProviderView], spend: SpendView | None, day: str
) -> tuple[ProviderState, ...]:
    """Describe all providers, the enabled ones first, and what the others lack.

    Args:
        settings: As they hold.
        views: Those that can be called, or could if they were enabled.
        spend: What all have spent; None where that is not known.
        day: Today.
    """

    def spent(name: ProviderName) -> Account | None:
        return None if spend is None else spend.total(Scope(provider=name), day)

    known = list(views)
    left_out = set(ProviderName) - {view.name for view in known}
    known += [silent_view(settings, name) for name in ProviderName if name in left_out]
    known.sort(key=lambda view: not view.enabled)
    return tuple(_state(view, _remedy(settings, view), spent(view.name)) for view in known)


def _remedy(settings: Settings, view: ProviderView) -> str | None:
    if view.enabled and view.configured:
        return None
    if view.configured and not settings.use_mock_llm:
        return f"run `llm-worker config set providers.{view.name}.enabled true`"
    return lacking(settings, view.name)


def _state(view: ProviderView, remedy: str | None, spent: Account | None) -> ProviderState:
    return ProviderState(
        name=view.name,
        enabled=view.enabled,
        configured=view.configured,
        remedy=remedy,
        default_model=view.default_model,
        breaker=view.breaker.value,
        breakers=tuple(
            BreakerTrouble(model=model, state=each.state.value, since=each.since)
            for model, each in view.breakers.items()
        ),
        success_rate=view.success_rate,
        attempts=view.attempts,
        failures=view.failures,
        p50_response_ms=view.p50_response_ms,
        p95_response_ms=view.p95_response_ms,
        in_flight=view.in_flight,
        waiting=view.waiting,
        allowed=view.allowed,
        max_in_flight=view.max_in_flight,
        requests_per_minute=view.requests_per_minute,
        requests_left=view.requests_left,
        tokens_per_minute=view.tokens_per_minute,
        tokens_left=view.tokens_left,
        paused_s=view.paused_s,
        last_success=view.last_success,
        last_failure=view.last_failure,
        last_error=view.last_error,
        cost_today_usd=None if spent is None else spent.cost_usd,
        unknown_costs_today=None if spent is None else spent.unknown_costs,
    )


def silent_view(settings: Settings, name: ProviderName) -> ProviderView:
    """Describe a provider that is never called."""
    return ProviderView(
        name=name,
        enabled=is_enabled(settings, name),
        configured=is_configured(settings, name),
        default_model=default_model(settings, name) or None,
        breaker=BreakerState.CLOSED,
        breakers={},
        attempts=0,
        failures=0,
        success_rate=None,
        last_success=None,
        last_failure=None,
        last_error=None,
        average_response_ms=None,
        p50_response_ms=None,
        p95_response_ms=None,
        in_flight=0,
        waiting=0,
        allowed=0,
        max_in_flight=0,
        requests_per_minute=None,
        requests_left=None,
        tokens_per_minute=None,
        tokens_left=None,
        paused_s=0.0,
    )
