"""From verdicts on pairs to a ranking of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_PRIOR_PRECISION = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """An item's place. Scores are log-odds, 0 on average: one more wins `e` times as often."""

    name: str
    score: float
    wins: int
    losses: int


def rank(names: Sequence[str], verdicts: Collection[tuple[str, str]]) -> list[Ranked]:
    """Rank by Bradley-Terry, best first; those with equal scores by name.

    A weak prior keeps all scores finite, also of who never lost, or was never compared.

    Args:
        names: All items, each once.
        verdicts: Of each comparison, the winner and the loser.
    """
    # An extra, and slow to import.
    import choix  # noqa: PLC0415

    numbers = {name: number for number, name in enumerate(names)}
    pairs = [(numbers[winner], numbers[loser]) for winner, loser in verdicts]
    scores = choix.opt_pairwise(len(numbers), pairs, alpha=_PRIOR_PRECISION)
    ranked = [
        Ranked(
            name=name,
            score=float(scores[number]),
            wins=sum(winner == number for winner, _ in pairs),
            losses=sum(loser == number for _, loser in pairs),
        )
        for name, number in numbers.items()
    ]
    return sorted(ranked, key=lambda one: (-one.score, one.name))
