"""What was spent, as every process reads it from the accountant's topic."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from llm_worker.domain.ledger import take_published, total_of
from llm_worker.domain.spend import month_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from llm_worker.domain.ledger import Account
    from llm_worker.domain.spend import AccountKey, Scope, Source


class SpendView:
    """The accounts that were published last."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[Scope, str], dict[Source, Account]] = {}
        self._sources: set[Source] = set()
        self._overwritten: dict[AccountKey, int] = {}

    @property
    def overwritten(self) -> Mapping[AccountKey, int]:
        """The accounts whose newest record includes less than one before it: up to which offset."""
        return self._overwritten

    def put(self, key: AccountKey, account: Account | None) -> None:
        """Take what was published; None: the account was taken away."""
        accounts = self._accounts.setdefault((key.scope, key.period), {})
        is_taken = take_published(accounts, key.source, account)
        if account is None or is_taken:
            self._overwritten.pop(key, None)
        else:
            self._overwritten[key] = account.last_offset
        if account is not None:
            self._sources.add(key.source)

    def total(self, scope: Scope, period: str) -> Account:
        """Add up all source partitions."""
        return total_of(self._accounts.get((scope, period), {}).values())

    def cost_usd(
        self, scope: Scope, period: str, *, without: Container[Source] = frozenset()
    ) -> Decimal:
        """Give the known cost, of all source partitions or without some."""
        accounts = self._accounts.get((scope, period), {}).items()
        return sum(
            (account.cost_usd for source, account in accounts if source not in without), Decimal(0)
        )

    def has_other_sources(self, known: Container[Source]) -> bool:
        """Say whether anything comes from a source partition that is not among the known."""
        return any(source not in known for source in self._sources)

    def totals(self, period: str) -> Iterator[tuple[Scope, Account]]:
        """Give every scope's total of a day or month."""
        for (scope, of_period), accounts in self._accounts.items():
            if of_period == period:
                yield scope, total_of(accounts.values())

    def forget_before(self, month: str) -> None:
        """Drop the accounts of days and months that lie before a month."""
        self._accounts = {
            place: accounts
            for place, accounts in self._accounts.items()
            if month_of(place[1]) >= month
        }
        self._overwritten = {
            key: includes
            for key, includes in self._overwritten.items()
            if month_of(key.period) >= month
        }
