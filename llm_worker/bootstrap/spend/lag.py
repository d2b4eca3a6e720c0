"""How far the totals are behind the events that they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from llm_worker.client.history import read_last
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.spend import SOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.contracts.topics import TopicCatalog

_TOLERANCE: Final = timedelta(minutes=5)
"""An accountant that runs needs seconds; the clocks of two machines may differ too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendLag:
    """When the newest event and the newest total were written; None where there is none."""

    newest_event: datetime | None
    newest_total: datetime | None

    def complaint(self) -> str | None:
        """Say what is to be done; None if nothing is."""
        if self.newest_event is None:
            return None
        if self.newest_total is None:
            return "nothing was added up yet, and there are events: run `llm-worker accountant`"
        if self.newest_event - self.newest_total <= _TOLERANCE:
            return None
        return (
            f"the newest total is of {_minute(self.newest_total)}, the newest event of "
            f"{_minute(self.newest_event)}: see whether `llm-worker accountant` runs"
        )


async def measure_lag(options: Mapping[str, Any], topics: TopicCatalog) -> SpendLag:
    """Look at the last records alone.

    Raises:
        UnreachableError, MissingTopicError, KafkaRefusalError: It cannot be done.
    """
    events = [await _newest(options, topics.on_broker(name)) for name in SOURCES]
    return SpendLag(
        newest_event=max((each for each in events if each is not None), default=None),
        newest_total=await _newest(options, topics.on_broker(TopicName.SPEND_STATE)),
    )


async def _newest(options: Mapping[str, Any], topic: str) -> datetime | None:
    found = [record.at_ms async for record in read_last(options, topic, at_most=1)]
    return datetime.fromtimestamp(max(found) / 1000, UTC) if found else None


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%MZ}"
