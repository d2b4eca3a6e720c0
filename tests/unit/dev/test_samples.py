from __future__ import annotations

import re

from llm_worker.dev.samples import load_essays, load_prompt


def test_there_are_twelve_essays_of_a_school_essays_length() -> None:
    essays = load_essays()

    assert len(essays) == 12
    assert all(120 <= len(essay.text.split()) <= 220 for essay in essays)


def test_no_two_essays_share_a_text_or_a_quality() -> None:
    essays = load_essays()

    assert len({essay.text for essay in essays}) == 12
    assert len({essay.quality for essay in essays}) == 12


def test_qualities_reach_from_very_weak_to_excellent() -> None:
    qualities = [essay.quality for essay in load_essays()]

    assert 0 <= min(qualities) < 0.1
    assert 0.9 < max(qualities) <= 1


def test_neither_the_names_nor_their_order_give_the_ranking_away() -> None:
    essays = load_essays()

    by_quality = sorted(essays, key=lambda essay: essay.quality)
    assert list(essays) == sorted(essays, key=lambda essay: essay.name)
    assert by_quality not in (list(essays), list(reversed(essays)))
    assert all(re.fullmatch("[a-z]+", essay.name) for essay in essays)


def test_the_prompt_is_one_assignment() -> None:
    assert "?" in load_prompt()
    assert len(load_prompt().strip().splitlines()) == 1
