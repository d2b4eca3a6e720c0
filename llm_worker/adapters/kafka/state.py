"""How the worker stands with Kafka, and the watchdog that ends it when it is stuck."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import structlog
from faust.exceptions import ConsumerNotStarted

from llm_worker.contracts.vocabulary import REQUEST_TOPICS, Lane
from llm_worker.domain.health import KafkaFacts
from llm_worker.domain.watchdog import Progress, stuck_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from faust.types import TP

    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.adapters.kafka.consumer import SafeConsumer
    from llm_worker.adapters.kafka.inflight import InFlight
    from llm_worker.adapters.kafka.publisher import KafkaPublisher
    from llm_worker.application.ports import Clock
    from llm_worker.application.slots import RunningSlots
    from llm_worker.contracts.topics import TopicCatalog

EXIT_STUCK = 70
"""The exit code when the watchdog ends the process; a supervisor restarts it."""
_TICK_S = 0.5
_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class WorkerState:
    """Reads the moving parts; changes none but its own memory."""

    app: DeliveryApp
    topics: TopicCatalog
    in_flight: InFlight
    slots: RunningSlots
    publisher: KafkaPublisher
    clock: Clock
    request_deadline_s: float
    session_timeout_s: float
    is_overloaded: Callable[[Lane], bool]
    loop_lag_s: float = 0.0
    _idle_s: float = float("-inf")

    def kafka(self) -> KafkaFacts:
        """Give the facts that health is judged from."""
        return KafkaFacts(
            assigned_partitions=len(self._assigned()),
            rebalancing=self.app.rebalancing,
            draining=self.app.should_stop,
            publisher_available=self.publisher.is_available,
            last_broker_contact_age_s=self._contact_age_s(),
            oldest_delivery_overdue_s=max(0.0, self._overdue_s() or 0.0),
        )

    def oldest_age_s(self) -> float:
        """Seconds since the oldest delivery in hand was pulled; 0 with none."""
        oldest = self.in_flight.oldest()
        return 0.0 if oldest is None else self.clock.monotonic() - oldest.received_s

    def lags(self) -> Mapping[tuple[str, ...], float]:
        """Count the records behind our commit, by topic and partition."""
        return {
            (tp.topic, str(tp.partition)): float(max(0, end - (committed or 0)))
            for tp, (committed, end) in self._spans().items()
        }

    async def watch(self) -> None:
        """Measure the event loop, and end the process when it is stuck. Ends with the app."""
        while not self.app.should_stop:
            due_s = self.clock.monotonic() + _TICK_S
            await self.app.sleep(_TICK_S)
            self.loop_lag_s = max(0.0, self.clock.monotonic() - due_s)
            reason = stuck_reason(self.progress())
            if reason is not None:
                _log.critical("watchdog_ends_process", reason=reason)
                os._exit(EXIT_STUCK)

    def progress(self) -> Progress:
        """Give what the watchdog looks at."""
        contact_age_s, pullable = self._contact_age_s(), self._pullable()
        now_s = self.clock.monotonic()
        if not pullable:
            # Nobody has waited while there was nothing to pull: records that come now are news.
            self._idle_s = now_s
        return Progress(
            oldest_overdue_s=self._overdue_s(),
            uncommitted_age_s=self._consumer.uncommitted_age_s(),
            broker_answers=contact_age_s is not None and contact_age_s < self.session_timeout_s,
            pullable=pullable,
            since_pull_s=now_s - max(self.in_flight.last_pull_s, self._idle_s),
        )

    def _pullable(self) -> int:
        """Count the records that wait on the broker for a lane that has room for them."""
        if not self.publisher.is_available:
            return 0
        lanes = [
            lane
            for lane in Lane
            if self.slots.is_free(lane)
            and self.in_flight.has_room(lane)
            and not self.is_overloaded(lane)
        ]
        topics = {self.topics.on_broker(REQUEST_TOPICS[lane]) for lane in lanes}
        return sum(
            self._unpulled(tp, committed, end)
            for tp, (committed, end) in self._spans().items()
            if tp.topic in topics
        )

    def _unpulled(self, tp: TP, committed: int | None, end: int) -> int:
        start = self.in_flight.gate.next_offset((tp.topic, tp.partition)) or committed
        # Without either, the log may begin anywhere: its end alone tells nothing.
        if start is None or start >= end:
            return 0
        # The markers of a producer's transactions take offsets, and are never pulled.
        only_markers = self._consumer.has_fetched_all(tp) and not self.app.has_queued()
        return 0 if only_markers else end - start

    def _spans(self) -> dict[TP, tuple[int | None, int]]:
        return self._consumer.spans() if self._assigned() else {}

    @property
    def _consumer(self) -> SafeConsumer:
        return cast("SafeConsumer", self.app.consumer)

    def _assigned(self) -> AbstractSet[TP]:
        try:
            return self._consumer.assignment()
        except ConsumerNotStarted:
            return frozenset()

    def _overdue_s(self) -> float | None:
        oldest = self.in_flight.oldest()
        if oldest is None:
            return None
        return self.clock.monotonic() - oldest.received_s - self.request_deadline_s

    def _contact_age_s(self) -> float | None:
        heard_s = max(self._consumer.last_heartbeat_s, self.publisher.last_success_s or 0.0)
        return self.clock.monotonic() - heard_s if heard_s > 0 else None
