"""The tags around essays; what providers are sent of them is tested with the dialects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llm_worker.domain import framing
from llm_worker.domain.framing import with_essays

if TYPE_CHECKING:
    import pytest


def _mark(essay_a: str, essay_b: str) -> str:
    """The mark that all tags have, and that is said before them."""
    prompt = with_essays("Which?", essay_a, essay_b)
    [said] = re.findall(r"tags that end in (\w+)\.", prompt)
    assert re.findall(r"^</?essay_[ab]_(\w+)>$", prompt, re.MULTILINE) == [said] * 4
    return str(said)


def test_mark_of_the_tags_moves_with_either_essay() -> None:
    pairs = [("a", "b"), ("a", "c"), ("b", "a"), ("ab", ""), ("", "ab")]
    assert len({_mark(*pair) for pair in pairs}) == len(pairs)
    assert _mark("a", "b") == _mark("a", "b")


def test_mark_that_an_essay_has_guessed_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    # So short that essays can hold all but one of the marks there are.
    monkeypatch.setattr(framing, "_MARK_LENGTH", 1)
    marks = "0123456789abcdef"
    assert [_mark(marks.replace(left, ""), "") for left in marks] == list(marks)
