"""Twelve short essays on one prompt, written for this project by its authors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources

_FOLDER = resources.files("llm_worker.dev") / "essays"


@dataclass(frozen=True, slots=True, kw_only=True)
class Essay:
    """A sample essay.

    Attributes:
        quality: What its author meant it to be, from 0 (very weak) to 1 (excellent); no two
            samples are equal. An intent, not a measurement.
    """

    name: str
    text: str
    quality: float


def load_essays() -> tuple[Essay, ...]:
    """Return all sample essays, by name."""
    qualities = json.loads((_FOLDER / "quality.json").read_text("utf-8"))
    return tuple(
        Essay(name=name, text=(_FOLDER / f"{name}.txt").read_text("utf-8"), quality=quality)
        for name, quality in sorted(qualities.items())
    )


def load_prompt() -> str:
    """Return the assignment that the sample essays answer."""
    return (_FOLDER / "prompt.txt").read_text("utf-8")
