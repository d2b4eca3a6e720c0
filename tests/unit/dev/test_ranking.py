from __future__ import annotations

import math
from itertools import combinations

import pytest

from llm_worker.dev.ranking import rank

NAMES = ["a", "b", "c", "d"]


def names_of(verdicts: list[tuple[str, str]]) -> list[str]:
    return [one.name for one in rank(NAMES, verdicts)]


def test_who_wins_every_comparison_comes_first() -> None:
    verdicts = [(max(pair), min(pair)) for pair in combinations(NAMES, 2)]

    assert names_of(verdicts) == ["d", "c", "b", "a"]


def test_wins_against_the_strong_count_for_more() -> None:
    verdicts = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "c"), ("c", "d")]

    assert names_of(verdicts)[:2] == ["a", "b"]


def test_wins_and_losses_are_counted() -> None:
    best, *_ = rank(NAMES, [("a", "b"), ("a", "c"), ("d", "a"), ("a", "d")])

    assert (best.name, best.wins, best.losses) == ("a", 3, 1)


@pytest.mark.parametrize(
    "verdicts",
    [
        [],
        [("a", "b")],
        [("a", "b"), ("c", "d")],
        [("a", name) for name in "bcd"] * 50,
    ],
    ids=["none", "one", "two islands", "one-sided"],
)
def test_scores_stay_finite_whatever_was_compared(verdicts: list[tuple[str, str]]) -> None:
    ranked = rank(NAMES, verdicts)

    assert sorted(one.name for one in ranked) == NAMES
    assert all(math.isfinite(one.score) for one in ranked)


def test_equals_are_in_the_order_of_their_names() -> None:
    assert names_of([]) == NAMES


def test_nobody_ranks_nothing() -> None:
    assert rank([], []) == []
