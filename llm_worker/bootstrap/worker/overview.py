"""What the health page shows, from the worker's parts; and what it remembers of the last hour."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final

from llm_worker import __version__
from llm_worker.adapters.kafka.group_members import GroupMembers, describe_group
from llm_worker.adapters.telemetry import catalog
from llm_worker.bootstrap.connection import kafka_options
from llm_worker.bootstrap.process import persistently
from llm_worker.bootstrap.providers.states import provider_states
from llm_worker.bootstrap.spend.states import budget_state
from llm_worker.bootstrap.web.settings_shown import settings_shown
from llm_worker.contracts.state import (
    CacheUse,
    FlowState,
    HealthState,
    HistoryState,
    KafkaLink,
    ServiceState,
    StateV1,
    TopicLag,
    WorkerMember,
)
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, Lane
from llm_worker.domain import history
from llm_worker.domain.spend import day_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from llm_worker.bootstrap.worker.probe import WorkerProbe
    from llm_worker.domain.health import Health
    from llm_worker.settings import Settings

_SAMPLE_S: Final = 1.0
_USD_DIGITS: Final = 9
"""Of a sum of floats: what follows is noise."""


class Overview:
    """Tells the state; reads, and never waits.

    Args:
        settings: The process's own.
        probe: The moving parts.
    """

    def __init__(self, settings: Settings, probe: WorkerProbe) -> None:
        self._settings = settings
        self._probe = probe
        self._parts = probe.parts
        self._clock = probe.parts.clock
        self._members = GroupMembers(
            partial(describe_group, kafka_options(settings), settings.kafka.group), self._clock
        )
        self._worker_id = f"{socket.gethostname()}:{os.getpid()}"
        self._started_at, self._started_s = self._clock.now(), self._clock.monotonic()
        self._history = history.History(history.Reading(at_s=self._started_s, lags={}))
        self._status, self._since = "", self._started_at

    def tasks(self) -> list[Callable[[], Awaitable[None]]]:
        """Give what is to be run for as long as the process lives."""
        app = self._probe.state.app
        return [
            partial(persistently, app, each)
            for each in (self.keep_sampling, partial(self._members.keep_asking, app))
        ]

    def state(self) -> StateV1:
        """Describe everything as of now."""
        now, reading = self._clock.now(), self._reading()
        health, parts = self._probe.health(), self._parts
        controlled = parts.spending.controlled
        spend = parts.spending.feed.view if parts.spending.feed.is_read else None
        return StateV1(
            at=now,
            service=ServiceState(
                name=health.service,
                version=__version__,
                environment=self._settings.environment,
                started_at=self._started_at,
                uptime_s=reading.at_s - self._started_s,
                worker_id=self._worker_id,
            ),
            health=HealthState(
                status=health.status.value,
                since=self._since_when(health),
                warnings=health.warnings,
                ready=health.is_ready,
                not_ready_because=health.not_ready_because,
            ),
            flow=self._flow(reading),
            kafka=_kafka(health),
            workers=self._workers(),
            providers=provider_states(
                controlled.settings, self._probe.providers(), spend, day_of(now)
            ),
            cache=self._cache(health),
            budget=budget_state(
                spend, parts.spending.budgets(), now, reserved_usd=self._probe.budget.reserved_usd
            ),
            failures=tuple(parts.telemetry.failures),
            settings=settings_shown(controlled),
            history=self._hour(now, reading.at_s),
        )

    async def keep_sampling(self) -> None:
        """Take a reading each second, until the app ends."""
        app = self._probe.state.app
        while not app.should_stop:
            self._history.note(self._reading())
            self._since_when(self._probe.health())
            await app.sleep(_SAMPLE_S)

    def _reading(self) -> history.Reading:
        metrics, slots = self._parts.metrics, self._parts.slots
        return history.Reading(
            at_s=self._clock.monotonic(),
            verdicts=int(metrics.total(catalog.DELIVERIES, ending="completed")),
            failures=int(
                metrics.total(catalog.DELIVERIES, ending="failed")
                + metrics.total(catalog.DELIVERIES, ending="rejected")
            ),
            cost_usd=metrics.total(catalog.COST),
            running_calls=sum(map(slots.running, Lane)),
            lags=self._lags(),
        )

    def _lags(self) -> dict[str, history.TopicLag]:
        found: dict[str, dict[int, int]] = {}
        for (topic, partition), records in self._probe.state.lags().items():
            found.setdefault(topic, {})[int(partition)] = int(records)
        return {
            topic: history.TopicLag(partitions=frozenset(lags), records=sum(lags.values()))
            for topic, lags in found.items()
        }

    def _since_when(self, health: Health) -> datetime:
        if health.status != self._status:
            self._status = health.status
            self._since = self._clock.now()
        return self._since

    def _flow(self, now: history.Reading) -> FlowState:
        in_flight = self._probe.in_flight
        replayed = self._parts.metrics.total(catalog.DELIVERIES, ending="replayed")
        return FlowState(
            verdicts_per_minute=self._history.verdicts_per_minute(now),
            failures_per_minute=self._history.failures_per_minute(now),
            running_calls=now.running_calls,
            max_in_flight=self._parts.slots.total,
            in_hand=sum(map(in_flight.held, Lane)),
            window=in_flight.window,
            oldest_s=self._probe.state.oldest_age_s(),
            duplicates_answered=int(replayed),
            lag=tuple(self._lag(lane, now) for lane in Lane),
        )

    def _lag(self, lane: Lane, now: history.Reading) -> TopicLag:
        topic = self._parts.topics.on_broker(REQUEST_TOPICS[lane])
        lag = now.lags.get(topic, history.NO_LAG)
        per_minute = self._history.lag_per_minute(topic, now)
        return TopicLag(
            topic=topic,
            lane=lane,
            partitions=len(lag.partitions),
            records=lag.records,
            per_minute=per_minute,
            drains_in_s=history.drains_in_s(lag.records, per_minute),
        )

    def _workers(self) -> tuple[WorkerMember, ...] | None:
        members = self._members.latest()
        if members is None:
            return None
        own = self._probe.state.member_id
        return tuple(
            WorkerMember(
                id=member.member_id,
                host=member.host,
                is_this=member.member_id == own,
                partitions=dict(member.partitions),
            )
            for member in members
        )

    def _cache(self, health: Health) -> CacheUse:
        metrics, facts = self._parts.metrics, health.facts.cache
        # Whoever asks Redis has asked the local tier before.
        lookups = int(metrics.total(catalog.CACHE_LOOKUPS, tier="local"))
        hits = int(metrics.total(catalog.CACHE_LOOKUPS, result="hit"))
        savings = round(metrics.total(catalog.CACHE_SAVINGS), _USD_DIGITS)
        local = self._parts.memory.local_verdicts
        return CacheUse(
            mode="local" if facts.cache_mode == "local" else "redis",
            redis_available=facts.redis_available,
            redis_failures=facts.redis_failure_count,
            lookups=lookups,
            hits=hits,
            hit_rate=hits / lookups if lookups else None,
            savings_usd=Decimal(str(savings)),
            local_verdicts=len(local),
            local_bytes=local.size_bytes,
        )

    def _hour(self, now: datetime, now_s: float) -> HistoryState:
        hour = self._history.hour()
        return HistoryState(
            step_s=history.STEP_S,
            until=now - timedelta(seconds=now_s - hour.ended_s),
            verdicts=hour.verdicts,
            failures=hour.failures,
            lag=hour.lag,
            running_calls=hour.running_calls,
            cost_usd=tuple(
                None if usd is None else round(usd, _USD_DIGITS) for usd in hour.cost_usd
            ),
        )


def _kafka(health: Health) -> KafkaLink:
    facts = health.facts.kafka
    return KafkaLink(
        last_contact_s=facts.last_broker_contact_age_s,
        assigned_partitions=facts.assigned_partitions,
        rebalancing=facts.rebalancing,
        draining=facts.draining,
        publisher_available=facts.publisher_available,
    )
