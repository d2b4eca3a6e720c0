"""Alerts: which thresholds spend has crossed. Each is raised once per scope, period, threshold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from llm_worker.contracts.vocabulary import AlertType
from llm_worker.domain.spend import is_month, month_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from decimal import Decimal

    from llm_worker.domain.budgets import Budgets, Limit
    from llm_worker.domain.spend import Scope

    Cost = Callable[[Scope, str], Decimal]
    """The known cost of a scope in a day or month, USD."""

ALERTS_NAMESPACE: Final = UUID("6f0b8f0e-6f1c-4c53-9b7c-0f3d1c1c7a55")
SPIKE: Final = "rate_spike"
_PAST_DAYS: Final = 7
_PAST_DAYS_NEEDED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A threshold that was crossed; `share` is the part of the limit, None for a spike."""

    alert_type: AlertType
    scope: Scope
    period: str
    current_usd: Decimal
    threshold_usd: Decimal
    threshold: str
    share: Decimal | None = None

    @property
    def alert_id(self) -> UUID:
        """The event's id: the same however often it is found."""
        return alert_id(self.scope, self.period, self.threshold)


def alert_id(scope: Scope, period: str, threshold: str) -> UUID:
    """Name the alert of a scope, a period and a threshold."""
    return uuid5(ALERTS_NAMESPACE, repr((*map(_text, scope), period, threshold)))


def alerts_due(
    scope: Scope, day: str, cost: Cost, budgets: Budgets, raised: Container[UUID]
) -> Iterator[Alert]:
    """Give what a scope has crossed on a day or in its month, and was not raised before."""
    found = [alert for limit in budgets.limits(scope, day) for alert in _crossed(limit, cost)]
    found += _spike(scope, day, cost, budgets.spike_factor)
    # By id: with a limit of 0 all shares are one threshold, and the largest names it.
    by_id = {alert.alert_id: alert for alert in found}
    yield from (alert for each, alert in by_id.items() if each not in raised)


def _crossed(limit: Limit, cost: Cost) -> Iterator[Alert]:
    current = cost(limit.scope, limit.period)
    for share in sorted(limit.alert_shares):
        threshold = limit.limit_usd * share
        if current >= threshold > 0 or (current > 0 and not threshold):
            yield Alert(
                alert_type=_type_of(limit, share),
                scope=limit.scope,
                period=limit.period,
                current_usd=current,
                threshold_usd=threshold,
                threshold=f"{threshold.normalize():f}",
                share=share,
            )


def _type_of(limit: Limit, share: Decimal) -> AlertType:
    if share < 1:
        return AlertType.BUDGET_THRESHOLD
    return AlertType.MONTHLY_LIMIT if is_month(limit.period) else AlertType.DAILY_LIMIT


def judged_months(day: str) -> set[str]:
    """Name the months whose accounts are compared when a day is judged."""
    return {month_of(each) for each in (day, *_days_before(day))}


def _spike(scope: Scope, day: str, cost: Cost, factor: Decimal) -> Iterator[Alert]:
    """Compare a day with those of the week before on which anything was spent."""
    if not factor:
        return
    past = [usd for each in _days_before(day) if (usd := cost(scope, each))]
    if len(past) < _PAST_DAYS_NEEDED:
        return
    threshold, current = factor * sum(past) / len(past), cost(scope, day)
    if current >= threshold:
        yield Alert(
            alert_type=AlertType.RATE_SPIKE,
            scope=scope,
            period=day,
            current_usd=current,
            threshold_usd=threshold,
            threshold=SPIKE,
        )


def _days_before(day: str) -> Iterator[str]:
    today = date.fromisoformat(day)
    days = min(_PAST_DAYS, (today - date.min).days)  # an event may name the calendar's first day
    return ((today - timedelta(days=n)).isoformat() for n in range(1, days + 1))


def _text(part: str | None) -> str | None:
    return None if part is None else str(part)
