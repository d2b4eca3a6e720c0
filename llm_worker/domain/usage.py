"""Usage: what was spent in a day or month, by whom; for the page, the API and the command."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from llm_worker.domain.ledger import Account
from llm_worker.domain.spend import EVERYTHING, day_of, is_cell, month_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from llm_worker.domain.spend_view import SpendView


class Dimension(StrEnum):
    """What usage can be broken down by: the parts of a scope, by their names."""

    PROVIDER = "provider"
    MODEL = "model"
    ORGANIZATION = "organization"
    LANE = "lane"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLine:
    """The total of one group; `names` has a value for each dimension."""

    names: tuple[str, ...]
    total: Account


def usage_by(view: SpendView, period: str, by: Sequence[Dimension]) -> list[UsageLine]:
    """Break a day or month down, the most expensive group first."""
    groups: dict[tuple[str, ...], Account] = {}
    for scope, account in view.totals(period):
        if is_cell(scope):
            names = tuple(str(getattr(scope, dimension)) for dimension in by)
            groups.setdefault(names, Account()).add(account)
    lines = [UsageLine(names=names, total=total) for names, total in groups.items()]
    return sorted(lines, key=lambda line: (-line.total.cost_usd, line.names))


def usage_report(view: SpendView, now: datetime) -> dict[str, Any]:
    """Describe today and this month, in UTC; money as decimal text."""
    today = day_of(now)
    return {
        name: {
            "period": period,
            "total": in_numbers(view.total(EVERYTHING, period)),
            **{
                f"by_{dimension}": {
                    line.names[0]: in_numbers(line.total)
                    for line in usage_by(view, period, [dimension])
                }
                for dimension in Dimension
            },
        }
        for name, period in (("today", today), ("month", month_of(today)))
    }


def in_numbers(account: Account) -> dict[str, Any]:
    """Write a total down; money as decimal text, exact."""
    return {
        "requests": account.requests,
        "failures": account.failures,
        "cache_hits": account.cache_hits,
        "tokens": dict(account.tokens),
        "cost_usd": f"{account.cost_usd:f}",
        "unknown_costs": account.unknown_costs,
        "savings_usd": f"{account.savings_usd:f}",
    }
