"""What one process may spend of limits that all share, while it cannot ask the others. Pure.

Amounts are integers, in 1e-9 USD.
"""

from __future__ import annotations

from collections import Counter
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
class _Base:
    """What was spent when judging alone began, our share of the rest, what we spent since."""

    known: int
    share: float
    spent: int = 0


class LocalBudget:
    """Our own part in every sum, and what was known of the whole before we were alone.

    What is known stands still while we judge alone: the accountant's total grows by what we spend
    ourselves, and would count it a second time.
    """

    def __init__(self) -> None:
        self._outstanding: Counter[Place] = Counter()
        self._shared: Counter[Place] = Counter()
        self._known: dict[Place, int] = {}
        self._settled: Counter[Place] = Counter()
        self._bases: dict[Place, _Base] = {}

    def hold(self, places: Iterable[Place], amount: int) -> None:
        """Set an estimate aside."""
        for place in places:
            self._outstanding[place] += amount

    def share(self, places: Iterable[Place], amount: int) -> None:
        """Note that what was set aside is in the others' sums, too."""
        for place in places:
            self._shared[place] += amount

    def unshare(self) -> None:
        """Note that the others' sums have forgotten all that was set aside."""
        self._shared.clear()

    def settle(self, places: Iterable[Place], amount: int, cost: int, *, is_shared: bool) -> None:
        """Replace an estimate with what it cost."""
        for place in places:
            self._outstanding[place] -= amount
            self._settled[place] += cost
            if is_shared:
                self._shared[place] -= amount
            base = self._bases.get(place)
            if base is not None:
                base.spent += cost
            elif place in self._known:
                self._known[place] += cost  # our part was taken out of it

    def heard(self, place: Place, spent: int, held: int) -> None:
        """Take the sums of what all have spent and set aside, with our part in them."""
        self._known[place] = max(0, spent + held - self._shared[place])
        self._settled[place] = spent
        self._bases.pop(place, None)

    def judge(self, place: Place, limit: int, amount: int, floor: int, share: float) -> Room:
        """Say whether an estimate fits.

        Args:
            place: Which sum it has to fit into.
            limit: Of all processes together.
            amount: The estimate.
            floor: What the accountant has published as spent, by all.
            share: Our part of what is left, 0..1.
        """
        base, outstanding = self._base(place, floor, share), self._outstanding[place]
        of_share = int((limit - base.known) * share) - base.spent
        room = min(of_share, limit - max(base.known, floor))
        if amount <= room - outstanding:
            return Room.FITS
        if amount <= room:
            return Room.BUSY
        # What others had set aside, when they were last heard of, may cost less.
        is_spent = amount > limit - max(self._settled[place], floor)
        return Room.SPENT if is_spent else Room.SHARE_SPENT

    def outstanding(self, place: Place) -> int:
        """Give what we have set aside."""
        return self._outstanding[place]

    def forget_all_but(self, periods: Container[str]) -> None:
        """Drop what is known of other periods; what is set aside stays until it is settled."""
        self._known = {at: sum_ for at, sum_ in self._known.items() if at[1] in periods}
        self._settled = Counter({at: n for at, n in self._settled.items() if at[1] in periods})
        self._bases = {at: base for at, base in self._bases.items() if at[1] in periods}
        self._outstanding = Counter({at: sum_ for at, sum_ in self._outstanding.items() if sum_})
        self._shared = Counter({at: sum_ for at, sum_ in self._shared.items() if sum_})

    def _base(self, place: Place, floor: int, share: float) -> _Base:
        base = self._bases.get(place)
        if base is None:
            base = _Base(max(self._known.get(place, 0), floor), share)
            self._bases[place] = base
        elif base.share != share:
            # Who came or went has changed what is known, too: what is left is divided anew.
            base.known, base.share = max(base.known + base.spent, floor), share
            base.spent = 0
        return base
