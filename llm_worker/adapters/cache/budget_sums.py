"""What all workers have spent and set aside, in Redis: two sums for each hard limit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import uuid4

from llm_worker.adapters.cache.link import NotAskedError
from llm_worker.adapters.cache.script import load_script
from llm_worker.domain.estimate import nano_usd, nano_usd_down
from llm_worker.domain.spend import is_month, month_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from llm_worker.adapters.cache.link import RedisLink
    from llm_worker.adapters.cache.outbox import Outbox
    from llm_worker.adapters.cache.sending import Word
    from llm_worker.domain.budgets import Limit
    from llm_worker.domain.local_budget import Place
    from llm_worker.domain.spend import Scope

_RESERVE: Final = load_script("reserve")
_SETTLE: Final = load_script("settle")
_SEED: Final = load_script("seed")
_SUMS_TTL_MS: Final = 40 * 24 * 3_600 * 1_000
"""Longer than any period."""
_ENDED_TTL_MS: Final = 3_600 * 1_000
"""How long a script that runs twice is recognised."""
_OF_DAY: Final = 5
_OF_MONTH: Final = 6


class Fence:
    """The hard limits that the calls for one organisation to one provider must fit into, on a day.

    Amounts are in 1e-9 USD. `floors` is what was spent at least, of each limit; it is looked up
    again at the monotonic `floors_until_s`.
    """

    def __init__(self, limits: Sequence[Limit], day: str) -> None:
        self.day: Final = day
        self.floors: Sequence[int] = ()
        self.floors_until_s = float("-inf")
        self.limits: Final = tuple(limits)
        self.places: Final[tuple[Place, ...]] = tuple(
            (limit.scope, limit.period) for limit in limits
        )
        self.amounts: Final = tuple(nano_usd_down(limit.limit_usd) for limit in limits)
        self.sums: Final = tuple((_key_of(period), _field(scope)) for scope, period in self.places)


@dataclass(slots=True, kw_only=True, eq=False)
class Reservation:
    """An estimate that is, or may be, set aside; `is_shared`: in the sums of all, as far as known.

    `name` is the attempt's id. `may_be_shared` is False where the sums cannot have it.
    """

    name: bytes
    fence: Fence
    amount: int
    is_granted: bool = False
    is_shared: bool = False
    may_be_shared: bool = True


class Sums(Protocol):
    """The sums of all processes."""

    is_shared: bool
    """Whether there are other processes that can be asked, if not now."""

    def reserve(self, reservation: Reservation, floors: Sequence[int]) -> asyncio.Future[Any]:
        """Begin to set it aside; the answer is that of reserve.lua, or CacheAwayError.

        NotAskedError says that it was not.

        `floors` is what was spent at least, of each limit.
        """

    def hold(self, reservation: Reservation, floors: Sequence[int]) -> None:
        """Set it aside whatever the limits: the call is under way."""

    def settle(self, reservation: Reservation, cost: int) -> None:
        """Replace it with what the call cost; 0 where it was not made."""

    async def seed(self, spent: Mapping[Place, Decimal], day: str) -> bytes:
        """Begin anew with what is known of a day and its month; gives the epoch."""


class RedisSums:
    """All keys have one hash tag, since one script touches several: one node of a cluster.

    Args:
        link: The way to Redis.
        outbox: Keeps what Redis does not hear.
        key_prefix: Of all keys.
        lifetime_s: How long a call may take; what is set aside longer has lost its worker, and
            counts as spent.
    """

    is_shared = True

    def __init__(
        self, link: RedisLink, outbox: Outbox, *, key_prefix: str, lifetime_s: float
    ) -> None:
        self._link = link
        self._outbox = outbox
        self._prefix = f"{key_prefix}{{budget}}:"
        self._lifetime_ms = int(lifetime_s * 1_000)
        self._keys: tuple[str, list[str]] = ("", [])

    def reserve(self, reservation: Reservation, floors: Sequence[int]) -> asyncio.Future[Any]:
        """See Sums."""
        if len(self._outbox):
            return _away("Redis has not heard yet what was spent while it was away")
        return self._link.run(_RESERVE, *self._reserving(reservation, floors, ""))

    def hold(self, reservation: Reservation, floors: Sequence[int]) -> None:
        """See Sums."""
        self._outbox.post(_RESERVE, *self._reserving(reservation, floors, "1"))

    def settle(self, reservation: Reservation, cost: int) -> None:
        """See Sums."""
        words: list[Word] = [reservation.name, cost, _SUMS_TTL_MS, _ENDED_TTL_MS]
        for key, field in reservation.fence.sums:
            words += (key, field)
        self._outbox.post(_SETTLE, self._keys_of(reservation.fence.day), *words)

    async def seed(self, spent: Mapping[Place, Decimal], day: str) -> bytes:
        """See Sums."""
        words: list[Word] = [uuid4().hex, _SUMS_TTL_MS]
        for (scope, period), usd in spent.items():
            if period in {day, month_of(day)} and _is_limitable(scope):
                words += (_key_of(period), _field(scope), nano_usd(usd))
        epoch: bytes = await self._link.run(_SEED, self._keys_of(day), *words)
        return epoch

    def _reserving(
        self, reservation: Reservation, floors: Sequence[int], is_forced: str
    ) -> tuple[Any, ...]:
        fence = reservation.fence
        words: list[Word] = [
            reservation.name,
            reservation.amount,
            self._lifetime_ms,
            _SUMS_TTL_MS,
            is_forced,
        ]
        for (key, field), limit, floor in zip(fence.sums, fence.amounts, floors, strict=True):
            words += (key, field, limit, floor)
        return (self._keys_of(fence.day), *words)

    def _keys_of(self, day: str) -> list[str]:
        known_day, keys = self._keys
        if known_day != day:
            names = ("epoch", "reservations", "expiries", "ended", day, month_of(day))
            keys = [self._prefix + name for name in names]
            self._keys = (day, keys)
        return keys


class NoSums:
    """Nobody to ask: this process judges alone."""

    is_shared = False

    def reserve(self, _reservation: Reservation, _floors: Sequence[int]) -> asyncio.Future[Any]:
        """Have no answer."""
        return _away("no Redis is set")

    def hold(self, _reservation: Reservation, _floors: Sequence[int]) -> None:
        """Do nothing."""

    def settle(self, _reservation: Reservation, _cost: int) -> None:
        """Do nothing."""

    async def seed(self, _spent: Mapping[Place, Decimal], _day: str) -> bytes:
        """Do nothing."""
        return b""


def _away(why: str) -> asyncio.Future[Any]:
    answer = asyncio.get_running_loop().create_future()
    answer.set_exception(NotAskedError(why))
    return answer


def _is_limitable(scope: Scope) -> bool:
    """Say whether limits can be set for it: for all, an organisation, or a provider."""
    of_one = scope.organization is None or scope.provider is None
    return of_one and scope.model is None and scope.lane is None


def _key_of(period: str) -> int:
    return _OF_MONTH if is_month(period) else _OF_DAY


def _field(scope: Scope) -> str:
    if scope.organization is not None:
        return f"organization:{scope.organization}"
    return f"provider:{scope.provider}" if scope.provider is not None else "all"
