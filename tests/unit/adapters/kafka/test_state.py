"""What the watchdog and health are told of the moving parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest
from aiokafka.errors import GroupAuthorizationFailedError
from faust.types import TP

from llm_worker.adapters.kafka.offsets import OrderedGate
from llm_worker.adapters.kafka.state import WorkerState
from llm_worker.application.slots import RunningSlots
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import Lane
from llm_worker.domain.watchdog import stuck_reason
from tests.support.builders import REQUEST_TOPIC, delivery_of
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.adapters.kafka.broker_health import BrokerHealth
    from llm_worker.adapters.kafka.inflight import InFlight
    from llm_worker.domain.delivery import Delivery

_NORMAL = TP(REQUEST_TOPIC, 0)
_BULK = TP("huleedu.llm_provider.comparison_requested_bulk.v1", 0)


@dataclass(slots=True)
class _Consumer:
    last_heartbeat_s: float = 1_000.0
    uncommitted_s: float | None = None
    refusal: Exception | None = None
    known: dict[TP, tuple[int | None, int]] = field(default_factory=dict)
    fetched: bool = False

    def has_fetched_all(self, _tp: TP) -> bool:
        return self.fetched

    def uncommitted_age_s(self) -> float | None:
        return self.uncommitted_s

    def spans(self) -> dict[TP, tuple[int | None, int]]:
        return self.known


@dataclass(slots=True)
class _App:
    consumer: _Consumer = field(default_factory=_Consumer)
    rebalancing: bool = False
    should_stop: bool = False
    queued: bool = False

    def has_queued(self) -> bool:
        return self.queued

    def assigned(self) -> set[TP]:
        return set(self.consumer.known)


@dataclass(slots=True)
class _InFlight:
    gate: OrderedGate[int] = field(default_factory=OrderedGate)
    full: set[Lane] = field(default_factory=set)
    head: Delivery | None = None
    last_pull_s: float = 1_000.0

    def has_room(self, lane: Lane) -> bool:
        return lane not in self.full

    def oldest(self) -> Delivery | None:
        return self.head


@dataclass(slots=True)
class _Broker:
    is_available: bool = True
    last_success_s: float | None = None
    available_since_s: float = 0.0


@dataclass(slots=True)
class _Bench:
    app: _App = field(default_factory=_App)
    in_flight: _InFlight = field(default_factory=_InFlight)
    broker: _Broker = field(default_factory=_Broker)
    slots: RunningSlots = field(default_factory=lambda: RunningSlots(4, tuple(Lane)))
    clock: ManualClock = field(default_factory=ManualClock)
    overloaded: set[Lane] = field(default_factory=set)

    def state(self) -> WorkerState:
        return WorkerState(
            app=cast("DeliveryApp", self.app),
            topics=load_topics(),
            in_flight=cast("InFlight", self.in_flight),
            slots=self.slots,
            broker=cast("BrokerHealth", self.broker),
            clock=self.clock,
            request_deadline_s=300,
            session_timeout_s=45,
            is_overloaded=self.overloaded.__contains__,
        )


@pytest.fixture
def bench() -> _Bench:
    bench = _Bench()
    bench.clock.advance(1_000)
    bench.app.consumer.known = {_NORMAL: (5, 9), _BULK: (0, 100)}
    return bench


def test_markers_of_transactions_are_no_records_that_wait(bench: _Bench) -> None:
    bench.app.consumer.fetched = True
    assert bench.state().progress().pullable == 0


def test_fetched_records_that_no_agent_pulls_wait(bench: _Bench) -> None:
    bench.app.consumer.fetched = bench.app.queued = True
    assert bench.state().progress().pullable == 104


def test_idle_worker_is_not_stuck_however_long_it_idles(bench: _Bench) -> None:
    bench.app.consumer.known = {_NORMAL: (9, 9)}
    bench.clock.advance(86_400)
    assert bench.state().progress().pullable == 0
    assert stuck_reason(bench.state().progress()) is None


def test_records_on_the_broker_count_as_pullable_where_their_lane_has_room(bench: _Bench) -> None:
    assert bench.state().progress().pullable == 104
    bench.in_flight.full.add(Lane.BULK)
    assert bench.state().progress().pullable == 4


def test_records_that_were_pulled_and_wait_for_their_commit_are_not_pullable(
    bench: _Bench,
) -> None:
    bench.in_flight.gate.add((_NORMAL.topic, 0), 1, 8, 0)
    bench.in_flight.gate.add((_BULK.topic, 0), 1, 99, 0)
    assert bench.state().progress().pullable == 0


async def test_lane_without_a_free_slot_is_not_stuck(bench: _Bench) -> None:
    for lane in Lane:
        while bench.slots.is_free(lane):
            await bench.slots.acquire(lane, 1e12)
    assert bench.state().progress().pullable == 0


def test_nothing_is_pullable_while_the_publisher_is_unavailable(bench: _Bench) -> None:
    bench.broker.is_available = False
    assert bench.state().progress().pullable == 0
    assert not bench.state().kafka().publisher_available


def test_records_that_come_after_a_long_idle_time_are_not_overdue_at_once(bench: _Bench) -> None:
    state = bench.state()
    bench.app.consumer.known = {_NORMAL: (9, 9)}
    bench.clock.advance(86_400)
    assert state.progress().pullable == 0
    bench.app.consumer.known = {_NORMAL: (9, 10)}
    bench.clock.advance(1)
    assert stuck_reason(state.progress()) is None
    bench.clock.advance(301)
    assert stuck_reason(state.progress()) is not None


def test_new_group_on_a_topic_whose_records_have_expired_is_not_stuck(bench: _Bench) -> None:
    bench.app.consumer.known = {_NORMAL: (None, 1_000_000)}
    bench.clock.advance(86_400)
    assert stuck_reason(bench.state().progress()) is None


def test_worker_that_pulls_nothing_of_what_waits_is_stuck(bench: _Bench) -> None:
    bench.clock.advance(301)
    assert "none was pulled for 301 s" in (stuck_reason(bench.state().progress()) or "")


def test_delivery_past_its_deadline_is_told_to_health_and_watchdog(bench: _Bench) -> None:
    bench.in_flight.head = delivery_of(b"", received_s=1_000)
    bench.clock.advance(200)
    assert bench.state().oldest_age_s() == 200
    assert bench.state().kafka().oldest_delivery_overdue_s == 0
    bench.clock.advance(161)
    assert bench.state().kafka().oldest_delivery_overdue_s == 61
    assert "past its deadline" in (stuck_reason(bench.state().progress()) or "")


def test_delivery_that_waits_for_the_broker_is_not_stuck_nor_at_once_when_it_is_back(
    bench: _Bench,
) -> None:
    bench.app.consumer.known = {}
    bench.in_flight.head = delivery_of(b"", received_s=1_000)
    bench.broker.is_available = False
    bench.clock.advance(3_600)
    assert stuck_reason(bench.state().progress()) is None
    assert bench.state().kafka().oldest_delivery_overdue_s == 3_300
    bench.broker.is_available, bench.broker.available_since_s = True, bench.clock.monotonic()
    bench.clock.advance(360)
    assert stuck_reason(bench.state().progress()) is None
    bench.clock.advance(1)
    assert "past its deadline" in (stuck_reason(bench.state().progress()) or "")


def test_what_stays_uncommitted_counts_only_while_the_broker_answers(bench: _Bench) -> None:
    state, bench.app.consumer.uncommitted_s = bench.state(), 61
    assert "uncommitted" in (stuck_reason(state.progress()) or "")
    bench.clock.advance(46)
    assert stuck_reason(state.progress()) is None
    bench.broker.last_success_s = bench.clock.monotonic()
    assert stuck_reason(state.progress()) is None  # it has only just begun to answer again
    last: str | None = None
    for _ in range(61):
        bench.clock.advance(1)
        bench.broker.last_success_s = bench.clock.monotonic()
        last = stuck_reason(state.progress())
    assert "uncommitted" in (last or "")


def test_lag_is_counted_from_the_commit(bench: _Bench) -> None:
    assert bench.state().lags() == {
        (_NORMAL.topic, "0"): 4.0,
        (_BULK.topic, "0"): 100.0,
    }


def test_worker_that_has_not_started_has_neither_partitions_nor_contact(bench: _Bench) -> None:
    bench.app.consumer.known.clear()
    bench.app.consumer.last_heartbeat_s = float("-inf")
    facts = bench.state().kafka()
    assert (facts.assigned_partitions, facts.last_broker_contact_age_s) == (0, None)
    assert bench.state().lags() == {}
    assert bench.state().progress().pullable == 0


def test_records_of_a_lane_that_is_held_back_are_not_missed(bench: _Bench) -> None:
    """Or the watchdog would end a worker whose provider is merely slow."""
    bench.overloaded.add(Lane.BULK)
    assert bench.state().progress().pullable == 4


async def test_process_that_stops_tells_for_how_long(bench: _Bench) -> None:
    state = bench.state()
    assert state.draining_s() == 0
    bench.app.should_stop = True
    await state.watch()
    bench.clock.advance(12)
    assert state.draining_s() == 12


def _after(bench: _Bench, seconds: float) -> str | None:
    state, step_s = bench.state(), 10.0
    assert state.parked_because() is None
    for _ in range(int(seconds / step_s)):
        bench.clock.advance(step_s)
        bench.app.consumer.last_heartbeat_s += step_s
        if reason := state.parked_because():
            return reason
    return None


def test_rebalance_without_end_is_noticed_where_the_group_still_counts_on_us(
    bench: _Bench,
) -> None:
    bench.app.rebalancing = True
    assert _after(bench, 600) is None
    assert _after(bench, 620) == "the group's rebalance is never complete"


def test_rebalance_that_waits_for_the_coordinator_is_no_fault_of_ours(bench: _Bench) -> None:
    bench.app.rebalancing, bench.app.consumer.last_heartbeat_s = True, -100_000.0
    assert _after(bench, 3_600) is None


def test_refusal_that_nobody_asks_for_is_noticed(bench: _Bench) -> None:
    bench.app.consumer.refusal = GroupAuthorizationFailedError()
    reason = "the group's rebalance was refused (GroupAuthorizationFailedError)"
    assert _after(bench, 3_600) == reason


def test_flow_is_no_fault_however_long_it_lasts(bench: _Bench) -> None:
    assert _after(bench, 3_600) is None
