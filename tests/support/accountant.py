"""An accountant on topics in memory, where a publish may crash after some records."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import dropwhile
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import orjson

from llm_worker.adapters.kafka.spend_codec import SpendCodec, read_account
from llm_worker.application.accounting import Accounting
from llm_worker.application.publishing import Publishing
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.analytics import Resumption, source_of
from llm_worker.domain.budgets import Budgets
from llm_worker.domain.ledger import RecentAccounts, take_published
from llm_worker.domain.spend import day_of, month_of, recent_since
from llm_worker.domain.spend_view import SpendView
from tests.support.builders import NOW, TOPICS
from tests.support.fakes import FakeSending, ManualClock
from tests.support.spend import COSTS, DAY_MS, record_of
from tests.support.wire import data_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Container, Iterable, Sequence

    from llm_worker.application.ports import Refusal, Sending
    from llm_worker.domain.alerts import Alert
    from llm_worker.domain.delivery import PlacedRecord, Record
    from llm_worker.domain.errors import InvalidDeliveryError
    from llm_worker.domain.ledger import Account
    from llm_worker.domain.spend import AccountKey, Source

WINDOW_MS = 60_000


class CrashError(Exception):
    """The process is gone."""


@dataclass(slots=True)
class FakeTopics:
    """What the broker holds; a publish may crash after some records."""

    horizon_ms: int = DAY_MS
    sources: dict[Source, list[PlacedRecord]] = field(default_factory=dict)
    first_offsets: dict[Source, int] = field(default_factory=dict)
    held: list[Record] = field(default_factory=list)
    crash_after: int | None = None
    whole_reads: int = 0

    def append(
        self, value: bytes | None, source: Source = COSTS, at_ms: int | None = None
    ) -> PlacedRecord:
        records = self.sources.setdefault(source, [])
        records.append(record_of(value, len(records), source=source, at_ms=at_ms))
        return records[-1]

    def pulled(
        self, first: int = 0, end: int | None = None, *, source: Source = COSTS, generation: int = 1
    ) -> list[PlacedRecord]:
        """What a generation of the group is given from an offset on."""
        records = self.sources.get(source, [])[first:end]
        return [replace(record, generation=generation) for record in records]

    async def recent_accounts(self, now: datetime) -> RecentAccounts:
        state = self.of(TopicName.SPEND_STATE)
        as_of = min((now, *map(_written_at, state[-1:])))
        since = recent_since(as_of)
        recent = dropwhile(lambda record: _written_at(record) < since, state)
        return RecentAccounts(as_of=month_of(day_of(as_of)), accounts=_last_of_each(recent))

    async def accounts(self, months: Container[str] | None = None) -> dict[AccountKey, Account]:
        self.whole_reads += 1
        found = _last_of_each(self.of(TopicName.SPEND_STATE))
        return {
            key: account
            for key, account in found.items()
            if months is None or month_of(key.period) in months
        }

    async def alerts(self) -> set[UUID]:
        return {
            UUID(orjson.loads(record.value or b"")["event_id"])
            for record in self.of(TopicName.COST_ALERT)
        }

    async def resumption(self) -> Resumption | None:
        windows = self.windows()
        if not windows:
            return None
        next_offsets = windows[-1]["metadata"]["next_offsets"]
        end = datetime.fromisoformat(windows[-1]["period_end"])
        return Resumption(
            from_ms=int(end.timestamp() * 1000),
            next_offsets={source_of(place): offset for place, offset in next_offsets.items()},
        )

    async def before(self, source: Source, offset: int) -> AsyncIterator[PlacedRecord]:
        records = self.sources.get(source, [])
        near = records[offset : offset + 1] or records[-1:]
        for record in records[:offset]:
            if record.at_ms >= near[0].at_ms - self.horizon_ms:
                yield record

    async def all_before(self, source: Source, offset: int) -> AsyncIterator[PlacedRecord]:
        for record in self.sources.get(source, [])[:offset]:
            yield record

    async def events(self) -> AsyncIterator[PlacedRecord]:
        for source, records in self.sources.items():
            for record in records[self.first_offsets.get(source, 0) :]:
                yield record

    async def ready(self) -> None:
        pass

    async def send(self, record: Record) -> FakeSending:
        return FakeSending(record)

    async def confirm(self, sendings: Sequence[Sending]) -> list[Refusal | None]:
        for sending in sendings:
            if self.crash_after == 0:
                raise CrashError
            if self.crash_after is not None:
                self.crash_after -= 1
            self.held.append(sending.record)
        return [None] * len(sendings)

    def of(self, name: TopicName) -> list[Record]:
        return [record for record in self.held if record.topic == TOPICS.on_broker(name)]

    def windows(self) -> list[dict[str, Any]]:
        return [data_of(record.value) for record in self.of(TopicName.USAGE_ANALYTICS)]


def _written_at(record: Record) -> datetime:
    return datetime.fromisoformat(data_of(record.value)["updated_at"])


def _last_of_each(records: Iterable[Record]) -> dict[AccountKey, Account]:
    found: dict[AccountKey, Account] = {}
    for record in records:
        key, account = read_account(record.key, record.value) or (None, None)
        assert key is not None
        take_published(found, key, account)
    return found


@dataclass(slots=True)
class RecordingSpendTelemetry:
    batches: list[tuple[int, int]] = field(default_factory=list)
    set_aside: list[PlacedRecord] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    openings: list[tuple[int, int]] = field(default_factory=list)
    put_right: list[AccountKey] = field(default_factory=list)

    def booked(self, events: int, repeated: int) -> None:
        self.batches.append((events, repeated))

    def unreadable(self, record: PlacedRecord, _error: InvalidDeliveryError) -> None:
        self.set_aside.append(record)

    def alerted(self, alert: Alert) -> None:
        self.alerts.append(alert)

    def opened(self, accounts: int, alerts: int) -> None:
        self.openings.append((accounts, alerts))

    def overwritten(self, key: AccountKey) -> None:
        self.put_right.append(key)

    def refused(self, record: Record, refusal: Refusal) -> None:
        raise AssertionError(f"{record.topic} refused: {refusal}")


@dataclass(slots=True)
class Accountant:
    """One accountant process: started again, it knows what the topics hold."""

    topics: FakeTopics
    owner: str = field(default_factory=lambda: uuid4().hex)
    budgets: Budgets = field(default_factory=Budgets)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    is_ours: bool = True
    committed: dict[Source, int] = field(default_factory=lambda: {COSTS: 0})
    telemetry: RecordingSpendTelemetry = field(default_factory=RecordingSpendTelemetry)
    view: SpendView = field(default_factory=SpendView)
    heard: int = 0
    accounting: Accounting = field(init=False)

    def __post_init__(self) -> None:
        codec = SpendCodec(TOPICS)
        self.accounting = Accounting(
            reader=codec,
            history=self.topics,
            publishing=Publishing(codec=codec, publisher=self.topics, telemetry=self.telemetry),
            ownership=self,
            view=self.view,
            budgets=lambda: self.budgets,
            clock=self.clock,
            telemetry=self.telemetry,
            spans=self.spans,
            horizon_ms=self.topics.horizon_ms,
            window_ms=WINDOW_MS,
            owner=self.owner,
        )

    def spans(self) -> dict[Source, tuple[int, int]]:
        """Our source partitions: where each is read from, and where it ends."""
        sources = self.topics.sources
        return {each: (at, len(sources.get(each, []))) for each, at in self.committed.items()}

    async def holds(self, _generation: int) -> bool:
        return self.is_ours

    def hear(self) -> None:
        """Take what was published since, as the feed does."""
        for record in self.topics.held[self.heard :]:
            read = read_account(record.key, record.value)
            if record.topic == TOPICS.on_broker(TopicName.SPEND_STATE) and read is not None:
                self.view.put(*read)
        self.heard = len(self.topics.held)
