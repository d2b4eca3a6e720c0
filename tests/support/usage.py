"""Totals as an accountant would publish them, from the events that lie on the topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.adapters.kafka.spend_codec import SpendCodec
from llm_worker.domain.journal import Placed
from llm_worker.domain.ledger import Ledger
from llm_worker.domain.spend import entry_of
from llm_worker.domain.spend_events import state_event
from tests.support.builders import NOW

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.delivery import PlacedRecord, Record
    from llm_worker.domain.ledger import Account
    from llm_worker.domain.spend import AccountKey


def totals_of(events: Iterable[PlacedRecord], topics: TopicCatalog) -> dict[AccountKey, Account]:
    """Add up events that have an id of their own each."""
    codec, ledger = SpendCodec(topics), Ledger({})
    for record in events:
        event = codec.event(record)
        assert not isinstance(event, Exception)
        entry = entry_of(event)
        assert entry is not None
        placed = Placed(offset=record.offset, at_ms=record.at_ms, entry=entry)
        ledger.post(codec.source(record), placed)
    return dict(ledger)


def state_records(accounts: Mapping[AccountKey, Account], topics: TopicCatalog) -> list[Record]:
    codec = SpendCodec(topics)
    events = (state_event(key, account, NOW, "test") for key, account in accounts.items())
    return [codec.render(event) for event in events]
