"""A join that hangs holds up neither the end of its process nor a commit."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError, NodeNotReadyError
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

from llm_worker.adapters.kafka.coordination import free_from_joins

_JOIN = JoinGroupRequest("group", 6_000, 60_000, "member", "", "consumer", [])
_SYNC = SyncGroupRequest("group", 1, "member", "", [])
_COMMIT = OffsetCommitRequest("group", 1, "member", -1, [])


class _Coordinator:
    """aiokafka's, as far as it is touched: its client, too."""

    group_id, member_id = "group", "member"
    coordinator_id: int | None = 1
    is_silent = False
    refusal: Exception | None = None

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.beside: list[object] = []
        self._closing = asyncio.get_running_loop().create_future()
        self._client = self
        free_from_joins(self)

    async def _send_req(self, request: object) -> str:
        self.asked.append(request)
        if self.is_silent:
            await asyncio.get_running_loop().create_future()
        return "answer"

    async def send(self, _node_id: int, request: object) -> str:
        """Over another connection than the group's."""
        if self.refusal is not None:
            raise self.refusal
        self.beside.append(request)
        return "answer"

    def reset_generation(self) -> None:
        self.member_id = ""


@pytest.fixture
async def coordinator() -> _Coordinator:
    return _Coordinator()


async def _hanging(coordinator: _Coordinator, request: object) -> asyncio.Future[str]:
    coordinator.is_silent = True
    hanging = asyncio.ensure_future(coordinator._send_req(request))
    while request not in coordinator.asked:  # noqa: ASYNC110 - until the task has come so far
        await asyncio.sleep(0)
    return hanging


async def test_join_that_is_answered_passes(coordinator: _Coordinator) -> None:
    assert await coordinator._send_req(_JOIN) == "answer"
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


async def test_commit_goes_beside_a_join_and_otherwise_the_usual_way(
    coordinator: _Coordinator,
) -> None:
    await coordinator._send_req(_COMMIT)
    assert not coordinator.beside
    joining = await _hanging(coordinator, _JOIN)
    await coordinator._send_req(_COMMIT)
    assert coordinator.beside == [_COMMIT]
    coordinator.coordinator_id = None
    with pytest.raises(GroupCoordinatorNotAvailableError):
        await coordinator._send_req(_COMMIT)
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    coordinator.is_silent = False
    await coordinator._send_req(_COMMIT)
    assert coordinator.beside == [_COMMIT]
