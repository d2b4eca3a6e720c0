"""In which order the targets of a route are tried, by what is known of them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from llm_worker.application.scoreboard import Latency
from llm_worker.domain.judging import expected_usage
from llm_worker.domain.strategies import Candidate, Strategy, ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_worker.application.ports import Clock, Provider
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.outcome import Target
    from llm_worker.domain.routing import Route
    from llm_worker.domain.verdict import Usage

_LATENCY_STALE_S: Final = 60.0
_REMEMBERED_AT_MOST: Final = 1_000
"""Targets: requests may name models without end where a provider takes any."""
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(slots=True, kw_only=True)
class Ordering:
    """Orders targets by a route's strategy; `dice` gives a number from 0 up to 1."""

    providers: Mapping[ProviderName, Provider]
    weights: Mapping[ProviderName, float]
    clock: Clock
    dice: Callable[[], float] = random.random
    _latencies: dict[Target, Latency] = field(default_factory=dict)
    _looked_at_s: dict[Target, float] = field(default_factory=dict)
    _turns: Counter[tuple[Target, ...]] = field(default_factory=Counter)

    def in_order(self, route: Route, prompt_bytes: int) -> Sequence[Target]:
        """Order a route's targets by its strategy, by how they stand now."""
        if len(route.targets) == 1 or route.strategy is Strategy.PRIORITY:
            return route.targets
        now_s = self.clock.monotonic()
        usage, strategy = expected_usage(prompt_bytes), route.strategy
        candidates = [self._candidate(each, strategy, usage, now_s) for each in route.targets]
        turn = self._turns[route.targets]
        remember(self._turns, route.targets, turn + 1)
        targets = ordered(strategy, candidates, turn=turn, dice=self.dice)
        if strategy is Strategy.LEAST_LATENCY:
            # Whoever comes next shall not go there, too, only because nothing is measured yet.
            remember(self._looked_at_s, targets[0], now_s)
        return targets

    def measured(self, target: Target, seconds: float) -> None:
        """Note how long the target took for a verdict."""
        now_s = self.clock.monotonic()
        latency = self._latencies.get(target) or Latency(seconds, now_s)
        latency.add(seconds, now_s)
        remember(self._latencies, target, latency)

    def expected_s(self, target: Target) -> float:
        """Give how long the target took lately; 0 where nobody knows."""
        latency = self._latencies.get(target)
        return latency.average_s if latency else 0.0

    def _candidate(
        self, target: Target, strategy: Strategy, usage: Usage, now_s: float
    ) -> Candidate:
        cost_usd = latency_s = None
        is_stale = False
        if strategy is Strategy.LEAST_COST:
            cost_usd = self.providers[target.provider].models.cost_usd(target.model, usage)
        elif strategy is Strategy.LEAST_LATENCY:
            latency = self._latencies.get(target)
            latency_s = latency.average_s if latency else None
            measured_at_s = latency.measured_at_s if latency else float("-inf")
            looked_at_s = self._looked_at_s.get(target, float("-inf"))
            is_stale = now_s - max(measured_at_s, looked_at_s) > _LATENCY_STALE_S
        return Candidate(
            target=target,
            weight=self.weights.get(target.provider, 1.0),
            cost_usd=cost_usd,
            latency_s=latency_s,
            latency_is_stale=is_stale,
        )


def remember(known: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Set a value; the key that was new the longest ago makes room."""
    if key not in known and len(known) >= _REMEMBERED_AT_MOST:
        del known[next(iter(known))]
    known[key] = value
