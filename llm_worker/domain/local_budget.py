"""What one process may spend of limits that all share, while it cannot ask the others. Pure.

Amounts are integers, in 1e-9 USD.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from llm_worker.domain.spend import Scope

    Place: TypeAlias = tuple[Scope, str]
    """A scope and a day or month: where amounts are added up."""


class Room(Enum):
    """Whether an estimate fits into a limit."""

    FITS = auto()
    BUSY = auto()
    """Not beside our own calls under way."""
    SHARE_SPENT = auto()
    """Not into our share; others may have room left."""
    SPENT = auto()


@dataclass(slots=True)
class _Alone:
    """What was known when judging alone began, our share of the rest, what we spent since."""

    known: int
    share: float
    spent: int = 0


@dataclass(slots=True)
class _Sum:
    """Our own part in a sum, and what was known of the whole before we were alone.

    Of what we have set aside, `outstanding`, `shared` is in the others' sums, too. All had spent
    `settled`, and with what they had set aside, but without our part, `known`: as last heard, None
    before; what we have spent since is added. `known` stands still while we judge `alone`: the
    accountant's total grows by what we spend ourselves, and would count it a second time.
    """

    outstanding: int = 0
    shared: int = 0
    settled: int = 0
    known: int | None = None
    alone: _Alone | None = None

    def settle(self, amount: int, cost: int, *, is_shared: bool) -> None:
        self.outstanding -= amount
        self.settled += cost
        if is_shared:
            self.shared -= amount
        if self.alone is not None:
            self.alone.spent += cost
        elif self.known is not None:
            self.known += cost  # our part was taken out of it

    def hear(self, spent: int, held: int) -> None:
        self.known = max(0, spent + held - self.shared)
        self.settled = spent
        self.alone = None

    def forget(self) -> None:
        self.settled, self.known, self.alone = 0, None, None

    def judge(self, limit: int, amount: int, floor: int, share: float) -> Room:
        alone = self._judging_alone(floor, share)
        of_share = int((limit - alone.known) * share) - alone.spent
        room = min(of_share, limit - max(alone.known, floor))
        if amount <= room - self.outstanding:
            return Room.FITS
        if amount <= room:
            return Room.BUSY
        # What others had set aside, when they were last heard of, may cost less.
        is_spent = amount > limit - max(self.settled, floor)
        return Room.SPENT if is_spent else Room.SHARE_SPENT

    def _judging_alone(self, floor: int, share: float) -> _Alone:
        alone = self.alone
        if alone is None:
            alone = self.alone = _Alone(max(self.known or 0, floor), share)
        elif alone.share != share:
            # Who came or went has changed what is known, too: what is left is divided anew.
            alone.known, alone.share = max(alone.known + alone.spent, floor), share
            alone.spent = 0
        return alone


class LocalBudget:
    """Every sum that this process has a part in, or has heard of."""

    def __init__(self) -> None:
        self._sums: defaultdict[Place, _Sum] = defaultdict(_Sum)

    def hold(self, places: Iterable[Place], amount: int) -> None:
        """Set an estimate aside."""
        for place in places:
            self._sums[place].outstanding += amount

    def share(self, places: Iterable[Place], amount: int) -> None:
        """Note that what was set aside is in the others' sums, too."""
        for place in places:
            self._sums[place].shared += amount

    def unshare(self) -> None:
        """Note that the others' sums have forgotten all that was set aside."""
        for each in self._sums.values():
            each.shared = 0

    def settle(self, places: Iterable[Place], amount: int, cost: int, *, is_shared: bool) -> None:
        """Replace an estimate with what it cost."""
        for place in places:
            self._sums[place].settle(amount, cost, is_shared=is_shared)

    def heard(self, place: Place, spent: int, held: int) -> None:
        """Take the sums of what all have spent and set aside, with our part in them."""
        self._sums[place].hear(spent, held)

    def judge(self, place: Place, limit: int, amount: int, floor: int, share: float) -> Room:
        """Say whether an estimate fits.

        Args:
            place: Which sum it has to fit into.
            limit: Of all processes together.
            amount: The estimate.
            floor: What the accountant has published as spent, by all.
            share: Our part of what is left, 0..1.
        """
        return self._sums[place].judge(limit, amount, floor, share)

    def forget_all_but(self, periods: Container[str]) -> None:
        """Drop what is known of other periods; what is set aside stays until it is settled."""
        for place, each in [*self._sums.items()]:
            if place[1] not in periods:
                each.forget()
                if not (each.outstanding or each.shared):
                    del self._sums[place]
