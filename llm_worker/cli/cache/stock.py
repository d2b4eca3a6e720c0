"""What Redis holds, added up: a table for people, JSON for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from llm_worker.cli.app import out
from llm_worker.cli.tables import folded, new_table, print_table
from llm_worker.cli.wording import plain_usd

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from rich.table import Table

    from llm_worker.adapters.cache.inventory import Inventory, StoredVerdict
    from llm_worker.domain.cached import CachedVerdict


@dataclass(slots=True, kw_only=True)
class Share:
    """The verdicts of one model."""

    verdicts: int = 0
    size_bytes: int = 0
    known_cost_usd: Decimal = Decimal(0)
    unknown_costs: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None

    def add(self, size_bytes: int, cached: CachedVerdict) -> None:
        """Count one."""
        self.verdicts += 1
        self.size_bytes += size_bytes
        cost_usd = cached.completion.billing.cost_usd
        if cost_usd is None:
            self.unknown_costs += 1
        else:
            self.known_cost_usd += cost_usd
        bought_at = cached.bought_at
        self.oldest = min(self.oldest or bought_at, bought_at)
        self.newest = max(self.newest or bought_at, bought_at)

    def as_json(self) -> dict[str, Any]:
        """Give it to a program; money as decimal text."""
        return {
            "verdicts": self.verdicts,
            "bytes": self.size_bytes,
            "known_cost_usd": plain_usd(self.known_cost_usd),
            "unknown_costs": self.unknown_costs,
            "oldest": self.oldest and self.oldest.isoformat(),
            "newest": self.newest and self.newest.isoformat(),
        }

    def cost(self) -> str:
        """Say what they cost to buy."""
        known = plain_usd(self.known_cost_usd)
        if not self.unknown_costs:
            return known
        if self.unknown_costs == self.verdicts:
            return "unknown"
        return f"{known} + {self.unknown_costs} unknown"


@dataclass(slots=True, kw_only=True)
class Stock:
    """All that Redis holds; `unreadable` are verdicts in the form of another version."""

    shares: dict[tuple[str, str], Share] = field(default_factory=dict)
    unreadable: int = 0
    unreadable_bytes: int = 0
    requests: int = 0

    def add(self, stored: StoredVerdict) -> None:
        """Count one verdict."""
        verdict = stored.verdict
        if verdict is None:
            self.unreadable += 1
            self.unreadable_bytes += stored.size_bytes
            return
        of = (verdict.provider.value, verdict.completion.model)
        self.shares.setdefault(of, Share()).add(stored.size_bytes, verdict)

    def as_json(self) -> dict[str, Any]:
        """Give it to a program."""
        return {
            "models": [
                {"provider": provider, "model": model, **share.as_json()}
                for (provider, model), share in sorted(self.shares.items())
            ],
            "unreadable": {"verdicts": self.unreadable, "bytes": self.unreadable_bytes},
            "requests": self.requests,
        }


async def take_stock(inventory: Inventory) -> Stock:
    """Add up everything."""
    stock = Stock()
    async for stored in inventory.verdicts():
        for each in stored:
            stock.add(each)
    stock.requests = await inventory.count_requests()
    return stock


def show_stock(stock: Stock | None, counters: Mapping[str, Mapping[str, Any]] | None) -> None:
    """Print what Redis holds, and what a worker counted by tier; None is not known."""
    if stock is not None:
        print_table(_stock_table(stock))
        out.print(f"outcomes and claims of {stock.requests} requests")
        if stock.unreadable:
            out.print(
                f"{stock.unreadable} verdicts of another version, {stock.unreadable_bytes} bytes: "
                "nobody here finds them, and they end by their TTL"
            )
    if counters is not None:
        out.print()
        print_table(_counter_table(counters))


def _stock_table(stock: Stock) -> Table:
    table = new_table(
        *folded("provider", "model", "verdicts", "bytes", "USD to buy", "oldest", "newest")
    )
    for (provider, model), share in sorted(stock.shares.items()):
        table.add_row(
            provider,
            escape(model),
            str(share.verdicts),
            str(share.size_bytes),
            share.cost(),
            _minute(share.oldest),
            _minute(share.newest),
        )
    return table


def _counter_table(counters: Mapping[str, Mapping[str, Any]]) -> Table:
    names = list(dict.fromkeys(name for counted in counters.values() for name in counted))
    table = new_table(*folded("worker's tier", *(name.replace("_", " ") for name in names)))
    for tier, counted in counters.items():
        table.add_row(tier, *(str(counted.get(name, "-")) for name in names))
    return table


def _minute(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%MZ}"
