"""How a process stands with Kafka: its group, its commits, its event loop."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import structlog

from llm_worker.domain.health import KafkaFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faust.types import TP

    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.adapters.kafka.broker_health import BrokerHealth
    from llm_worker.adapters.kafka.consumer import SafeConsumer
    from llm_worker.application.ports import Clock

EXIT_STUCK = 70
"""The exit code when the watchdog ends the process; a supervisor restarts it."""
_TICK_S = 0.5
_PARKED_S = 300.0
"""How long, beyond what work in hand may take, the group may give us nothing though it is there."""
_ALIVE_S = 60.0
_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class GroupState(ABC):
    """Reads the moving parts; changes none but its own memory."""

    app: DeliveryApp
    broker: BrokerHealth
    clock: Clock
    session_timeout_s: float
    loop_lag_s: float = 0.0
    _stopping_since_s: float | None = None
    _flowed_s: float | None = None
    _unheard_s: float = float("-inf")
    """When the coordinator and the broker were last found to say nothing."""

    @property
    def member_id(self) -> str:
        """Our name in the consumer group; empty while we are no member."""
        return self._consumer.member_id

    def kafka(self) -> KafkaFacts:
        """Give the facts that health is judged from."""
        return KafkaFacts(
            assigned_partitions=len(self.app.assigned()),
            rebalancing=self.app.rebalancing,
            draining=self.app.should_stop,
            publisher_available=self.broker.is_available,
            last_broker_contact_age_s=self._contact_age_s(),
            oldest_delivery_overdue_s=max(0.0, self._overdue_s() or 0.0),
        )

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
            reason = self.parked_because() or self.stuck_because()
            if reason is not None:
                _log.critical("watchdog_ends_process", reason=reason)
                os._exit(EXIT_STUCK)
        self._stopping_since_s = self.clock.monotonic()

    def draining_s(self) -> float:
        """Seconds since the process began to stop; 0 while it does not."""
        since_s = self._stopping_since_s
        return 0.0 if since_s is None else self.clock.monotonic() - since_s

    def parked_because(self) -> str | None:
        """Say why the group gives us no records, and never will; None while it may."""
        now_s, refusal = self.clock.monotonic(), self._consumer.refusal
        is_beating = now_s - self._consumer.last_heartbeat_s < _ALIVE_S
        may_flow = refusal is None and not (self.app.rebalancing and is_beating)
        if may_flow or self._flowed_s is None:
            self._flowed_s = now_s
        if now_s - self._flowed_s <= self._due_after_s() + _PARKED_S:
            return None
        why = "is never complete" if refusal is None else f"was refused ({type(refusal).__name__})"
        return f"the group's rebalance {why}"

    @abstractmethod
    def stuck_because(self) -> str | None:
        """Say why the process is stuck, and not merely waiting; None while it is not."""

    @abstractmethod
    def _due_after_s(self) -> float:
        """Seconds that work in hand may take."""

    @abstractmethod
    def _in_hand_since_s(self) -> float | None:
        """Since when, monotonic, the oldest work is in hand; None with none."""

    def _overdue_s(self, *, earliest_s: float = float("-inf")) -> float | None:
        """Seconds that the oldest work in hand is past its time, as if taken at the earliest then.

        None: there is none in hand.
        """
        since_s = self._in_hand_since_s()
        if since_s is None:
            return None
        return self.clock.monotonic() - max(since_s, earliest_s) - self._due_after_s()

    def _overdue_by_fault_s(self) -> float | None:
        """The same without the time in which the broker took nothing: then all work waits."""
        if not self.broker.is_available:
            return None
        return self._overdue_s(earliest_s=self.broker.available_since_s)

    def _uncommitted_by_fault_s(self) -> float | None:
        """Seconds that something finished waits to be committed, without such a time.

        And without a time in which nobody answered, which the records need not show.
        """
        now_s, contact_age_s = self.clock.monotonic(), self._contact_age_s()
        if contact_age_s is None or contact_age_s >= self.session_timeout_s:
            self._unheard_s = now_s
        age_s = self._consumer.uncommitted_age_s()
        if age_s is None or not self.broker.is_available:
            return None
        return min(age_s, now_s - max(self.broker.available_since_s, self._unheard_s))

    def _spans(self) -> dict[TP, tuple[int | None, int]]:
        return self._consumer.spans() if self.app.assigned() else {}

    @property
    def _consumer(self) -> SafeConsumer:
        return cast("SafeConsumer", self.app.consumer)

    def _contact_age_s(self) -> float | None:
        heard_s = max(self._consumer.last_heartbeat_s, self.broker.last_success_s or 0.0)
        return self.clock.monotonic() - heard_s if heard_s > 0 else None
