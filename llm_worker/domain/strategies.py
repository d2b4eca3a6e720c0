"""In which order a request's targets are tried: pure, with every input an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from llm_worker.domain.outcome import Target


class Strategy(StrEnum):
    """How the first target is chosen; whoever fails is followed by the next in order."""

    PRIORITY = "priority"
    ROUND_ROBIN = "round_robin"
    LEAST_COST = "least_cost"
    LEAST_LATENCY = "least_latency"
    WEIGHTED_RANDOM = "weighted_random"

    @property
    def spills(self) -> bool:
        """Whether a target at its limit is passed over for a free one.

        Not where the operator or the price says who should have the work: there it waits.
        """
        return self not in {Strategy.PRIORITY, Strategy.LEAST_COST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What a strategy looks at.

    `cost_usd` None is unknown. `latency_s` is the moving average, None where there is none yet;
    `latency_is_stale` says that nobody has looked lately, so that the target is tried again.
    """

    target: Target
    weight: float = 1.0
    cost_usd: Decimal | None = None
    latency_s: float | None = None
    latency_is_stale: bool = False


def ordered(
    strategy: Strategy, candidates: Sequence[Candidate], *, turn: int, dice: Callable[[], float]
) -> list[Target]:
    """Order the candidates, which come in the configured order.

    Args:
        strategy: How.
        candidates: Never empty.
        turn: Counts the requests of the same route.
        dice: Gives a number from 0 up to 1; asked once a candidate by weighted_random alone.
    """
    match strategy:
        case Strategy.PRIORITY:
            chosen = list(candidates)
        case Strategy.ROUND_ROBIN:
            first = turn % len(candidates)
            chosen = [*candidates[first:], *candidates[:first]]
        case Strategy.LEAST_COST:
            chosen = sorted(candidates, key=_cost)
        case Strategy.LEAST_LATENCY:
            chosen = sorted(candidates, key=_latency)
        case Strategy.WEIGHTED_RANDOM:
            chosen = sorted(candidates, key=lambda candidate: _drawn(candidate.weight, dice()))
        case _:
            assert_never(strategy)
    return [candidate.target for candidate in chosen]


def _cost(candidate: Candidate) -> tuple[bool, Decimal | int]:
    """Whoever's price is unknown comes last: it may be any."""
    return candidate.cost_usd is None, candidate.cost_usd or 0


def _latency(candidate: Candidate) -> float:
    """Whoever was not measured lately goes first, or it never would be again."""
    if candidate.latency_is_stale:
        return 0.0
    return math.inf if candidate.latency_s is None else candidate.latency_s


def _drawn(weight: float, roll: float) -> float:
    """Draw an exponential time to the first event: the chance to be first is the weight's share."""
    return -math.log(1.0 - roll) / weight if weight > 0 else math.inf
