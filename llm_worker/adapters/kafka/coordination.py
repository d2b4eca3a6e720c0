"""What aiokafka's side of the group does, and leaves out, put right from outside."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaError,
    NoError,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_ELSEWHERE = (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError)


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
    """Believe no answer without offsets that is an error, and wait for no join once we close.

    aiokafka reads no error of a whole OffsetFetch answer, as a coordinator gives that moves or
    loads: nothing would seem to be committed, and the group would begin again from the start.
    A join is answered when every member has joined: one that hangs would hold up our end.
    """
    ask = coordinator._send_req  # noqa: SLF001 - no public face

    async def checked(request: object) -> object:
        if isinstance(request, JoinGroupRequest | SyncGroupRequest):
            return await _unless_closing(coordinator, ask(request))
        answer: object = await ask(request)
        if isinstance(request, OffsetFetchRequest):
            error = for_code(getattr(answer, "error_code", 0))
            if issubclass(error, _ELSEWHERE):
                coordinator.coordinator_dead()
            if error is not NoError:
                raise error
        return answer

    coordinator._send_req = checked  # noqa: SLF001 - no public face


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
    """Leave over another connection: on that of the join the broker reads nothing till its answer.

    Who only hangs up would get partitions, and be missed after a session.
    """
    request = LeaveGroupRequest(coordinator.group_id, coordinator.member_id)
    with suppress(KafkaError):
        await coordinator._client.send(coordinator.coordinator_id, request)  # noqa: SLF001 - no public face
    coordinator.reset_generation()
