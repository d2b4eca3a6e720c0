"""The books of one generation of the group, and what they are opened from."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from llm_worker.application.ports import Renderer
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.journal import placed_entry
from llm_worker.domain.ledger import NEVER
from llm_worker.domain.spend import AccountKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from uuid import UUID

    from llm_worker.contracts.envelope import EventEnvelope
    from llm_worker.domain.alerts import Alert
    from llm_worker.domain.analytics import Resumption, Windows
    from llm_worker.domain.budgets import Budgets
    from llm_worker.domain.delivery import PlacedRecord
    from llm_worker.domain.errors import InvalidDeliveryError
    from llm_worker.domain.journal import Journal
    from llm_worker.domain.ledger import Account, Ledger
    from llm_worker.domain.spend import Scope, Source
    from llm_worker.domain.spend_view import SpendView


class SpendReader(Renderer, Protocol):
    """Bytes to events, events to bytes."""

    def source(self, record: PlacedRecord) -> Source:
        """Say which source partition a record lies in."""

    def event(self, record: PlacedRecord) -> EventEnvelope[Any] | InvalidDeliveryError:
        """Read an event, or say what is wrong with it."""


class SpendHistory(Protocol):
    """What the topics hold already."""

    async def accounts(self) -> Mapping[AccountKey, Account]:
        """Give the state as it was published last."""

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

    `positions` are the offsets from which on a record is news to the windows, `taken` the last
    ones that came in this generation.
    """

    generation: int
    ledger: Ledger
    raised: set[UUID]
    windows: Windows
    resumption: Resumption
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

    def post(self, source: Source, record: PlacedRecord, event: EventEnvelope[Any]) -> bool:
        """Add an event to its accounts; False: they include it already."""
        placed = placed_entry(record, event)
        return placed is None or self.ledger.post_once(self.journals[source], source, placed)

    def cost_usd(self, view: SpendView, scope: Scope, period: str) -> Decimal:
        """Give a scope's known cost: of our own partitions as we know it, of others as told."""
        own = [source for source in self.journals if source.topic is TopicName.COST_TRACKING]
        accounts = (self.ledger.account(AccountKey(scope, period, source)) for source in own)
        total = sum((each.cost_usd for each in accounts if each is not None), Decimal(0))
        return total + view.cost_usd(scope, period, without=own)
