from __future__ import annotations

from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.application.backoff import Backoff


@given(
    base_s=st.floats(0.001, 10),
    longest_s=st.floats(0.001, 300),
    failures=st.integers(min_value=1, max_value=100_000),
)
def test_wait_is_never_negative_and_never_longer_than_allowed(
    base_s: float, longest_s: float, failures: int
) -> None:
    wait_s = Backoff(base_s=base_s, longest_s=longest_s).seconds(failures)
    bound_s = base_s * 2 ** min(failures - 1, 60)
    assert 0 <= wait_s <= min(longest_s, bound_s)


@pytest.mark.parametrize(("failures", "up_to_s"), [(1, 0.5), (2, 1), (3, 2), (4, 4), (9, 20)])
def test_wait_is_drawn_from_the_whole_range_which_doubles(failures: int, up_to_s: float) -> None:
    backoff = Backoff(base_s=0.5, longest_s=20)
    waits_s = [backoff.seconds(failures) for _ in range(4_000)]
    assert mean(waits_s) == pytest.approx(up_to_s / 2, rel=0.1)
    assert min(waits_s) < up_to_s * 0.05
    assert max(waits_s) > up_to_s * 0.95
