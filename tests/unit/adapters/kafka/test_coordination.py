"""A join that hangs holds up neither the end of its process nor a commit."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaError,
    NodeNotReadyError,
    RebalanceInProgressError,
)
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import (
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
    SyncGroupResponse_v0,
)

from llm_worker.adapters.kafka.coordination import free_from_joins

_JOIN = JoinGroupRequest("group", 6_000, 60_000, "member", "", "consumer", [])
_SYNC = SyncGroupRequest("group", 1, "member", "", [])
_COMMIT = OffsetCommitRequest("group", 1, "member", -1, [])


class _Coordinator:
    """aiokafka's, as far as it is touched: its client, too."""

    group_id, member_id = "group", "member"
    coordinator_id, generation = 1, 1
    is_silent = False
    refusal: Exception | None = None
    error_code = 0

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.beside: list[object] = []
        self._closing = asyncio.get_running_loop().create_future()
        self._client = self
        free_from_joins(self)

    async def _send_req(self, request: object) -> SyncGroupResponse_v0:
        self.asked.append(request)
        if self.is_silent:
            await asyncio.get_running_loop().create_future()
        return SyncGroupResponse_v0(self.error_code, b"")

    async def send(self, _node_id: int, request: object) -> None:
        """Over another connection than the group's."""
        if self.refusal is not None:
            raise self.refusal
        self.beside.append(request)

    def reset_generation(self) -> None:
        self.member_id = ""


@pytest.fixture
async def coordinator() -> _Coordinator:
    return _Coordinator()


async def _hanging(coordinator: _Coordinator, request: object) -> asyncio.Future[object]:
    coordinator.is_silent, before = True, len(coordinator.asked)
    hanging = asyncio.ensure_future(coordinator._send_req(request))
    while len(coordinator.asked) == before:  # noqa: ASYNC110 - until the task has come so far
        await asyncio.sleep(0)
    return hanging


async def test_join_that_is_answered_passes(coordinator: _Coordinator) -> None:
    assert (await coordinator._send_req(_JOIN)).error_code == 0
    assert not coordinator.beside


@pytest.mark.parametrize("request_", [_JOIN, _SYNC], ids=["join", "sync"])
async def test_join_that_hangs_is_given_up_at_the_end_and_the_group_is_left_beside_it(
    coordinator: _Coordinator, request_: object
) -> None:
    joining = await _hanging(coordinator, request_)
    assert not joining.done()
    coordinator._closing.set_result(None)
    with pytest.raises(KafkaError, match="told to end"):
        await joining
    assert [type(each) for each in coordinator.beside] == [LeaveGroupRequest]
    assert coordinator.member_id == "", "so that it is not left twice"


async def test_group_that_cannot_be_left_holds_up_nobody(coordinator: _Coordinator) -> None:
    coordinator.refusal = NodeNotReadyError()
    joining = await _hanging(coordinator, _JOIN)
    coordinator._closing.set_result(None)
    with pytest.raises(KafkaError, match="told to end"):
        await joining


@pytest.mark.parametrize("request_", [_JOIN, _SYNC], ids=["join", "sync"])
async def test_commit_does_not_wait_behind_a_join(
    coordinator: _Coordinator, request_: object
) -> None:
    await coordinator._send_req(_SYNC)
    joining = await _hanging(coordinator, request_)
    with pytest.raises(RebalanceInProgressError):
        await coordinator._send_req(_COMMIT)
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    coordinator.is_silent = False
    await coordinator._send_req(_COMMIT)
    assert coordinator.asked[-1] is _COMMIT


async def test_only_a_member_of_its_generation_commits(coordinator: _Coordinator) -> None:
    """A broker takes a commit by no generation, -1, where the group is empty."""
    with pytest.raises(IllegalGenerationError):
        await coordinator._send_req(_COMMIT)
    await coordinator._send_req(_SYNC)
    await coordinator._send_req(_COMMIT)
    for coordinator.generation, coordinator.error_code in ((2, 27), (-1, 0)):
        await coordinator._send_req(_SYNC if coordinator.error_code else _JOIN)
        with pytest.raises(IllegalGenerationError):
            await coordinator._send_req(_COMMIT)
    assert coordinator.asked.count(_COMMIT) == 1
