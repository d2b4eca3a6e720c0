"""Accounting: a batch of events is added up, what follows is published, and then it is done.

Alerts are told before the state that includes their spend: a crash between the two finds the
same alert again, under its old id, and none is lost.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_worker.application.books import open_books
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.alerts import alerts_due
from llm_worker.domain.event import DeadLetter
from llm_worker.domain.journal import Journal
from llm_worker.domain.ledger import NEVER
from llm_worker.domain.spend import (
    SOURCES,
    AccountKey,
    Scope,
    Source,
    day_of,
    is_cell,
    is_month,
    month_of,
)
from llm_worker.domain.spend_events import alert_event, analytics_event, state_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    from llm_worker.application.books import Books, SpendHistory, SpendReader, SpendTelemetry
    from llm_worker.application.ports import Clock, Ownership
    from llm_worker.application.publishing import Publishing
    from llm_worker.domain.budgets import Budgets
    from llm_worker.domain.delivery import PlacedRecord
    from llm_worker.domain.errors import InvalidDeliveryError
    from llm_worker.domain.event import Event
    from llm_worker.domain.ledger import Ledger
    from llm_worker.domain.spend_view import SpendView

JUDGE: Source = Source(TopicName.COST_TRACKING, 0)
"""Whoever owns this source partition judges thresholds, over all of them."""


@dataclass(slots=True, kw_only=True)
class Accounting:
    """Adds up what the group's partitions hold, each event once.

    Args:
        spans: From which offset on our source partitions are read in this generation, and where
            they end, None while that is not known.
        horizon_ms: How far back repeated event ids are known.
        window_ms: Length of the windows of usage analytics.
        owner: Names this process in what it publishes.
    """

    reader: SpendReader
    history: SpendHistory
    publishing: Publishing
    ownership: Ownership
    view: SpendView
    budgets: Callable[[], Budgets]
    clock: Clock
    telemetry: SpendTelemetry
    spans: Callable[[], Mapping[Source, tuple[int, int | None]]]
    horizon_ms: int
    window_ms: int
    owner: str
    moved_s: float = float("-inf")
    """When, monotonic, it last got on with reading back."""

    _books: Books | None = None

    @property
    def books(self) -> Books | None:
        """What is open, if anything."""
        return self._books

    async def book(self, records: Sequence[PlacedRecord]) -> bool:
        """Add a batch of one generation up; on return the broker holds what follows from it.

        False: the partitions are another's by now, and nothing was published.
        """
        async with self._opened(records[0].generation) as books:
            letters, repeated = await self._add_up(books, records)
            if not await self.ownership.holds(books.generation):
                self._books = None
                return False
            await self._publish(letters)
            await self._raise(books, _changed(books.ledger))
            await self._publish_state(books)
            await self._publish_windows(books)
            self.telemetry.booked(len(records), repeated)
            return True

    async def review(self, generation: int) -> None:
        """Close windows by the clock, and judge today again where limits or others have changed."""
        async with self._opened(generation) as books:
            if not await self.ownership.holds(generation):
                self._books = None
                return
            await self._publish_windows(books)
            await self._raise(books, _changed(books.ledger))
            await self._judge_today(books)
            await self._publish_state(books)

    async def _judge_today(self, books: Books) -> None:
        budgets = self.budgets()
        is_whole = not self.view.has_other_sources(books.journals)
        if books.reviewed is budgets and is_whole:
            return
        books.reviewed = budgets
        today = day_of(self.clock.now())
        periods = (today, month_of(today))
        scopes = {key.scope for key, _ in books.ledger if key.period in periods}
        scopes |= {scope for period in periods for scope, _ in self.view.totals(period)}
        await self._raise(books, {(each, today) for each in scopes if not is_cell(each)})

    @asynccontextmanager
    async def _opened(self, generation: int) -> AsyncIterator[Books]:
        """Give the books; what breaks while they are in use has them opened again."""
        books = await self._open(generation)
        try:
            yield books
        except BaseException:
            self._books = None
            raise

    async def _open(self, generation: int) -> Books:
        """Read what there is for a new generation, unless it is open."""
        now, books = self.clock.now(), self._books
        month = month_of(day_of(now))
        if books is not None and books.generation == generation:
            if books.month != month:
                books.turn_to(month)
            return books
        self._books = None  # never two in memory
        books = await open_books(
            self.history, generation=generation, now=now, window_ms=self.window_ms
        )
        for source, (position, _) in self.spans().items():
            books.windows.begin(source, position)
            await self._read_back(books, source, position)
        books.turn_to(month)
        self._books = books
        self.telemetry.opened(len(books.ledger), len(books.raised))
        return books

    async def _read_back(self, books: Books, source: Source, offset: int) -> None:
        """Learn the ids that lie before an offset, and what no published window has counted.

        Where no account includes anything of what was committed, the state is gone: all is added
        up again.
        """
        books.journals[source] = Journal(self.horizon_ms)
        is_lost = offset > 0 and source.topic in SOURCES and not await books.includes(source)
        records = self.history.all_before if is_lost else self.history.before
        async for record in records(source, offset):
            self.moved_s = self.clock.monotonic()
            event = self.reader.event(record)
            books.count(source, record, event)
            if isinstance(event, Exception):
                continue
            if is_lost:
                await books.post(source, record, event)
            else:
                books.note(source, record, event)
        books.positions[source] = max(offset, books.positions.get(source, NEVER))

    async def _add_up(
        self, books: Books, records: Sequence[PlacedRecord]
    ) -> tuple[list[DeadLetter], int]:
        letters, repeated = [], 0
        for record in records:
            source = self.reader.source(record)
            if record.offset <= books.taken.get(source, NEVER):
                repeated += 1
                continue
            if source not in books.taken and record.offset > books.positions.get(source, NEVER):
                # The commit that we begin at was not known when the books were opened.
                await self._read_back(books, source, record.offset)
            books.taken[source] = record.offset
            event = self.reader.event(record)
            books.count(source, record, event)
            if isinstance(event, Exception):
                self.telemetry.unreadable(record, event)
                letters.append(self._letter(record, event))
            elif not await books.post(source, record, event):
                repeated += 1
        return letters, repeated

    def _put_right(self, books: Books) -> None:
        """Let be published again what another has published over: the topic keeps the newest."""
        for key, includes in self.view.overwritten.items():
            own = books.ledger.account(key) if key.source in books.journals else None
            if own is not None and own.last_offset > includes:
                books.ledger.mark_changed(key)
                self.telemetry.overwritten(key)

    async def _publish_windows(self, books: Books) -> None:
        now_ms, spans = self._now_ms(), self.spans()
        read_to_end = {
            source
            for source, (_, end) in spans.items()
            if end is not None and books.positions.get(source, 0) >= end
        }
        for data in books.windows.closed(now_ms, read_to_end):
            await self._publish([analytics_event(data, self.clock.now())])

    async def _raise(self, books: Books, changed: Iterable[tuple[Scope, str]]) -> None:
        budgets, now = self.budgets(), self.clock.now()
        if JUDGE not in books.journals:
            return

        def cost(scope: Scope, period: str) -> Decimal:
            return books.cost_usd(self.view, scope, period)

        due = {
            alert.alert_id: alert
            for scope, day in changed
            for alert in alerts_due(scope, day, cost, budgets, books.raised)
        }
        await self._publish([alert_event(alert, now) for alert in due.values()])
        for each, alert in due.items():
            books.raised.add(each)
            key = AccountKey(alert.scope, alert.period, JUDGE)
            if books.ledger.account(key) is not None:
                books.ledger.note_alert(key, alert.threshold)
            self.telemetry.alerted(alert)

    async def _publish_state(self, books: Books) -> None:
        self._put_right(books)
        now, changed = self.clock.now(), dict(books.ledger.changed())
        books.ledger.published()
        await self._publish(
            [state_event(key, account, now, self.owner) for key, account in changed.items()]
        )

    async def _publish(self, events: Sequence[Event | DeadLetter]) -> None:
        await self.publishing.publish(
            [self.reader.render(event) for event in events], events=events
        )

    def _now_ms(self) -> int:
        return int(self.clock.now().timestamp() * 1000)

    def _letter(self, record: PlacedRecord, error: InvalidDeliveryError) -> DeadLetter:
        return DeadLetter(
            delivery=record,
            error=error,
            attempts=0,
            spent_usd=None,
            timestamp=self.clock.now(),
        )


def _changed(ledger: Ledger) -> set[tuple[Scope, str]]:
    """Give the scopes that limits can be set for, with the days to judge them on.

    After a crash a month may change alone, its day having been published: it is judged with the
    last day that it has.
    """
    keys = [
        key
        for key in ledger.changed()
        if not is_cell(key.scope) and key.source.topic is TopicName.COST_TRACKING
    ]
    days = {(key.scope, key.period) for key in keys if not is_month(key.period)}
    judged = {(scope, month_of(day)) for scope, day in days}
    alone = {(key.scope, key.period) for key in keys} - days - judged
    return days | {(scope, _last_day(ledger, scope, month)) for scope, month in alone}


def _last_day(ledger: Ledger, scope: Scope, month: str) -> str:
    """Give the last day of a month that a scope has an account of, its first where it has none."""
    days = (
        key.period
        for key, _ in ledger
        if key.scope == scope and month_of(key.period) == month != key.period
    )
    return max(days, default=f"{month}-01")
