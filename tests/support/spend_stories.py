"""Random stories of spending, and what they add up to by the plainest rule there is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.spend import Scope
from tests.support.spend import cost_of, entry_of, lost_of, uid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llm_worker.domain.ledger import Account
    from llm_worker.domain.spend import AccountKey, Entry, Source

DAYS = ("2026-12-30", "2026-12-31", "2027-01-01")
_CELLS = (
    Scope("school", ProviderName.OPENAI, "gpt-5", "normal"),
    Scope("school", ProviderName.ANTHROPIC, "claude", "bulk"),
    Scope("", ProviderName.OPENAI, "gpt-5", "normal"),
)
Totals = dict[tuple[Scope, str], tuple[Decimal, int, int]]
"""Cost, unknown costs and tokens by scope and period; nothing where all are 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One attempt: told by its worker, or by whoever found it lost, or by both; often or once."""

    number: int
    cell: Scope
    day: str
    lost_day: str
    cents: int

    def entry(self, *, is_lost: bool) -> Entry:
        if is_lost:
            return lost_of(uid(self.number), cell=self.cell, day=self.lost_day)
        return entry_of(
            uid(self.number),
            cell=self.cell,
            day=self.day,
            cost_usd=Decimal(self.cents) / 100,
            tokens={"total_tokens": self.cents},
        )

    def value(self, *, is_lost: bool) -> bytes:
        cell = self.cell
        return cost_of(
            uid(self.number),
            at=f"{self.lost_day if is_lost else self.day}T23:59:59.999999Z",
            usd=None if is_lost else self.cents / 100,
            organization_id=cell.organization or None,
            provider=cell.provider,
            model=cell.model,
            token_usage={} if is_lost else {"total_tokens": self.cents},
            outcome="unknown" if is_lost else "success",
            metadata={"lane": cell.lane},
        )


Story = list[tuple[Purchase, bool]]
"""The records of a partition in their order, and which say that the attempt is lost."""

_purchases = st.lists(
    st.tuples(
        st.sampled_from(_CELLS), st.sampled_from(DAYS), st.sampled_from(DAYS), st.integers(0, 500)
    ),
    min_size=1,
    max_size=6,
)


@st.composite
def stories(draw: st.DrawFn, *, most: int = 24) -> Story:
    purchases = [
        Purchase(number=number, cell=cell, day=day, lost_day=lost_day, cents=cents)
        for number, (cell, day, lost_day, cents) in enumerate(draw(_purchases))
    ]
    told = st.tuples(st.sampled_from(purchases), st.booleans())
    return draw(st.lists(told, min_size=1, max_size=most))


def expected(story: Sequence[tuple[Purchase, bool]]) -> Totals:
    """Count each purchase once: as it was told first, or as whoever knew it told it first."""
    by_number: dict[int, list[tuple[Purchase, bool]]] = defaultdict(list)
    for purchase, is_lost in story:
        by_number[purchase.number].append((purchase, is_lost))
    sums: dict[tuple[Scope, str], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for told in by_number.values():
        purchase, _ = told[0]
        is_lost = all(lost for _, lost in told)
        day = purchase.lost_day if is_lost else purchase.day
        cents = Decimal(0 if is_lost else purchase.cents)
        for scope in _scopes_of(purchase.cell):
            for period in (day, day[:7]):
                found = sums[scope, period]
                added = (cents / 100, Decimal(is_lost), cents)
                sums[scope, period] = [a + b for a, b in zip(found, added, strict=True)]
    return {
        place: (usd, int(unknown), int(tokens))
        for place, (usd, unknown, tokens) in sums.items()
        if usd or unknown or tokens
    }


def _scopes_of(cell: Scope) -> list[Scope]:
    scopes = [cell, Scope(), Scope(provider=cell.provider)]
    return [*scopes, Scope(organization=cell.organization)] if cell.organization else scopes


def totals_of(
    accounts: Mapping[AccountKey, Account] | Iterable[tuple[AccountKey, Account]], source: Source
) -> Totals:
    """What accounts say of one source partition."""
    return {
        (key.scope, key.period): totals
        for key, account in dict(accounts).items()
        if key.source == source and any(totals := _numbers(account))
    }


def _numbers(account: Account) -> tuple[Decimal, int, int]:
    return account.cost_usd, account.unknown_costs, account.tokens.get("total_tokens", 0)
