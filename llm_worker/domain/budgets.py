"""Budgets: what may be spent a day and a month, by whom, and what happens at the limit."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from llm_worker.domain.spend import EVERYTHING, Scope, month_of, rollups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EVERY_OTHER: Final = "*"
"""Stands for each organisation, or provider, that has no allowance of its own."""


class WhenOver(StrEnum):
    """What becomes of a request whose target does not fit into a hard limit."""

    REFUSE = "refuse"
    NEXT_TARGET = "next_target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What one scope may spend, in USD; None is without limit.

    `alert_shares` are the parts of each limit that are told when they are reached, 1 is all of it.
    """

    daily_usd: Decimal | None = None
    monthly_usd: Decimal | None = None
    is_hard: bool = False
    alert_shares: tuple[Decimal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a scope may spend in one day or month."""

    scope: Scope
    period: str
    limit_usd: Decimal
    is_hard: bool
    alert_shares: tuple[Decimal, ...]


NO_ALLOWANCE: Final = Allowance()


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Every limit that is set, at one moment."""

    overall: Allowance = NO_ALLOWANCE
    organizations: Mapping[str, Allowance] = field(default_factory=dict)
    providers: Mapping[str, Allowance] = field(default_factory=dict)
    when_over: WhenOver = WhenOver.REFUSE
    spike_factor: Decimal = Decimal(0)

    def limits(self, scope: Scope, day: str) -> tuple[Limit, ...]:
        """Give the limits of a scope on a day, and in its month."""
        allowance = self._allowance(scope)
        of_period = ((day, allowance.daily_usd), (month_of(day), allowance.monthly_usd))
        return tuple(
            Limit(
                scope=scope,
                period=period,
                limit_usd=limit_usd,
                is_hard=allowance.is_hard,
                alert_shares=allowance.alert_shares,
            )
            for period, limit_usd in of_period
            if limit_usd is not None
        )

    def hard_limits(self, cell: Scope, day: str) -> Iterator[Limit]:
        """Give every limit that a call must fit into."""
        for scope in rollups(cell):
            yield from (limit for limit in self.limits(scope, day) if limit.is_hard)

    def _allowance(self, scope: Scope) -> Allowance:
        if scope == EVERYTHING:
            return self.overall
        if scope.organization is not None:
            return _found(self.organizations, scope.organization)
        return _found(self.providers, scope.provider or "")


def _found(allowances: Mapping[str, Allowance], name: str) -> Allowance:
    return allowances.get(name) or allowances.get(EVERY_OTHER) or NO_ALLOWANCE
