"""From settings to what may be spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.domain.budgets import Allowance, Budgets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.settings import AllowanceSettings, BudgetSettings


def budgets_of(budget: BudgetSettings) -> Budgets:
    """Give every limit that is set; what an entry leaves out is as it is overall."""
    return Budgets(
        overall=Allowance(
            daily_usd=budget.daily_usd,
            monthly_usd=budget.monthly_usd,
            is_hard=budget.hard,
            alert_shares=budget.alert_shares,
        ),
        organizations=_allowances(budget.organizations, budget),
        providers=_allowances(budget.providers, budget),
        when_over=budget.when_over,
        spike_factor=budget.spike_factor,
    )


def _allowances(
    given: Mapping[str, AllowanceSettings], overall: BudgetSettings
) -> dict[str, Allowance]:
    return {
        name: Allowance(
            daily_usd=each.daily_usd,
            monthly_usd=each.monthly_usd,
            is_hard=overall.hard if each.hard is None else each.hard,
            alert_shares=(overall.alert_shares if each.alert_shares is None else each.alert_shares),
        )
        for name, each in given.items()
    }
