from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.contracts.result import JUSTIFICATION_LIMIT, TokenUsage
from llm_worker.domain.verdict import (
    Billing,
    Usage,
    cut_at_word,
    own_confidence,
    total_cost,
    total_usage,
    wire_confidence,
)


@pytest.mark.parametrize(
    ("inside", "on_wire"), [(0.0, 1.0), (0.5, 3.0), (1.0, 5.0), (-0.2, 1.0), (1.7, 5.0)]
)
def test_confidence_is_mapped_to_one_to_five_and_clamped(inside: float, on_wire: float) -> None:
    assert wire_confidence(inside) == on_wire


def test_confidence_is_mapped_back_from_the_wire() -> None:
    assert [own_confidence(on_wire) for on_wire in (1, 3, 4, 5)] == [0, 0.5, 0.75, 1]


def test_text_within_the_limit_is_left_as_it_is() -> None:
    assert cut_at_word("a b", 3) == "a b"


def test_long_text_is_cut_at_a_word_with_an_ellipsis() -> None:
    assert cut_at_word("one two three", 10) == "one two…"


def test_word_without_an_end_is_cut_within() -> None:
    assert cut_at_word("x" * 600) == "x" * (JUSTIFICATION_LIMIT - 1) + "…"


def test_text_without_a_word_is_cut_to_the_ellipsis() -> None:
    assert cut_at_word(" " * 9, 4) == "…"


@given(st.text(), st.integers(2, 40))
def test_cut_text_never_exceeds_its_limit(text: str, limit: int) -> None:
    assert len(cut_at_word(text, limit)) <= limit


def test_costs_add_up_exactly() -> None:
    tenth = Billing(cost_usd=Decimal("0.1"))
    assert total_cost([tenth] * 3) == Decimal("0.3")
    assert total_cost([]) == 0


def test_one_unknown_cost_makes_the_total_unknown() -> None:
    assert total_cost([Billing(cost_usd=Decimal(1)), Billing(cost_usd=None)]) is None


def test_unknown_kinds_of_tokens_are_left_out() -> None:
    assert Usage().counts() == {}
    assert Usage(prompt_tokens=3).counts() == {"prompt_tokens": 3}
    assert Usage(prompt_tokens=3, completion_tokens=0, reasoning_tokens=1).counts() == {
        "prompt_tokens": 3,
        "completion_tokens": 0,
        "total_tokens": 3,
        "reasoning_tokens": 1,
    }


def test_known_kinds_of_tokens_have_their_names_and_a_total_of_what_was_sent_and_answered() -> None:
    usage = Usage(
        prompt_tokens=7,
        completion_tokens=5,
        cache_read_tokens=4,
        cache_write_tokens=2,
        reasoning_tokens=1,
    )
    assert usage.counts() == {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
        "cache_read_tokens": 4,
        "cache_write_tokens": 2,
        "reasoning_tokens": 1,
    }


def test_usage_of_all_attempts_adds_up_what_is_known() -> None:
    usages = [Usage(prompt_tokens=3, completion_tokens=2), Usage(prompt_tokens=4), Usage()]
    assert total_usage([Billing(usage=usage) for usage in usages]) == TokenUsage(
        prompt_tokens=7, completion_tokens=2, total_tokens=9
    )
