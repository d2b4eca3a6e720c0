"""What is wrong with a document, in words that quote nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

_FAULTS_SHOWN = 5


def faults_in_words(error: ValidationError, *, whole: str) -> str:
    """Name the first fields at fault, and what is wrong with each; `whole` names the document."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or whole}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in faults[:_FAULTS_SHOWN]
    )
