"""Essays to rank: twelve of this project's own, or those in a person's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

FOLDER_LIMIT: Final = 500
"""Essays of a folder; each is compared ten times then, which takes minutes."""

ESSAY_LIMIT_BYTES: Final = 400_000
"""UTF-8; two of them and a prompt stay below what a worker takes."""

_FOLDER = resources.files("llm_worker.dev") / "essays"
_SUFFIXES: Final = {".txt", ".md"}


class EssayFolderError(ValueError):
    """A folder cannot be ranked; the text names the file and the remedy, never what is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Essay:
    """An essay, under the name that tables show."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleEssay(Essay):
    """A sample essay.

    Attributes:
        quality: What its author meant it to be, from 0 (very weak) to 1 (excellent); no two
            samples are equal. An intent, not a measurement.
    """

    quality: float


def load_essays() -> tuple[SampleEssay, ...]:
    """Return the sample essays, by name: short, on one prompt, written for this project."""
    qualities = json.loads((_FOLDER / "quality.json").read_text("utf-8"))
    return tuple(
        SampleEssay(name=name, text=(_FOLDER / f"{name}.txt").read_text("utf-8"), quality=quality)
        for name, quality in sorted(qualities.items())
    )


def load_prompt() -> str:
    """Return the assignment that the sample essays answer."""
    return (_FOLDER / "prompt.txt").read_text("utf-8")


def read_folder(folder: Path) -> tuple[Essay, ...]:
    """Return every .txt and .md file of a folder, by name; hidden ones are left out.

    Raises:
        EssayFolderError: They are too few or too many, two have one name, or one is empty, too
            large, or not UTF-8.
    """
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    if len(files) < 2:  # noqa: PLR2004 - a comparison takes two
        raise EssayFolderError(
            f"{folder} has {len(files)} files named *.txt or *.md: put two essays or more into it"
        )
    if len(files) > FOLDER_LIMIT:
        raise EssayFolderError(
            f"{folder} has {len(files)} essays: {FOLDER_LIMIT} at most; for more use "
            "`llm-worker submit`"
        )
    by_name = {path.stem: path for path in files}
    for path in files:
        if by_name[path.stem] is not path:
            raise EssayFolderError(
                f"{path} and {by_name[path.stem].name} have one name: rename one of them"
            )
    return tuple(Essay(name=path.stem, text=_read(path)) for path in files)


def _read(path: Path) -> str:
    try:
        size_bytes = path.stat().st_size
        if size_bytes > ESSAY_LIMIT_BYTES:
            raise EssayFolderError(
                f"{path} has {size_bytes:,} bytes, {ESSAY_LIMIT_BYTES:,} at most: shorten it"
            )
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise EssayFolderError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EssayFolderError(f"{path} is not UTF-8: save it as UTF-8") from error
    if not text.strip():
        raise EssayFolderError(f"{path} is empty: put an essay into it, or take it away")
    return text
