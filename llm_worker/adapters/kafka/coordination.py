"""What aiokafka's side of the group does, and leaves out, put right from outside."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    IllegalGenerationError,
    KafkaError,
    NoError,
    NotCoordinatorForGroupError,
    RebalanceInProgressError,
    for_code,
)
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_ELSEWHERE = (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError)
_LEAVE_S: Final = 5.0
_log = structlog.get_logger(__name__)


def note_heartbeats(coordinator: Any, note: Callable[[float], None]) -> None:  # noqa: ANN401 - aiokafka has no types
    """Note when each heartbeat was sent, monotonic, that the coordinator accepted."""
    beat = coordinator._do_heartbeat  # noqa: SLF001 - no public face

    async def noted() -> bool:
        sent_s = monotonic()
        is_accepted: bool = await beat()
        if is_accepted:
            note(sent_s)
        return is_accepted

    coordinator._do_heartbeat = noted  # noqa: SLF001 - no public face


def check_answers(coordinator: Any) -> None:  # noqa: ANN401 - aiokafka has no types
    """Believe no answer without offsets that is an error.

    aiokafka reads no error of a whole OffsetFetch answer, as a coordinator gives that moves or
    loads: nothing would seem to be committed, and the group would begin again from the start.
    """
    ask = coordinator._send_req  # noqa: SLF001 - no public face

    async def checked(request: object) -> object:
        answer: object = await ask(request)
        if isinstance(request, OffsetFetchRequest):
            error = for_code(getattr(answer, "error_code", 0))
            if issubclass(error, _ELSEWHERE):
                coordinator.coordinator_dead()
            if error is not NoError:
                raise error
        return answer

    coordinator._send_req = checked  # noqa: SLF001 - no public face


def free_from_joins(coordinator: Any) -> None:  # noqa: ANN401 - aiokafka has no types
    """Let neither our end nor a commit wait for a join, and commit as a member alone.

    A join is answered when every member has joined, and till then the broker reads nothing else on
    its connection: one member that hangs would hold up the end of all. What is refused meanwhile
    is committed later, or comes again. By no generation, as who was frozen for too long has, an
    empty group would take every offset, and go back.
    """
    ask, joins, member_of = coordinator._send_req, 0, None  # noqa: SLF001 - no public face

    async def freed(request: object) -> object:
        nonlocal joins, member_of
        if isinstance(request, JoinGroupRequest | SyncGroupRequest):
            joins += 1
            try:
                answer: Any = await _unless_closing(coordinator, ask(request))
            finally:
                joins -= 1
            if isinstance(request, SyncGroupRequest) and answer.error_code == NoError.errno:
                member_of = coordinator.generation
            return answer
        if isinstance(request, OffsetCommitRequest):
            if joins:
                raise RebalanceInProgressError
            if coordinator.generation != member_of:
                raise IllegalGenerationError
        return await ask(request)

    coordinator._send_req = freed  # noqa: SLF001 - no public face


async def _unless_closing(coordinator: Any, asking: Awaitable[object]) -> object:  # noqa: ANN401 - the same
    asked = asyncio.ensure_future(asking)
    try:
        await asyncio.wait(
            [asked, coordinator._closing],  # noqa: SLF001 - no public face
            return_when=asyncio.FIRST_COMPLETED,
        )
        if asked.done():
            return await asked
    finally:
        asked.cancel()
    await _leave(coordinator)
    raise KafkaError("told to end while the group was joined")


async def _leave(coordinator: Any) -> None:  # noqa: ANN401 - the same
    """Leave over another connection: who only hangs up would get partitions, and be missed."""
    request = LeaveGroupRequest(coordinator.group_id, coordinator.member_id)
    try:
        async with asyncio.timeout(_LEAVE_S):
            await coordinator._client.send(coordinator.coordinator_id, request)  # noqa: SLF001 - no public face
    except (KafkaError, TimeoutError) as error:
        _log.warning("group_not_left", error=type(error).__name__)
    coordinator.reset_generation()
