from __future__ import annotations

import pytest

from llm_worker.domain.printable import printable, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe, 12 €", "Größe, 12 €"),
        ("12\N{NO-BREAK SPACE}%, 7\N{NARROW NO-BREAK SPACE}%", "12\N{NO-BREAK SPACE}%, 7\u202f%"),
        ("\x1b]52;c;AAAA\x07", "?]52;c;AAAA?"),
        ("one\ntwo\rthree\tfour", "one?two?three?four"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}txt\N{ZERO WIDTH SPACE}", "?txt?"),
        ("", ""),
    ],
)
def test_nothing_moves_the_cursor_and_no_space_is_lost(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_stay_lines() -> None:
    assert printable_lines("one\r\n\x1b[2J\ntwo") == "one\n?[2J\ntwo"
