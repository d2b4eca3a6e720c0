from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.dev.pairing import EVERY_PAIR_UP_TO, TIMES, choose_pairs


@given(st.integers(0, EVERY_PAIR_UP_TO))
def test_few_items_are_all_compared_once(count: int) -> None:
    pairs = choose_pairs(range(count))

    assert len(pairs) == len({frozenset(pair) for pair in pairs})
    assert {frozenset(pair) for pair in pairs} == {
        frozenset(pair) for pair in combinations(range(count), 2)
    }


@given(st.integers(EVERY_PAIR_UP_TO + 1, 300))
def test_of_many_items_each_is_compared_as_often_and_with_others(count: int) -> None:
    pairs = choose_pairs(range(count))

    assert len(pairs) == len({frozenset(pair) for pair in pairs}) == count * TIMES // 2
    assert set(Counter(item for pair in pairs for item in pair).values()) == {TIMES}


@pytest.mark.parametrize("count", [2, 3, 12, 13, 21, 22, 100])
def test_each_item_is_first_about_as_often_as_second(count: int) -> None:
    pairs = choose_pairs(range(count))
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)

    assert all(abs(first[item] - second[item]) <= 1 for item in range(count))


def test_all_items_hang_together() -> None:
    count = 101
    neighbours: dict[int, set[int]] = {item: set() for item in range(count)}
    for one, other in choose_pairs(range(count)):
        neighbours[one].add(other)
        neighbours[other].add(one)
    reached, waiting = {0}, [0]
    while waiting:
        found = neighbours[waiting.pop()] - reached
        reached |= found
        waiting += found

    assert len(reached) == count
