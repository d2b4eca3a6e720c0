"""From topics to what was spent: the accountant's state, alerts and events, read back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from llm_worker.adapters.kafka.spend_codec import SpendCodec, period_of_key, read_account
from llm_worker.bootstrap.connection import catalog, kafka_options
from llm_worker.client.history import read_before, read_last, read_to_end
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.events import LLMCostAlertV1, LLMUsageAnalyticsV1
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.analytics import Resumption, source_of
from llm_worker.domain.journal import Journal, placed_entry
from llm_worker.domain.ledger import Ledger, RecentAccounts, take_published
from llm_worker.domain.spend import SOURCES, Source, day_of, is_cell, month_of, recent_since

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Container, Mapping
    from uuid import UUID

    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.delivery import PlacedRecord
    from llm_worker.domain.ledger import Account
    from llm_worker.domain.spend import AccountKey, Scope
    from llm_worker.settings import Settings

_Alert = EventEnvelope[LLMCostAlertV1]
_Window = EventEnvelope[LLMUsageAnalyticsV1]
_LAST_WINDOWS: Final = 20
_OF_A_BATCH: Final = 10_000
"""Records; the state may lack what a batch that is being published adds."""


def history_of(settings: Settings) -> TopicHistory:
    """Read what an installation's topics hold."""
    horizon_ms = settings.accountant.horizon_s * 1000
    return TopicHistory(kafka_options(settings), catalog(settings), horizon_ms=horizon_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentTotals:
    """The totals and events of this month and the last alone: those of years take hours."""

    history: TopicHistory
    now: datetime

    async def accounts(self) -> Mapping[AccountKey, Account]:
        """See TopicHistory."""
        return (await self.history.recent_accounts(self.now)).accounts

    def events(self) -> AsyncGenerator[PlacedRecord]:
        """See TopicHistory."""
        since = recent_since(self.now, self.history.horizon_ms)
        return self.history.events(since_ms=int(since.timestamp() * 1000))


class TopicHistory:
    """What the topics hold.

    Every method raises the errors of `client.history`.
    """

    def __init__(
        self, options: Mapping[str, Any], topics: TopicCatalog, *, horizon_ms: int
    ) -> None:
        self._options = options
        self._topics = topics
        self.horizon_ms = horizon_ms

    async def recent_accounts(self, now: datetime) -> RecentAccounts:
        """Give the state as it was published last, as far as it is recent."""
        topic = self._topics.on_broker(TopicName.SPEND_STATE)
        last = [record.at_ms async for record in read_last(self._options, topic, at_most=1)]
        moments = (datetime.fromtimestamp(at_ms / 1000, UTC) for at_ms in last)
        # Not by the present month alone: nothing may have been added up for a long time.
        as_of = min((now, *moments))
        since = recent_since(as_of, self.horizon_ms)
        records = read_to_end(self._options, [topic], since_ms=int(since.timestamp() * 1000))
        return RecentAccounts(as_of=month_of(day_of(as_of)), accounts=await _published(records))

    async def accounts(self, months: Container[str] | None = None) -> dict[AccountKey, Account]:
        """Give the state as it was published last, of some months or of all: it takes long."""
        return await _published(self._read(TopicName.SPEND_STATE), months)

    async def alerts(self) -> set[UUID]:
        """Give the ids of all alerts that were raised."""
        found = set()
        async for record in self._read(TopicName.COST_ALERT):
            try:
                found.add(_Alert.model_validate_json(record.value or b"").event_id)
            except ValidationError:
                continue
        return found

    async def before(self, source: Source, offset: int) -> AsyncIterator[PlacedRecord]:
        """Give the records before an offset, as far as ids are known."""
        place = (self._topics.on_broker(source.topic), source.partition)
        async for each in read_before(self._options, place, offset, back_ms=self.horizon_ms):
            yield each

    async def all_before(self, source: Source, offset: int) -> AsyncIterator[PlacedRecord]:
        """Give every record before an offset."""
        topic = self._topics.on_broker(source.topic)
        async for each in read_to_end(self._options, [topic]):
            if each.partition == source.partition and each.offset < offset:
                yield each

    def events(self, *, since_ms: int | None = None) -> AsyncGenerator[PlacedRecord]:
        """Give the records of the source topics, all or since a time, partition by partition.

        `since_ms` is in milliseconds since 1970.
        """
        topics = [self._topics.on_broker(name) for name in SOURCES]
        return read_to_end(self._options, topics, since_ms=since_ms)

    async def known_costs(self, now: datetime) -> dict[tuple[Scope, str], Decimal]:
        """Give what limits compare with, today and this month: the state and what came after it."""
        accounts, today = (await self.recent_accounts(now)).accounts, day_of(now)
        ledger, journals = Ledger(accounts), dict[Source, Journal]()
        codec = SpendCodec(self._topics)
        async for record in self._tail(accounts, month_of(today)):
            event, source = codec.event(record), codec.source(record)
            placed = None if isinstance(event, Exception) else placed_entry(record, event)
            if placed is not None:
                journal = journals.setdefault(source, Journal(self.horizon_ms))
                ledger.post_once(journal, source, placed)
        costs: dict[tuple[Scope, str], Decimal] = {}
        for (scope, period, _), account in ledger:
            if not is_cell(scope) and period in {today, month_of(today)}:
                place = (scope, period)
                costs[place] = costs.get(place, Decimal(0)) + account.cost_usd
        return costs

    def _tail(
        self, accounts: Mapping[AccountKey, Account], month: str
    ) -> AsyncGenerator[PlacedRecord]:
        """Read cost events from where the state ends; too early does no harm."""
        topic, last = self._topics.on_broker(TopicName.COST_TRACKING), dict[Source, int]()
        for key, account in accounts.items():
            last[key.source] = max(account.last_offset, last.get(key.source, 0))
        return read_to_end(
            self._options,
            [topic],
            since_ms=int(datetime.fromisoformat(f"{month}-01T00:00:00Z").timestamp() * 1000),
            offsets={
                (topic, source.partition): max(0, offset - _OF_A_BATCH)
                for source, offset in last.items()
                if source.topic is TopicName.COST_TRACKING
            },
        )

    async def resumption(self) -> Resumption | None:
        """Say where the last published windows ended; None before the first."""
        topic, from_ms = self._topics.on_broker(TopicName.USAGE_ANALYTICS), 0
        next_offsets: dict[Source, int] = {}
        async for record in read_last(self._options, topic, at_most=_LAST_WINDOWS):
            try:
                window = _Window.model_validate_json(record.value or b"").data
                offsets = window.metadata["next_offsets"]
                next_offsets |= {source_of(at): int(next_) for at, next_ in offsets.items()}
            except (ValueError, KeyError, AttributeError):
                continue
            from_ms = max(from_ms, int(window.period_end.timestamp() * 1000))
        return Resumption(from_ms=from_ms, next_offsets=next_offsets) if from_ms else None

    def _read(self, name: TopicName) -> AsyncGenerator[PlacedRecord]:
        return read_to_end(self._options, [self._topics.on_broker(name)])


async def _published(
    records: AsyncIterator[PlacedRecord], months: Container[str] | None = None
) -> dict[AccountKey, Account]:
    found: dict[AccountKey, Account] = {}
    async for record in records:
        if months is not None and month_of(period_of_key(record.key) or "") not in months:
            continue
        read = read_account(record.key, record.value)
        if read is None:
            continue
        take_published(found, *read)
    return found
