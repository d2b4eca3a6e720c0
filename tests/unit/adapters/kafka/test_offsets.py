from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llm_worker.adapters.kafka.offsets import OrderedGate

_HERE = ("requests", 0)
_THERE = ("requests", 1)


def _gate(*offsets: int, generation: int = 1) -> OrderedGate[int]:
    gate: OrderedGate[int] = OrderedGate()
    for offset in offsets:
        assert gate.add(_HERE, generation, offset, offset) == []
    return gate


def test_what_is_done_waits_for_all_before_it() -> None:
    gate = _gate(5, 6, 7)
    assert gate.finish(_HERE, 1, 7) == []
    assert gate.finish(_HERE, 1, 6) == []
    assert gate.depth() == 3
    assert gate.finish(_HERE, 1, 5) == [5, 6, 7]
    assert gate.depth() == 0


def test_gaps_between_offsets_hold_up_nothing() -> None:
    gate = _gate(5, 9, 40)
    assert gate.finish(_HERE, 1, 5) == [5]
    assert gate.finish(_HERE, 1, 9) == [9]


def test_partitions_do_not_wait_for_each_other() -> None:
    gate = _gate(5)
    gate.add(_THERE, 1, 5, 105)
    assert gate.finish(_THERE, 1, 5) == [105]
    assert gate.heads() == [5]


def test_what_an_older_generation_left_is_forgotten_when_the_partition_is_pulled_again() -> None:
    gate = _gate(5, 6)
    assert gate.add(_HERE, 2, 5, 50) == [5, 6]
    assert gate.depth() == 1
    assert gate.finish(_HERE, 1, 5) == []
    assert gate.finish(_HERE, 2, 5) == [50]


def test_late_end_of_an_older_generation_does_not_pass_for_the_new_one() -> None:
    gate = _gate(5)
    gate.add(_HERE, 2, 5, 50)
    assert gate.finish(_HERE, 1, 5) == []
    assert gate.heads() == [50]


def test_forgotten_partition_gives_what_had_not_passed() -> None:
    gate = _gate(5, 6, 7)
    gate.finish(_HERE, 1, 5)
    gate.finish(_HERE, 1, 7)
    assert gate.forget(_HERE) == [6, 7]
    assert gate.forget(_HERE) == []
    assert (gate.places(), gate.depth()) == ([], 0)
    assert gate.finish(_HERE, 1, 6) == []


def test_record_that_comes_twice_in_one_generation_is_taken_once() -> None:
    gate = _gate(5, 6)
    gate.finish(_HERE, 1, 5)
    assert gate.add(_HERE, 1, 5, 5) is None
    assert gate.add(_HERE, 1, 6, 6) is None
    assert gate.finish(_HERE, 1, 6) == [6]
    assert gate.next_offset(_HERE) == 7


def test_nothing_is_next_before_the_first_pull() -> None:
    assert _gate().next_offset(_HERE) is None


@given(st.sets(st.integers(0, 30), min_size=1).map(sorted), st.randoms(use_true_random=False))
def test_records_pass_in_order_and_never_before_an_unfinished_one(
    offsets: list[int], random: object
) -> None:
    gate = _gate(*offsets)
    finished: set[int] = set()
    passed: list[int] = []
    order = sorted(offsets, key=lambda _: random.random())  # type: ignore[attr-defined] # hypothesis' Random
    for offset in order:
        finished.add(offset)
        passed += gate.finish(_HERE, 1, offset)
        assert passed == offsets[: len(passed)]
        assert set(passed) <= finished
    assert passed == offsets
