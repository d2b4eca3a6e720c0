"""From verdicts on pairs to a ranking of all, and how sure it is."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

_PENALTY: Final = 0.1
"""Times the sum of the squared scores; as a prior, normal with a variance of 1 / 0.2."""

Z_95: Final = NormalDist().inv_cdf(0.975)
"""Standard errors on either side of an estimate that make a 95 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """An item's place. Scores are log-odds, 0 on average: one more wins `e` times as often.

    `standard_error` is of the score's distance from the average of all.
    """

    name: str
    score: float
    standard_error: float
    wins: int
    losses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedPair:
    """Two items, the better one first.

    Attributes:
        win_probability: Of the better one in one more comparison, 0.5 to 1.
        is_close: Whether the 95 % interval of the difference of their scores includes 0: that one
            is better is not settled then.
    """

    better: str
    worse: str
    win_probability: float
    is_close: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """All items, best first, and all pairs, the closest first."""

    places: tuple[Ranked, ...]
    pairs: tuple[RankedPair, ...]


def rank(names: Sequence[str], verdicts: Collection[tuple[str, str]]) -> Ranking:
    """Rank by Bradley-Terry; those with equal scores by name.

    A weak prior keeps all scores finite, also of who never lost, or was never compared.

    Args:
        names: All items, each once.
        verdicts: Of each comparison, the winner and the loser.
    """
    # An extra, and slow to import.
    import choix  # noqa: PLC0415

    numbers = {name: number for number, name in enumerate(names)}
    pairs = [(numbers[winner], numbers[loser]) for winner, loser in verdicts]
    scores = choix.opt_pairwise(len(numbers), pairs, alpha=_PENALTY)
    covariance = _covariance(scores, pairs)
    wins, losses = Counter(winner for winner, _ in pairs), Counter(loser for _, loser in pairs)
    places = [
        Ranked(
            name=name,
            score=float(scores[number]),
            standard_error=math.sqrt(max(0.0, covariance[number, number])),
            wins=wins[number],
            losses=losses[number],
        )
        for name, number in numbers.items()
    ]
    places.sort(key=lambda one: (-one.score, one.name))
    compared = [
        _pair(better, worse, covariance[_both(numbers[better.name], numbers[worse.name])])
        for better, worse in combinations(places, 2)
    ]
    return Ranking(
        places=tuple(places),
        pairs=tuple(sorted(compared, key=lambda pair: pair.win_probability)),
    )


def _covariance(scores: Floats, pairs: Sequence[tuple[int, int]]) -> Floats:
    """Give the scores' covariance: the inverse Hessian at the optimum, the prior included.

    Only differences of scores mean something. What all have in common is known from the prior
    alone, and would widen every interval: it is taken out.
    """
    import numpy as np  # noqa: PLC0415 - comes with choix, which is an extra

    count = len(scores)
    hessian = 2 * _PENALTY * np.identity(count)
    for winner, loser in pairs:
        probability = _probability(scores[winner] - scores[loser])
        information = probability * (1 - probability)
        hessian[(winner, loser), (winner, loser)] += information
        hessian[(winner, loser), (loser, winner)] -= information
    return np.linalg.inv(hessian) - 1 / (2 * _PENALTY * max(1, count))


def _both(one: int, other: int) -> tuple[list[list[int]], list[int]]:
    """Index the two rows and columns of a matrix."""
    return [[one], [other]], [one, other]


def _pair(better: Ranked, worse: Ranked, covariance: Floats) -> RankedPair:
    difference = better.score - worse.score
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return RankedPair(
        better=better.name,
        worse=worse.name,
        win_probability=_probability(difference),
        is_close=bool(difference < Z_95 * math.sqrt(variance)),
    )


def _probability(log_odds: float) -> float:
    return float(1 / (1 + math.exp(-log_odds)))
