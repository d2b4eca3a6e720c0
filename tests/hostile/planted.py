"""Words planted in what is sent, and where they must not come out."""

from __future__ import annotations

from typing import Final

TEXT: Final = "Zwiebelkuchen"
"""In every essay and prompt."""
KEY: Final = "Zwiebelfisch"
"""In every key."""


def leak_in(text: str) -> str | None:
    """Show where a planted word came out; None where none did."""
    for word in (TEXT, KEY):
        at = text.find(word)
        if at >= 0:
            return text[max(0, at - 300) : at + 100]
    return None
