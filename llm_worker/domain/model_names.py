"""What models are called: a provider may answer with the version of the one that was asked."""

from __future__ import annotations

import re
from typing import Final

_VERSION: Final = re.compile(
    r"([-@](\d{8}|\d{4}-\d\d-\d\d|\d\d-\d\d(\d\d)?|\d{3,4}|latest|preview))+"
)
"""What may follow a model's name: 20251001, 2026-03-05, 05-06, 09-2025, 001, latest, preview."""


def is_model(name: str, model: str) -> bool:
    """Say whether `name` is the model's, or that of a version of it."""
    return name == model or (
        name.startswith(model) and _VERSION.fullmatch(name, len(model)) is not None
    )
