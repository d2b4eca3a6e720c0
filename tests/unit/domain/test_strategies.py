from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.outcome import Target
from llm_worker.domain.strategies import Candidate, Strategy, ordered

_A, _B, _C = (
    Target(provider=name, model="m")
    for name in (ProviderName.ANTHROPIC, ProviderName.OPENAI, ProviderName.GOOGLE)
)
_figures = st.none() | st.floats(min_value=0, max_value=1_000)


@st.composite
def _candidates(draw: st.DrawFn) -> list[Candidate]:
    models = draw(st.lists(st.text("abc", min_size=1), min_size=1, max_size=6, unique=True))
    return [
        Candidate(
            target=Target(provider=ProviderName.OPENAI, model=model),
            weight=draw(st.floats(min_value=0, max_value=100)),
            cost_usd=draw(st.none() | st.decimals(min_value=0, max_value=10, places=6)),
            latency_s=draw(_figures),
            latency_is_stale=draw(st.booleans()),
        )
        for model in models
    ]


def _order(
    strategy: Strategy, candidates: list[Candidate], turn: int = 0, roll: float = 0.5
) -> list[Target]:
    return ordered(strategy, candidates, turn=turn, dice=lambda: roll)


@given(
    strategy=st.sampled_from(Strategy),
    candidates=_candidates(),
    turn=st.integers(min_value=0, max_value=10**9),
    seed=st.integers(),
)
def test_every_candidate_comes_exactly_once(
    strategy: Strategy, candidates: list[Candidate], turn: int, seed: int
) -> None:
    dice = random.Random(seed).random  # noqa: S311 - a sequence that can be had again
    targets = ordered(strategy, candidates, turn=turn, dice=dice)
    assert Counter(targets) == Counter(candidate.target for candidate in candidates)


@given(candidates=_candidates(), turn=st.integers(min_value=0))
def test_priority_is_the_configured_order(candidates: list[Candidate], turn: int) -> None:
    expected = [candidate.target for candidate in candidates]
    assert _order(Strategy.PRIORITY, candidates, turn) == expected


@given(candidates=_candidates(), rounds=st.integers(min_value=1, max_value=5))
def test_round_robin_begins_with_each_equally_often(
    candidates: list[Candidate], rounds: int
) -> None:
    turns = range(rounds * len(candidates))
    firsts = Counter(_order(Strategy.ROUND_ROBIN, candidates, turn)[0] for turn in turns)
    assert set(firsts.values()) == {rounds}
    assert len(firsts) == len(candidates)


def test_round_robin_goes_on_with_the_next_in_order() -> None:
    candidates = [Candidate(target=target) for target in (_A, _B, _C)]
    assert _order(Strategy.ROUND_ROBIN, candidates, turn=1) == [_B, _C, _A]


def test_least_cost_begins_with_the_cheapest_and_ends_with_the_unknown() -> None:
    candidates = [
        Candidate(target=_A, cost_usd=None),
        Candidate(target=_B, cost_usd=Decimal("0.02")),
        Candidate(target=_C, cost_usd=Decimal("0.0000001")),
    ]
    assert _order(Strategy.LEAST_COST, candidates) == [_C, _B, _A]


def test_free_of_charge_is_the_cheapest_of_all() -> None:
    candidates = [
        Candidate(target=_A, cost_usd=Decimal("0.0000001")),
        Candidate(target=_B, cost_usd=None),
        Candidate(target=_C, cost_usd=Decimal(0)),
    ]
    assert _order(Strategy.LEAST_COST, candidates) == [_C, _A, _B]


def test_least_latency_begins_with_the_fastest_and_ends_with_the_unmeasured() -> None:
    candidates = [
        Candidate(target=_A, latency_s=None),
        Candidate(target=_B, latency_s=2.0),
        Candidate(target=_C, latency_s=0.5),
    ]
    assert _order(Strategy.LEAST_LATENCY, candidates) == [_C, _B, _A]


def test_least_latency_looks_again_at_whoever_was_not_measured_lately() -> None:
    candidates = [
        Candidate(target=_A, latency_s=0.1),
        Candidate(target=_B, latency_s=99.0, latency_is_stale=True),
        Candidate(target=_C, latency_s=None, latency_is_stale=True),
    ]
    assert _order(Strategy.LEAST_LATENCY, candidates) == [_B, _C, _A]


@pytest.mark.parametrize(
    "strategy", [Strategy.PRIORITY, Strategy.LEAST_COST, Strategy.LEAST_LATENCY]
)
def test_equals_keep_the_configured_order(strategy: Strategy) -> None:
    candidates = [
        Candidate(target=target, cost_usd=Decimal(1), latency_s=1.0) for target in (_B, _A, _C)
    ]
    assert _order(strategy, candidates) == [_B, _A, _C]


def test_weighted_random_begins_with_each_as_often_as_its_weight_says() -> None:
    dice = random.Random(20_261_123).random  # noqa: S311 - a sequence that can be had again
    weights = {_A: 6.0, _B: 3.0, _C: 1.0}
    candidates = [Candidate(target=target, weight=weight) for target, weight in weights.items()]
    orders = [
        tuple(ordered(Strategy.WEIGHTED_RANDOM, candidates, turn=0, dice=dice))
        for _ in range(20_000)
    ]
    firsts = Counter(order[0] for order in orders)
    for target, weight in weights.items():
        assert firsts[target] / 20_000 == pytest.approx(weight / 10, abs=0.01)
    seconds_after_a = Counter(order[1] for order in orders if order[0] == _A)
    assert seconds_after_a[_B] / firsts[_A] == pytest.approx(3 / 4, abs=0.02)


@pytest.mark.parametrize("roll", [0.0, 0.5, 0.9999999999])
def test_weight_of_zero_comes_last_and_only_there(roll: float) -> None:
    candidates = [Candidate(target=_A, weight=0), Candidate(target=_B, weight=0.1)]
    assert _order(Strategy.WEIGHTED_RANDOM, candidates, roll=roll) == [_B, _A]


def test_work_waits_only_where_somebody_said_who_should_have_it() -> None:
    assert {strategy for strategy in Strategy if not strategy.spills} == {
        Strategy.PRIORITY,
        Strategy.LEAST_COST,
    }
