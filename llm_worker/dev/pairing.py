"""Which pairs to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERY_PAIR_UP_TO: Final = 20
"""Items of which all pairs are compared: 190 comparisons."""

TIMES: Final = 10
"""How often each item is compared where there are more of them; even."""

T = TypeVar("T")


def choose_pairs(items: Sequence[T]) -> list[tuple[T, T]]:
    """Choose pairs, none twice: all of them, or so many that each item is in `TIMES` of them.

    On a circle each item is compared with those some steps ahead. So each is first as often as
    second (with an even number in all pairs, once more or less), and who is compared is connected:
    one step is always among them.
    """
    count = len(items)
    farthest = count // 2
    if count <= EVERY_PAIR_UP_TO:
        steps = list(range(1, farthest + 1))
    else:
        # Spread from 1 to the farthest that meets nobody twice.
        ahead, last = TIMES // 2, (count - 1) // 2
        steps = [1 + (last - 1) * number // (ahead - 1) for number in range(ahead)]
    return [
        (items[at], items[(at + step) % count])
        for step in steps
        # Half way round, the second half of the circle would meet the first again.
        for at in range(farthest if 2 * step == count else count)
    ]
