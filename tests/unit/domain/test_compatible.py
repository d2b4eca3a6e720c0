from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_worker.domain.compatible import holding_together

if TYPE_CHECKING:
    from collections.abc import Mapping


def _fault_of(changes: Mapping[str, Any]) -> str:
    """`b` and `c` exclude each other; `needs` wants `later`; `bad` is never right."""
    if {"b", "c"} <= changes.keys():
        return "b and c exclude each other"
    if "needs" in changes and "later" not in changes:
        return "needs wants later"
    return "bad" if "bad" in changes else ""


def test_all_hold_that_have_no_fault_together() -> None:
    assert holding_together({}, _fault_of) == ({}, {})
    assert holding_together({"a": 1, "b": 2}, _fault_of) == ({"a": 1, "b": 2}, {})


def test_of_two_that_exclude_each_other_the_older_one_holds() -> None:
    held, ignored = holding_together({"c": 1, "a": 2, "b": 3}, _fault_of)
    assert held == {"c": 1, "a": 2}
    assert ignored == {"b": "b and c exclude each other"}


def test_one_that_needs_a_later_one_holds_with_it() -> None:
    held, ignored = holding_together({"needs": 1, "bad": 2, "later": 3}, _fault_of)
    assert (held, ignored) == ({"later": 3, "needs": 1}, {"bad": "bad"})
