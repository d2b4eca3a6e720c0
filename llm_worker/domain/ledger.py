"""The ledger: from events, in any number of deliveries, to totals that count each once.

Every account says which offset it includes last, so an event that comes again is skipped; one that
stands in the topic twice is known by its id (journal.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from llm_worker.domain.spend import AccountKey, month_before, month_of, rollups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from llm_worker.domain.journal import Journal, Placed
    from llm_worker.domain.spend import Entry, Scope, Source

    _Held: TypeAlias = tuple[AccountKey, "Account"]

KeyT = TypeVar("KeyT")
NEVER: Final = -1
"""The last offset of an account that includes none."""


@dataclass(slots=True, kw_only=True)
class Account:
    """Totals of one scope and period, from one source partition."""

    requests: int = 0
    failures: int = 0
    cache_hits: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    cost_usd: Decimal = Decimal(0)
    unknown_costs: int = 0
    savings_usd: Decimal = Decimal(0)
    last_offset: int = NEVER
    alerts_raised: tuple[str, ...] = ()

    def add(self, entry: Entry | Account, sign: int = 1) -> None:
        """Add what an event or another account has; with `sign` -1 take it back."""
        self.requests += sign * entry.requests
        self.failures += sign * entry.failures
        self.cache_hits += sign * entry.cache_hits
        self.unknown_costs += sign * entry.unknown_costs
        for kind, count in entry.tokens.items():
            self.tokens[kind] = self.tokens.get(kind, 0) + sign * count
        if entry.cost_usd:
            self.cost_usd += sign * entry.cost_usd
        if entry.savings_usd:
            self.savings_usd += sign * entry.savings_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentAccounts:
    """The accounts that were published of late: all of the months from `since` on.

    `as_of` is the present month, or an earlier one in which anything was published last.
    """

    as_of: str
    accounts: Mapping[AccountKey, Account]

    @property
    def since(self) -> str:
        """The month before: from it on no account is left out."""
        return month_before(self.as_of)


def total_of(accounts: Iterable[Account]) -> Account:
    """Add accounts up; where they end, and which alerts they had, is left out."""
    total = Account()
    for account in accounts:
        total.add(account)
    return total


def take_published(held: dict[KeyT, Account], key: KeyT, told: Account | None) -> bool:
    """Take what was published of a key; None takes it away.

    False: the account that is held includes more, and stays. A process that was frozen publishes,
    when it wakes, over what another has gone on from.
    """
    if told is None:
        held.pop(key, None)
    elif key in held and told.last_offset < held[key].last_offset:
        return False
    else:
        held[key] = told
    return True


class Ledger:
    """The accounts of some source partitions, and which of them have changed.

    Args:
        accounts: As they were published last.
    """

    def __init__(self, accounts: Mapping[AccountKey, Account]) -> None:
        self._accounts = dict(accounts)
        self._changed: dict[AccountKey, Account] = {}
        self._found: dict[tuple[Scope, str, Source], tuple[_Held, ...]] = {}

    def take(self, accounts: Mapping[AccountKey, Account]) -> None:
        """Add accounts as they were published; those that are here already are newer."""
        self._accounts = {**accounts, **self._accounts}

    def post(self, source: Source, placed: Placed, replaced: Iterable[Entry] = ()) -> bool:
        """Add an event to its accounts, and take back what it replaces.

        False: every account includes its offset already.
        """
        offset, touched = placed.offset, dict[AccountKey, Account]()
        for entry, sign in ((placed.entry, 1), *((each, -1) for each in replaced)):
            for key, account in self._accounts_of(entry.cell, entry.day, source):
                if offset > account.last_offset:
                    account.add(entry, sign)
                    touched[key] = account
        for account in touched.values():
            account.last_offset = offset
        self._changed |= touched
        return bool(touched)

    def post_once(self, journal: Journal, source: Source, placed: Placed) -> bool:
        """Add an event unless its id is known; False: it, or its offset, is in here already."""
        replaced = journal.note(placed)
        return replaced is not None and self.post(source, placed, replaced)

    def includes(self, source: Source) -> bool:
        """Say whether any account includes anything of a source partition."""
        return any(
            key.source == source and account.last_offset > NEVER
            for key, account in self._accounts.items()
        )

    def account(self, key: AccountKey) -> Account | None:
        """Give the account, if there is one."""
        return self._accounts.get(key)

    def note_alert(self, key: AccountKey, threshold: str) -> None:
        """Say in an account that an alert was raised for it."""
        account = self._accounts.setdefault(key, Account())
        account.alerts_raised = (*account.alerts_raised, threshold)
        self._changed[key] = account

    def changed(self) -> Mapping[AccountKey, Account]:
        """Give the accounts that have changed since `publish`."""
        return self._changed

    def published(self) -> None:
        """Note that the accounts stand on the topic as they are."""
        self._changed = {}

    def forget_before(self, month: str) -> None:
        """Drop what lies before a month, but for what is to be published."""
        self._accounts = {
            key: account
            for key, account in self._accounts.items()
            if month_of(key.period) >= month or key in self._changed
        }
        self._found = {}

    def mark_changed(self, key: AccountKey) -> None:
        """Let an account be published again."""
        if key in self._accounts:
            self._changed[key] = self._accounts[key]

    def __len__(self) -> int:
        return len(self._accounts)

    def __iter__(self) -> Iterator[tuple[AccountKey, Account]]:
        return iter(self._accounts.items())

    def _accounts_of(self, cell: Scope, day: str, source: Source) -> tuple[_Held, ...]:
        found = self._found.get((cell, day, source))
        if found is None:
            keys = [
                AccountKey(scope, period, source)
                for scope in (cell, *rollups(cell))
                for period in (day, month_of(day))
            ]
            found = tuple((key, self._accounts.setdefault(key, Account())) for key in keys)
            self._found[cell, day, source] = found
        return found
