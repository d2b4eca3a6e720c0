"""What was spent, as it is published: the view that a process keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_worker.adapters.kafka.spend_codec import read_account
from llm_worker.client.compacted import CompactedTopic
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.spend import day_of, month_before, month_of, recent_since
from llm_worker.domain.spend_view import SpendView
from llm_worker.domain.usage import usage_report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_worker.application.ports import Clock
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.delivery import PlacedRecord


class SpendFeed:
    """Follows the accountant's totals."""

    def __init__(self, options: Mapping[str, Any], topics: TopicCatalog, clock: Clock) -> None:
        self.view = SpendView()
        self._clock = clock
        self._month = self._since = ""
        self._topic = CompactedTopic(
            options,
            topics.on_broker(TopicName.SPEND_STATE),
            self._take,
            since_ms=int(recent_since(clock.now()).timestamp() * 1000),
        )

    async def follow(self) -> None:
        """Follow for ever."""
        await self._topic.follow()

    async def read(self) -> bool:
        """Wait for what was published before the start; False: it takes too long."""
        return await self._topic.read()

    @property
    def is_read(self) -> bool:
        """Whether `view` holds all that was published before the start."""
        return self._topic.is_read

    def usage(self) -> Mapping[str, Any] | None:
        """Describe today and this month; None before the first full read."""
        return usage_report(self.view, self._clock.now()) if self.is_read else None

    def _take(self, record: PlacedRecord) -> None:
        read = read_account(record.key, record.value)
        if read is None:
            return
        key, account = read
        self._forget()
        if month_of(key.period) >= self._since:
            self.view.put(key, account)

    def _forget(self) -> None:
        """Keep this month and the one before it."""
        month = month_of(day_of(self._clock.now()))
        if month != self._month:
            self._month, self._since = month, month_before(month)
            self.view.forget_before(self._since)
