"""Verifying: read the state, then the events, and say what differs and stays so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

from llm_worker.domain.spend import entry_of
from llm_worker.domain.verification import Recomputation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from llm_worker.contracts.envelope import EventEnvelope
    from llm_worker.domain.delivery import PlacedRecord
    from llm_worker.domain.errors import InvalidDeliveryError
    from llm_worker.domain.ledger import Account
    from llm_worker.domain.spend import AccountKey, Source
    from llm_worker.domain.verification import Drift

_TRIES: Final = 3
"""A batch that is half published looks like drift, and does not the next time."""
_PAUSE_S: Final = 2.0


class Totals(Protocol):
    """What was published, and what it was made of."""

    async def accounts(self) -> Mapping[AccountKey, Account]:
        """Give the state as it was published last."""

    def events(self) -> AsyncIterator[PlacedRecord]:
        """Give every record of the source topics, in the order of each partition."""


class Reader(Protocol):
    """Bytes to what they add."""

    def source(self, record: PlacedRecord) -> Source:
        """Say which source partition a record lies in."""

    def event(self, record: PlacedRecord) -> EventEnvelope[Any] | InvalidDeliveryError:
        """Read an event, or say what is wrong with it."""


async def verify(totals: Totals, reader: Reader, *, horizon_ms: int) -> list[Drift]:
    """Give every account that differs from its events."""
    drifts = await _compare(totals, reader, horizon_ms=horizon_ms)
    for _ in range(_TRIES - 1):
        if drifts:
            await asyncio.sleep(_PAUSE_S)
            before = {drift.key for drift in drifts}
            again = await _compare(totals, reader, horizon_ms=horizon_ms)
            drifts = [drift for drift in again if drift.key in before]
    return drifts


async def _compare(totals: Totals, reader: Reader, *, horizon_ms: int) -> list[Drift]:
    recomputation = Recomputation(await totals.accounts(), horizon_ms=horizon_ms)
    async for record in totals.events():
        source = reader.source(record)
        if not recomputation.is_wanted(source, record.offset):
            continue
        event = reader.event(record)
        entry = None if isinstance(event, Exception) else entry_of(event)
        if entry is not None:
            recomputation.add(source, record.offset, record.at_ms, entry)
    return list(recomputation.drifts())
