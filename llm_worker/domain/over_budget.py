"""Why a call is refused for its cost, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.domain.budgets import WhenOver
from llm_worker.domain.errors import OverBudgetError
from llm_worker.domain.spend import is_month

if TYPE_CHECKING:
    from llm_worker.domain.budgets import Limit
    from llm_worker.domain.outcome import Target
    from llm_worker.domain.spend import Scope


def over_budget(limit: Limit, when_over: WhenOver) -> OverBudgetError:
    """Refuse a call that does not fit into a limit."""
    of_month = is_month(limit.period)
    error = OverBudgetError(
        f"the limit of {limit.limit_usd:f} USD {_whose(limit.scope)} in {limit.period} leaves no "
        f"room for this call; raise LLM_WORKER_BUDGET__{_setting(limit.scope, is_month=of_month)} "
        f"or wait for the next {'month' if of_month else 'day'}"
    )
    error.may_go_elsewhere = when_over is WhenOver.NEXT_TARGET
    return error


def unpriced(target: Target) -> OverBudgetError:
    """Refuse a call whose cost nobody can tell before."""
    error = OverBudgetError(
        f"model {target.model[:100]!r} of {target.provider} has no known price, and under "
        "LLM_WORKER_BUDGET__HARD only priced models are used; name another model"
    )
    error.may_go_elsewhere = True
    return error


def _whose(scope: Scope) -> str:
    if scope.organization is not None:
        return f"for organization {scope.organization[:100]!r}"
    return f"for provider {scope.provider}" if scope.provider else "for all spend"


def _setting(scope: Scope, *, is_month: bool) -> str:
    if scope.organization is not None:
        return "ORGANIZATIONS"
    if scope.provider is not None:
        return "PROVIDERS"
    return "MONTHLY_USD" if is_month else "DAILY_USD"
