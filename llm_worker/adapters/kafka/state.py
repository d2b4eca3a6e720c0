"""How the worker stands with Kafka, and the watchdog that ends it when it is stuck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from llm_worker.adapters.kafka.group_state import GroupState
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, Lane
from llm_worker.domain.watchdog import Progress, stuck_reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from faust.types import TP

    from llm_worker.adapters.kafka.inflight import InFlight
    from llm_worker.application.slots import RunningSlots
    from llm_worker.contracts.topics import TopicCatalog


@dataclass(slots=True, kw_only=True)
class WorkerState(GroupState):
    """Reads the moving parts; changes none but its own memory."""

    topics: TopicCatalog
    in_flight: InFlight
    slots: RunningSlots
    request_deadline_s: float
    is_overloaded: Callable[[Lane], bool]
    _idle_s: float = float("-inf")

    def oldest_age_s(self) -> float:
        """Seconds since the oldest delivery in hand was pulled; 0 with none."""
        since_s = self._in_hand_since_s()
        return 0.0 if since_s is None else self.clock.monotonic() - since_s

    @override
    def stuck_because(self) -> str | None:
        """Say why the worker is stuck, and not merely waiting; None while it is not."""
        return stuck_reason(self.progress())

    def progress(self) -> Progress:
        """Give what the watchdog looks at."""
        pullable, now_s = self._pullable(), self.clock.monotonic()
        if not pullable:
            # Nobody has waited while there was nothing to pull: records that come now are news.
            self._idle_s = now_s
        return Progress(
            oldest_overdue_s=self._overdue_by_fault_s(),
            uncommitted_age_s=self._uncommitted_by_fault_s(),
            pullable=pullable,
            since_pull_s=now_s - max(self.in_flight.last_pull_s, self._idle_s),
        )

    def _pullable(self) -> int:
        """Count the records that wait on the broker for a lane that has room for them."""
        if not self.broker.is_available:
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

    @override
    def _due_after_s(self) -> float:
        return self.request_deadline_s

    @override
    def _in_hand_since_s(self) -> float | None:
        oldest = self.in_flight.oldest()
        return None if oldest is None else oldest.received_s
