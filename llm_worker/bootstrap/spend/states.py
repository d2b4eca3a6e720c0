"""What was spent, against the limits, as the health page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.contracts.state import BudgetState, PeriodSpend
from llm_worker.domain.spend import EVERYTHING, day_of, month_of

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from llm_worker.domain.budgets import Budgets
    from llm_worker.domain.spend_view import SpendView


def budget_state(
    spend: SpendView | None, budgets: Budgets, now: datetime, *, reserved_usd: Decimal
) -> BudgetState:
    """Describe today and this month; without `spend` the totals are not known."""
    overall, day = budgets.overall, day_of(now)
    return BudgetState(
        known=spend is not None,
        hard=overall.is_hard,
        reserved_usd=reserved_usd,
        today=_period(spend, day, overall.daily_usd),
        month=_period(spend, month_of(day), overall.monthly_usd),
    )


def _period(spend: SpendView | None, period: str, limit_usd: Decimal | None) -> PeriodSpend | None:
    if spend is None:
        return None
    total = spend.total(EVERYTHING, period)
    return PeriodSpend(
        period=period,
        requests=total.requests,
        failures=total.failures,
        cost_usd=total.cost_usd,
        unknown_costs=total.unknown_costs,
        savings_usd=total.savings_usd,
        limit_usd=limit_usd,
    )
