"""What was spent, and what may be: tables for people, JSON for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape

from llm_worker.cli.app import out
from llm_worker.cli.tables import folded, new_table, numbers, print_table
from llm_worker.cli.wording import plain_usd
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.budgets import EVERY_OTHER
from llm_worker.domain.ledger import total_of
from llm_worker.domain.printable import printable
from llm_worker.domain.spend import EVERYTHING, Scope, is_cell, is_month
from llm_worker.domain.spend_view import SpendView
from llm_worker.domain.usage import in_numbers, usage_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.table import Table

    from llm_worker.domain.budgets import Budgets, Limit
    from llm_worker.domain.ledger import Account
    from llm_worker.domain.spend import AccountKey
    from llm_worker.domain.usage import Dimension, UsageLine

_NUMBERS: Final = (
    "requests",
    "failures",
    "cache hits",
    "tokens",
    "cost USD",
    "+ unknown",
    "saved USD",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitInUse:
    """A limit, and what it is compared with."""

    limit: Limit
    spent: Account

    @property
    def share(self) -> float | None:
        """Give the part that is spent for certain; None of nothing."""
        limit_usd = self.limit.limit_usd
        return float(self.spent.cost_usd / limit_usd) if limit_usd else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodUsage:
    """A day or month."""

    period: str
    lines: Sequence[UsageLine]
    limits: Sequence[LimitInUse]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """All that was asked for; without `has_totals` nothing was ever added up."""

    by: Sequence[Dimension]
    periods: Sequence[PeriodUsage]
    has_totals: bool


def usage_of(
    accounts: Mapping[AccountKey, Account],
    periods: Iterable[str],
    by: Sequence[Dimension],
    budgets: Budgets,
) -> Usage:
    """Break published totals down."""
    found, view = [], SpendView()
    for key, account in accounts.items():
        view.put(key, account)
    for period in periods:
        lines = usage_by(view, period, by)
        limits = _limits_in_use(view, period, budgets)
        found.append(PeriodUsage(period=period, lines=lines, limits=limits))
    return Usage(by=by, periods=found, has_totals=bool(accounts))


def _limits_in_use(view: SpendView, period: str, budgets: Budgets) -> list[LimitInUse]:
    """Give the limit on all, then those on providers and organisations, the fullest first."""
    day = f"{period}-01" if is_month(period) else period
    scopes = dict.fromkeys((*_limited(budgets), *(scope for scope, _ in view.totals(period))))
    found = [
        LimitInUse(limit=limit, spent=view.total(scope, period))
        for scope in scopes
        if not is_cell(scope)
        for limit in budgets.limits(scope, day)
        if limit.period == period
    ]
    return sorted(found, key=lambda each: (each.limit.scope != EVERYTHING, -(each.share or 0)))


def _limited(budgets: Budgets) -> Iterable[Scope]:
    """Give the scopes that have limits by name."""
    yield EVERYTHING
    for name in budgets.providers.keys() - {EVERY_OTHER}:
        yield Scope(provider=ProviderName(name))
    for name in budgets.organizations.keys() - {EVERY_OTHER}:
        yield Scope(organization=name)


def show_usage(usage: Usage) -> None:
    """Print each day or month, and its limits."""
    for number, each in enumerate(usage.periods):
        if number:
            out.print()
        if each.lines:
            out.print(f"{each.period}, UTC")
            print_table(_usage_table(usage.by, each.lines), crop=False)
        else:
            out.print(f"{each.period}, UTC: nothing")
        if each.limits:
            print_table(_limits_table(each.limits), crop=False)


def usage_as_json(usage: Usage) -> dict[str, Any]:
    """Give it to a program; money as decimal text, an empty name where none is known."""
    return {
        "by": list(usage.by),
        "periods": [
            {
                "period": each.period,
                "groups": [
                    {**dict(zip(usage.by, line.names, strict=True)), **in_numbers(line.total)}
                    for line in each.lines
                ],
                "total": in_numbers(_total(each.lines)),
                "limits": list(map(_limit_as_json, each.limits)),
            }
            for each in usage.periods
        ],
    }


def _limit_as_json(each: LimitInUse) -> dict[str, Any]:
    scope = each.limit.scope
    return {
        "organization": scope.organization,
        "provider": scope.provider,
        "limit_usd": plain_usd(each.limit.limit_usd),
        "hard": each.limit.is_hard,
        "cost_usd": in_numbers(each.spent)["cost_usd"],
        "unknown_costs": each.spent.unknown_costs,
        "share": each.share,
    }


def scope_in_words(scope: Scope) -> str:
    """Name whose spend it is."""
    parts = zip(Scope._fields, scope, strict=True)
    return ", ".join(f"{what} {_name(name)}" for what, name in parts if name is not None) or "all"


def _usage_table(by: Sequence[Dimension], lines: Sequence[UsageLine]) -> Table:
    table = new_table(*folded(*by), *numbers(*_NUMBERS))
    for line in lines:
        table.add_row(*(escape(_name(name)) for name in line.names), *_cells(line.total))
    table.add_section()
    table.add_row("total", *[""] * (len(by) - 1), *_cells(_total(lines)), style="bold")
    return table


def _limits_table(limits: Iterable[LimitInUse]) -> Table:
    table = new_table(*folded("limit on"), *numbers("USD", "cost USD", "share", ""))
    for each in limits:
        table.add_row(
            escape(scope_in_words(each.limit.scope)),
            plain_usd(each.limit.limit_usd),
            _cost(each.spent),
            _share(each),
            "hard" if each.limit.is_hard else "",
        )
    return table


def _cells(account: Account) -> tuple[str, ...]:
    return (
        str(account.requests),
        str(account.failures),
        str(account.cache_hits),
        _tokens(account),
        plain_usd(account.cost_usd) if _is_known_in_part(account) else "unknown",
        str(account.unknown_costs),
        plain_usd(account.savings_usd),
    )


def _tokens(account: Account) -> str:
    total = account.tokens.get("total_tokens")
    if total is None:
        return "unknown" if account.unknown_costs else "0"
    return str(total)


def _cost(account: Account) -> str:
    if not _is_known_in_part(account):
        return "unknown"
    known = plain_usd(account.cost_usd)
    return f"{known} + unknown" if account.unknown_costs else known


def _is_known_in_part(account: Account) -> bool:
    return bool(account.cost_usd) or not account.unknown_costs


def _share(each: LimitInUse) -> str:
    if each.share is None:
        return "-"
    return f"{'at least ' if each.spent.unknown_costs else ''}{each.share:.1%}"


def _total(lines: Iterable[UsageLine]) -> Account:
    return total_of(line.total for line in lines)


def _name(name: str) -> str:
    return printable(name) or "(none)"
