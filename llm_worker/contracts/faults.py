"""What is wrong with a document, in words that quote nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def each_fault(error: ValidationError) -> list[tuple[str, str]]:
    """Give each fault's path, empty for the document as a whole, and what is wrong there."""
    return [
        (".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, "))
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def faults_in_words(error: ValidationError, *, whole: str, at_most: int = 5) -> str:
    """Name the first fields at fault, and what is wrong with each; `whole` names the document."""
    return "; ".join(f"{path or whole}: {words}" for path, words in each_fault(error)[:at_most])


def fields_at_fault(error: ValidationError) -> str:
    """Name the fields at fault; empty where it is the document as a whole."""
    return ", ".join(sorted({path for path, _ in each_fault(error)}))
