from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from llm_worker.dev.samples import (
    ESSAY_LIMIT_BYTES,
    FOLDER_LIMIT,
    EssayFolderError,
    load_essays,
    load_prompt,
    read_folder,
)

if TYPE_CHECKING:
    from pathlib import Path


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


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(f"The essay {name}.\n", "utf-8")


def complaint(folder: Path) -> str:
    with pytest.raises(EssayFolderError) as told:
        read_folder(folder)
    return str(told.value)


def test_folder_gives_its_texts_by_name_and_leaves_out_the_rest(tmp_path: Path) -> None:
    write(tmp_path, "b.md", "a name.TXT", ".hidden.txt", "marks.csv", "noise")
    (tmp_path / "more.txt").mkdir()

    assert [(essay.name, essay.text) for essay in read_folder(tmp_path)] == [
        ("a name", "The essay a name.TXT.\n"),
        ("b", "The essay b.md.\n"),
    ]


def test_byte_order_mark_is_no_part_of_an_essay(tmp_path: Path) -> None:
    write(tmp_path, "b.txt")
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe")

    assert read_folder(tmp_path)[0].text == "Grüße"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b" \n", "a.txt is empty: put an essay into it"),
        ("Grüße".encode("latin-1"), "a.txt is not UTF-8: save it as UTF-8"),
        (b"x" * (ESSAY_LIMIT_BYTES + 1), "a.txt has 400,001 bytes, 400,000 at most"),
    ],
    ids=["empty", "latin-1", "large"],
)
def test_file_that_is_no_essay_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    write(tmp_path, "b.txt")
    (tmp_path / "a.txt").write_bytes(content)

    assert words in complaint(tmp_path)


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, "b.txt")
    (tmp_path / "a.txt").symlink_to("/proc/self/mem")  # which fails for root, too

    assert "a.txt cannot be read: Input/output error" in complaint(tmp_path)


def test_one_essay_is_too_few(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")

    assert "has 1 files named *.txt or *.md: put two essays or more into it" in complaint(tmp_path)


def test_too_many_essays_are_refused_with_another_way(tmp_path: Path) -> None:
    write(tmp_path, *(f"{number}.txt" for number in range(FOLDER_LIMIT + 1)))

    assert "has 501 essays: 500 at most; for more use `llm-worker submit`" in complaint(tmp_path)


def test_two_essays_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "a.md")

    assert "a.md and a.txt have one name: rename one of them" in complaint(tmp_path)
