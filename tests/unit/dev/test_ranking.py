from __future__ import annotations

import math
import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.dev.ranking import Z_95, rank

NAMES = ["a", "b", "c", "d"]
PRIOR_PRECISION = 0.2

some_verdicts = st.lists(st.permutations(NAMES).map(lambda names: (names[0], names[1])))


def names_of(verdicts: list[tuple[str, str]]) -> list[str]:
    return [one.name for one in rank(NAMES, verdicts).places]


def test_who_wins_every_comparison_comes_first() -> None:
    verdicts = [(max(pair), min(pair)) for pair in combinations(NAMES, 2)]

    assert names_of(verdicts) == ["d", "c", "b", "a"]


def test_wins_against_the_strong_count_for_more() -> None:
    verdicts = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "c"), ("c", "d")]

    assert names_of(verdicts)[:2] == ["a", "b"]


def test_wins_and_losses_are_counted() -> None:
    best, *_ = rank(NAMES, [("a", "b"), ("a", "c"), ("d", "a"), ("a", "d")]).places

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
    ranked = rank(NAMES, verdicts).places

    assert sorted(one.name for one in ranked) == NAMES
    assert all(math.isfinite(one.score) for one in ranked)
    assert all(0 < one.standard_error < math.inf for one in ranked)


def test_equals_are_in_the_order_of_their_names() -> None:
    assert names_of([]) == NAMES


@pytest.mark.parametrize("names", [[], ["a"]])
def test_nobody_is_compared_with_nobody(names: list[str]) -> None:
    ranking = rank(names, [])

    assert [(one.name, one.score, one.standard_error) for one in ranking.places] == [
        (name, 0, 0) for name in names
    ]
    assert ranking.pairs == ()


@pytest.mark.parametrize(("wins", "losses"), [(5, 5), (1, 0), (30, 10), (0, 0)])
def test_standard_error_of_two_is_what_paper_gives(wins: int, losses: int) -> None:
    """Of two there is one direction: what the prior and the comparisons know of it adds up."""
    better, worse = rank(["a", "b"], [("a", "b")] * wins + [("b", "a")] * losses).places

    p = 1 / (1 + math.exp(worse.score - better.score))
    variance_of_difference = 2 / (PRIOR_PRECISION + 2 * (wins + losses) * p * (1 - p))
    expected = pytest.approx(math.sqrt(variance_of_difference) / 2, rel=1e-6)
    assert better.standard_error == expected
    assert worse.standard_error == expected


def test_ninety_five_percent_intervals_hold_the_truth_about_as_often() -> None:
    dice = random.Random(8)  # noqa: S311 - a simulation
    names = [str(number) for number in range(8)]
    held = []
    for _ in range(40):
        drawn = {name: dice.gauss(0, PRIOR_PRECISION**-0.5) for name in names}
        mean = sum(drawn.values()) / len(drawn)
        verdicts = []
        for one, other in list(combinations(names, 2)) * 3:
            chance = 1 / (1 + math.exp(drawn[other] - drawn[one]))
            verdicts.append((one, other) if dice.random() < chance else (other, one))
        held += [
            abs(drawn[each.name] - mean - each.score) < Z_95 * each.standard_error
            for each in rank(names, verdicts).places
        ]

    assert 0.92 < sum(held) / len(held) < 0.98


def test_pairs_are_close_until_enough_comparisons_settle_them() -> None:
    few, many = (rank(["a", "b"], [("a", "b")] * n).pairs for n in (1, 20))

    assert [pair.is_close for pair in (*few, *many)] == [True, False]
    assert (few[0].better, few[0].worse) == ("a", "b")


def test_closest_pair_comes_first() -> None:
    verdicts = [("a", "b"), ("b", "a"), ("a", "c"), ("b", "c"), ("c", "d"), ("c", "d")]

    first, *_, last = rank(NAMES, verdicts).pairs

    assert (first.better, first.worse) == ("a", "b")
    assert first.win_probability == pytest.approx(0.5, abs=1e-6)
    assert last.worse == "d"


@given(some_verdicts)
@settings(max_examples=30, deadline=None)
def test_ranking_turns_round_with_the_verdicts(verdicts: list[tuple[str, str]]) -> None:
    ranking = rank(NAMES, verdicts)
    turned = {
        one.name: one for one in rank(NAMES, [(loser, winner) for winner, loser in verdicts]).places
    }

    assert sum(one.score for one in ranking.places) == pytest.approx(0, abs=1e-3)
    for one in ranking.places:
        assert turned[one.name].score == pytest.approx(-one.score, abs=1e-3)
        assert turned[one.name].standard_error == pytest.approx(one.standard_error, rel=1e-3)
    chances = [pair.win_probability for pair in ranking.pairs]
    assert chances == sorted(chances)
    assert len(chances) == 6
    assert all(0.5 <= chance < 1 for chance in chances)
