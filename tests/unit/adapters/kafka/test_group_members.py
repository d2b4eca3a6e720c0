from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import GroupAuthorizationFailedError
from aiokafka.protocol.admin import DescribeGroupsResponse_v1

from llm_worker.adapters.kafka.group_members import GroupMembers, Member, members_in
from tests.support.apps import Drains, brokerless_app, consumer_of
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_worker.adapters.kafka.app import DeliveryApp

_ALICE = Member(member_id="alice", host="10.0.0.1", partitions={"t": (0, 1)})


@dataclass(slots=True)
class _Broker:
    """Knows one member; notes when it was asked."""

    clock: ManualClock
    asked_at_s: list[float] = field(default_factory=list)
    fault: Exception | None = None

    async def describe(self) -> tuple[Member, ...]:
        self.asked_at_s.append(self.clock.monotonic())
        if self.fault is not None:
            raise self.fault
        return (_ALICE,)


@dataclass(slots=True)
class _App:
    """Sleeps no longer than the clock needs to be advanced; stops after so many seconds."""

    clock: ManualClock
    stops_at_s: float
    meanwhile: Callable[[], object] = lambda: None

    @property
    def should_stop(self) -> bool:
        return self.clock.monotonic() >= self.stops_at_s

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.meanwhile()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def broker(clock: ManualClock) -> _Broker:
    return _Broker(clock)


@pytest.fixture
def members(clock: ManualClock, broker: _Broker) -> GroupMembers:
    return GroupMembers(broker.describe, clock)


def _answer(error_code: int, **assignments: bytes) -> DescribeGroupsResponse_v1:
    members = [
        (name, "llm-worker", "/10.0.0.1", b"", assignment)
        for name, assignment in assignments.items()
    ]
    group = (error_code, "g", "Stable", "consumer", "roundrobin", members)
    return DescribeGroupsResponse_v1(0, [group])


def test_members_are_read_with_their_partitions_in_order() -> None:
    assigned = ConsumerProtocolMemberAssignment(0, [("t", [1, 0]), ("u", [5])], b"").encode()
    assert members_in(_answer(0, alice=assigned)) == (
        Member(member_id="alice", host="10.0.0.1", partitions={"t": (0, 1), "u": (5,)}),
    )


def test_member_of_a_group_that_rebalances_has_no_partition() -> None:
    [member] = members_in(_answer(0, alice=b""))
    assert member.partitions == {}


def test_refusal_is_raised() -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        members_in(_answer(GroupAuthorizationFailedError.errno))


def test_worker_that_is_no_member_has_no_name() -> None:
    with brokerless_app(Drains()) as app:
        consumer, _ = consumer_of(app)
        assert cast("Any", consumer)._thread_of_faust.member_id == ""


async def _run(
    members: GroupMembers,
    clock: ManualClock,
    for_s: float,
    meanwhile: Callable[[], object] = lambda: None,
) -> None:
    app = _App(clock, clock.monotonic() + for_s, meanwhile)
    await members.keep_asking(cast("DeliveryApp", app))


async def test_nobody_is_asked_while_nobody_wants_to_know(
    members: GroupMembers, clock: ManualClock, broker: _Broker
) -> None:
    await _run(members, clock, 100)
    assert broker.asked_at_s == []


async def test_whoever_asks_is_told_a_moment_later(
    members: GroupMembers, clock: ManualClock
) -> None:
    assert members.latest() is None
    await _run(members, clock, 2)
    assert members.latest() == (_ALICE,)


async def test_broker_is_asked_every_ten_seconds_until_nobody_has_asked_for_thirty(
    members: GroupMembers, clock: ManualClock, broker: _Broker
) -> None:
    members.latest()
    await _run(members, clock, 300)
    assert broker.asked_at_s == [0, 10, 20]


async def test_broker_is_asked_for_as_long_as_somebody_looks(
    members: GroupMembers, clock: ManualClock, broker: _Broker
) -> None:
    members.latest()
    await _run(members, clock, 100, meanwhile=members.latest)
    assert broker.asked_at_s == list(range(0, 100, 10))


async def test_answer_of_long_ago_is_not_told_as_the_present_one(
    members: GroupMembers, clock: ManualClock
) -> None:
    members.latest()
    await _run(members, clock, 2)
    clock.advance(60)
    assert members.latest() is None


@pytest.mark.parametrize(
    "fault", [GroupAuthorizationFailedError(), ConnectionRefusedError(), TimeoutError()]
)
async def test_broker_that_does_not_tell_leaves_them_unknown_and_is_asked_again(
    fault: Exception, members: GroupMembers, clock: ManualClock, broker: _Broker
) -> None:
    broker.fault = fault
    members.latest()
    await _run(members, clock, 25, meanwhile=members.latest)
    assert members.latest() is None
    assert broker.asked_at_s == [0, 10, 20]
    broker.fault = None
    await _run(members, clock, 10)
    assert members.latest() == (_ALICE,)
