from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llm_worker.adapters.cache.lru import Lru
from tests.support.fakes import ManualClock


def _lru(
    max_bytes: int = 100, max_entries: float = 1_000, ttl_s: float = 1e9
) -> tuple[Lru[str, int], ManualClock, list[None]]:
    clock, evicted = ManualClock(), list[None]()
    lru = Lru[str, int](
        max_bytes=max_bytes,
        max_entries=max_entries,
        ttl_s=ttl_s,
        clock=clock,
        on_evict=lambda: evicted.append(None),
    )
    return lru, clock, evicted


def test_what_is_kept_is_given_and_what_is_not_is_none() -> None:
    lru, _, _ = _lru()
    lru.keep("a", 1, 10)
    assert (lru.get("a"), lru.get("b"), len(lru), lru.size_bytes) == (1, None, 1, 10)


def test_bytes_are_bounded_and_the_least_recently_used_go_first() -> None:
    lru, _, evicted = _lru(max_bytes=30)
    for key in "abc":
        lru.keep(key, 0, 10)
    lru.get("a")
    lru.keep("d", 0, 10)
    assert [lru.get(key) for key in "abcd"] == [0, None, 0, 0]
    assert (lru.size_bytes, len(evicted)) == (30, 1)


def test_entries_are_bounded_however_small_they_are() -> None:
    lru, _, evicted = _lru(max_entries=2)
    for key in "abc":
        lru.keep(key, 0, 0)
    assert [lru.get(key) for key in "abc"] == [None, 0, 0]
    assert len(evicted) == 1


def test_age_ends_at_the_ttl_and_reading_does_not_prolong_it() -> None:
    lru, clock, evicted = _lru(ttl_s=10)
    lru.keep("a", 1, 10)
    clock.advance(9.5)
    assert lru.get("a") == 1
    clock.advance(0.5)
    assert (lru.get("a"), lru.size_bytes, len(evicted)) == (None, 0, 0)


def test_keeping_again_replaces_and_begins_a_new_age() -> None:
    lru, clock, _ = _lru(ttl_s=10)
    lru.keep("a", 1, 10)
    clock.advance(9)
    lru.keep("a", 2, 20)
    clock.advance(9)
    assert (lru.get("a"), lru.size_bytes, len(lru)) == (2, 20, 1)


def test_dropping_what_is_not_there_changes_nothing() -> None:
    lru, _, _ = _lru()
    lru.keep("a", 1, 10)
    lru.drop("b")
    lru.drop("a")
    assert (lru.size_bytes, len(lru)) == (0, 0)


def test_what_is_larger_than_the_whole_memory_is_not_kept() -> None:
    lru, _, _ = _lru(max_bytes=30)
    lru.keep("a", 1, 31)
    assert (lru.get("a"), lru.size_bytes) == (None, 0)


def test_what_is_larger_than_the_whole_memory_drives_nobody_out() -> None:
    lru, _, evicted = _lru(max_bytes=30)
    lru.keep("a", 1, 10)
    lru.keep("b", 2, 31)
    assert (lru.get("a"), lru.size_bytes, evicted) == (1, 10, [])


def test_old_value_is_gone_when_its_successor_is_too_large() -> None:
    lru, _, _ = _lru(max_bytes=30)
    lru.keep("a", 1, 10)
    lru.keep("a", 2, 31)
    assert (lru.get("a"), lru.size_bytes) == (None, 0)


_steps = st.lists(
    st.tuples(
        st.sampled_from(["keep", "get", "drop"]), st.sampled_from("abcde"), st.integers(0, 40)
    )
)


@given(_steps)
def test_bounds_hold_and_sizes_add_up_whatever_is_done(steps: list[tuple[str, str, int]]) -> None:
    lru, _, _ = _lru(max_bytes=50, max_entries=3)
    sizes: dict[str, int] = {}
    for step, key, size in steps:
        if step == "keep":
            lru.keep(key, size, size)
            sizes[key] = size
        elif step == "get":
            assert lru.get(key) in {None, sizes.get(key)}
        else:
            lru.drop(key)
        assert lru.size_bytes <= 50
        assert len(lru) <= 3
        assert lru.size_bytes == sum(sizes[key] for key in "abcde" if lru.get(key) is not None)
