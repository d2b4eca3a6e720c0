"""What is wrong with a document, in words that quote nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


def faults_in_words(error: ValidationError, *, whole: str, at_most: int = 5) -> str:
    """Name the first fields at fault, and what is wrong with each; `whole` names the document."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{_path(fault) or whole}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in faults[:at_most]
    )


def fields_at_fault(error: ValidationError) -> str:
    """Name the fields at fault; empty where it is the document as a whole."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return ", ".join(sorted(set(map(_path, faults))))


def _path(fault: ErrorDetails) -> str:
    return ".".join(map(str, fault["loc"]))
