"""Who is in a consumer group, and which partitions each member has."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError, for_code

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiokafka.protocol.api import Response

    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.application.ports import Clock

_WANTED_FOR_S: Final = 30.0
_EVERY_S: Final = 10.0
_PATIENCE_S: Final = 5.0
_LOOK_AGAIN_S: Final = 1.0
_TRUE_FOR_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member; its partitions by topic, none while the group rebalances."""

    member_id: str
    host: str
    partitions: Mapping[str, tuple[int, ...]]


class GroupMembers:
    """Asks in the background, and only while somebody wants to know.

    Args:
        ask: Gives the members; raises KafkaError or OSError where they cannot be had.
        clock: Says how old an answer is.
    """

    def __init__(self, ask: Callable[[], Awaitable[tuple[Member, ...]]], clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._wanted_s = self._asked_s = self._answered_s = float("-inf")
        self._members: tuple[Member, ...] = ()

    def latest(self) -> tuple[Member, ...] | None:
        """Give the members, at most half a minute old; None: not known, or not for us to know.

        Whoever asks again in a second or two is told what the broker has answered meanwhile.
        """
        self._wanted_s = self._clock.monotonic()
        return self._members if self._wanted_s - self._answered_s < _TRUE_FOR_S else None

    async def keep_asking(self, app: DeliveryApp) -> None:
        """Ask for as long as the app runs."""
        while not app.should_stop:
            now_s = self._clock.monotonic()
            if now_s - self._wanted_s < _WANTED_FOR_S and now_s - self._asked_s >= _EVERY_S:
                self._asked_s = now_s
                await self._look()
            await app.sleep(_LOOK_AGAIN_S)

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                self._members = await self._ask()
        except (KafkaError, OSError, TimeoutError):
            return  # what was known grows old, and whoever wants it is told that it is not known
        self._answered_s = self._clock.monotonic()


async def describe_group(options: Mapping[str, Any], group: str) -> tuple[Member, ...]:
    """Ask the group's coordinator for its members.

    Raises:
        KafkaError, OSError: No broker answers, or it does not let us know.
    """
    admin = AIOKafkaAdminClient(**options)
    try:
        await admin.start()
        [answer] = await admin.describe_consumer_groups([group])
    finally:
        await admin.close()
    return members_in(answer)


def members_in(answer: Response) -> tuple[Member, ...]:
    """Read the broker's description of one group.

    Raises:
        KafkaError: It does not let us know.
    """
    [described] = answer.to_object()["groups"]
    if described["error_code"]:
        raise for_code(described["error_code"])("the group is not described")
    return tuple(map(_member, described["members"]))


def _member(described: Mapping[str, Any]) -> Member:
    given = described["member_assignment"]
    assignment = ConsumerProtocolMemberAssignment.decode(given).assignment if given else ()
    return Member(
        member_id=described["member_id"],
        host=described["client_host"].removeprefix("/"),
        partitions={topic: tuple(sorted(numbers)) for topic, numbers in assignment},
    )
