"""What a process knows of spend: the limits that hold, and what was spent by all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from llm_worker.bootstrap.connection import kafka_options
from llm_worker.bootstrap.runtime.settings import RuntimeSettings, follow_control, no_checks
from llm_worker.bootstrap.spend.feed import SpendFeed
from llm_worker.bootstrap.spend.reading import history_of
from llm_worker.contracts.vocabulary import REQUEST_TOPICS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from decimal import Decimal

    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.application.ports import Clock
    from llm_worker.bootstrap.runtime.settings import Checks, ControlledSettings
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.budgets import Budgets
    from llm_worker.domain.spend import Scope
    from llm_worker.settings import Settings

_log = structlog.get_logger(__name__)


class Spending:
    """Follows the control topic and the accountant's totals.

    `runtime` are the settings that follow from the topic; `checks` as it takes them.
    """

    def __init__(
        self,
        settings: Settings,
        topics: TopicCatalog,
        clock: Clock,
        *,
        checks: Checks = no_checks,
    ) -> None:
        options = kafka_options(settings)
        self.feed = SpendFeed(options, topics, clock)
        self.runtime = RuntimeSettings(settings, checks=checks)
        self._control = follow_control(options, topics, self.runtime)
        self.history = history_of(settings)
        self._clock = clock
        self._is_awaited = True

    @property
    def controlled(self) -> ControlledSettings:
        """The settings that can be changed while the process runs, as they hold now."""
        return self.runtime.controlled

    @property
    def followed(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What is to be run for as long as the process lives."""
        return (self.feed.follow, self._control.follow)

    def budgets(self) -> Budgets:
        """Give the limits that hold; the same object until one changes."""
        return self.runtime.budgets

    async def known_spend(self) -> dict[tuple[Scope, str], Decimal]:
        """Give what was spent today and this month, to the last event."""
        return await self.history.known_costs(self._clock.now())

    async def until_read(self) -> None:
        """Wait for the first full read; once, and for a bounded time."""
        if not self._is_awaited:
            return
        read = await asyncio.gather(self._control.read(), self.feed.read())
        is_said, self._is_awaited = not self._is_awaited, False  # by the other lane, meanwhile
        if not all(read) and not is_said:
            _log.warning("begins_with_own_settings", why="control or spend_state is not read yet")


def share_of(app: DeliveryApp, topics: TopicCatalog) -> float:
    """Give our part, 0 to 1, of the request topics' partitions, which may be more than wanted."""
    requests = {topics.on_broker(name): topics[name] for name in REQUEST_TOPICS.values()}
    ours = sum(tp.topic in requests for tp in app.assigned())
    if not ours:
        return 0.0
    counts = (
        app.consumer.topic_partitions(topic) or wanted.partitions
        for topic, wanted in requests.items()
    )
    return min(1.0, ours / sum(counts))
