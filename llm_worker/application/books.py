"""The books of one generation of the group, and what they are opened from."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Protocol

from llm_worker.application.ports import Renderer
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.alerts import alert_id, judged_months
from llm_worker.domain.analytics import Resumption, Windows
from llm_worker.domain.journal import placed_entry
from llm_worker.domain.ledger import NEVER, Ledger
from llm_worker.domain.spend import AccountKey, month_before, month_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Container, Mapping
    from datetime import datetime
    from uuid import UUID

    from llm_worker.contracts.envelope import EventEnvelope
    from llm_worker.domain.alerts import Alert
    from llm_worker.domain.budgets import Budgets
    from llm_worker.domain.delivery import PlacedRecord
    from llm_worker.domain.errors import InvalidDeliveryError
    from llm_worker.domain.journal import Journal
    from llm_worker.domain.ledger import Account, RecentAccounts
    from llm_worker.domain.spend import Scope, Source
    from llm_worker.domain.spend_view import SpendView

FIRST_WINDOWS_MS: Final = 3_600_000
"""How far back the first start of all looks for usage analytics."""


class SpendReader(Renderer, Protocol):
    """Bytes to events, events to bytes."""

    def source(self, record: PlacedRecord) -> Source:
        """Say which source partition a record lies in."""

    def event(self, record: PlacedRecord) -> EventEnvelope[Any] | InvalidDeliveryError:
        """Read an event, or say what is wrong with it."""


class SpendHistory(Protocol):
    """What the topics hold already."""

    async def recent_accounts(self, now: datetime) -> RecentAccounts:
        """Give the state as it was published last, as far as it is recent."""

    async def accounts(self, months: Container[str] | None = None) -> Mapping[AccountKey, Account]:
        """Give the state as it was published last, of some months or of all: it takes long."""

    async def alerts(self) -> set[UUID]:
        """Give the ids of all alerts that were raised."""

    async def resumption(self) -> Resumption | None:
        """Say where the last published windows ended; None before the first."""

    def before(self, source: Source, offset: int) -> AsyncIterator[PlacedRecord]:
        """Give the records before an offset, as far as ids are known."""

    def all_before(self, source: Source, offset: int) -> AsyncIterator[PlacedRecord]:
        """Give every record before an offset."""


class SpendTelemetry(Protocol):
    """Who is told how the accounting goes."""

    def booked(self, events: int, repeated: int) -> None:
        """Note a batch that is done, and how many of its events were known already."""

    def unreadable(self, record: PlacedRecord, error: InvalidDeliveryError) -> None:
        """Note an event that was set aside."""

    def alerted(self, alert: Alert) -> None:
        """Note an alert that was raised."""

    def opened(self, accounts: int, alerts: int) -> None:
        """Note that the state was read."""

    def overwritten(self, key: AccountKey) -> None:
        """Note that another process has published over an account that is ours."""


@dataclass(slots=True, kw_only=True)
class Books:
    """What one generation of the group has read: only its owner adds to it.

    `month` is the present one. The ledger has every account of the months from `since` on, and of
    those in `earlier`.
    `positions` are the offsets from which on a record is news to the windows, `taken` the last
    ones that came in this generation.
    """

    generation: int
    month: str
    since: str
    history: SpendHistory
    raised: set[UUID]
    windows: Windows
    resumption: Resumption
    ledger: Ledger = field(default_factory=lambda: Ledger({}))
    earlier: set[str] = field(default_factory=set)
    positions: dict[Source, int] = field(default_factory=dict)
    taken: dict[Source, int] = field(default_factory=dict)
    journals: dict[Source, Journal] = field(default_factory=dict)
    reviewed: Budgets | None = None

    def count(
        self, source: Source, record: PlacedRecord, event: EventEnvelope[Any] | Exception
    ) -> None:
        """Put a record into its window, once."""
        offset, at_ms = record.offset, record.at_ms
        if offset < self.positions.get(source, NEVER):
            return
        self.positions[source] = offset + 1
        if isinstance(event, Exception):
            self.windows.skip(source, offset, at_ms)
        elif self.resumption.is_counted(source, offset, at_ms):
            self.windows.skip(source, offset, at_ms, event.event_id)
        else:
            self.windows.add(source, offset, at_ms, event)

    def note(self, source: Source, record: PlacedRecord, event: EventEnvelope[Any]) -> None:
        """Remember the id of an event that the accounts include already."""
        placed = placed_entry(record, event)
        if placed is not None:
            self.journals[source].note(placed)

    async def post(self, source: Source, record: PlacedRecord, event: EventEnvelope[Any]) -> bool:
        """Add an event to its accounts; False: they include it already."""
        placed = placed_entry(record, event)
        if placed is None:
            return True
        replaced = self.journals[source].note(placed)
        if replaced is None:
            return False
        for entry in (placed.entry, *replaced):
            await self._know(entry.day)
        return self.ledger.post(source, placed, replaced)

    async def includes(self, source: Source) -> bool:
        """Say whether any account, however old, includes anything of a source partition."""
        if self.since and not self.ledger.includes(source):
            self.take(await self.history.accounts())
            self.since = ""
        return self.ledger.includes(source)

    def take(self, accounts: Mapping[AccountKey, Account]) -> None:
        """Add accounts as they were published, with the alerts that they have had."""
        self.ledger.take(accounts)
        for key, account in accounts.items():
            self.raised |= {alert_id(key.scope, key.period, each) for each in account.alerts_raised}

    def turn_to(self, month: str) -> None:
        """Take a month as the present one, and forget those that lie before the last.

        Our accounts of a time to come are published again, so that they are recent when it comes:
        whoever reads the state then would not find them otherwise, and begin them at nothing.
        """
        known = min(month, self.month)
        for key, _ in self.ledger:
            if month_of(key.period) > known and key.source in self.journals:
                self.ledger.mark_changed(key)
        self.month, self.since = month, max(self.since, month_before(month))
        self.ledger.forget_before(self.since)
        self.earlier.clear()

    def cost_usd(self, view: SpendView, scope: Scope, period: str) -> Decimal:
        """Give a scope's known cost: of our own partitions as we know it, of others as told."""
        own = [source for source in self.journals if source.topic is TopicName.COST_TRACKING]
        accounts = (self.ledger.account(AccountKey(scope, period, source)) for source in own)
        total = sum((each.cost_usd for each in accounts if each is not None), Decimal(0))
        return total + view.cost_usd(scope, period, without=own)

    async def _know(self, day: str) -> None:
        """Read the accounts that an event of a day needs, where they are not recent."""
        if month_of(day) > self.since:  # the week before it is known too
            return
        lacking = {each for each in judged_months(day) if each < self.since} - self.earlier
        if lacking:
            self.take(await self.history.accounts(lacking))
            self.earlier |= lacking


async def open_books(
    history: SpendHistory, *, generation: int, now: datetime, window_ms: int
) -> Books:
    """Read what was published, as of the month in which that was last done."""
    recent, raised = await history.recent_accounts(now), await history.alerts()
    resumption = await history.resumption() or Resumption(
        from_ms=int(now.timestamp() * 1000) - FIRST_WINDOWS_MS, next_offsets={}
    )
    books = Books(
        generation=generation,
        month=recent.as_of,
        since=recent.since,
        history=history,
        raised=raised,
        windows=Windows(length_ms=window_ms, from_ms=resumption.from_ms),
        resumption=resumption,
    )
    books.take(recent.accounts)
    return books
