"""Text that others wrote, made fit for a terminal."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """Let nothing move the cursor, or pretend to be two lines; spaces of any width are harmless."""
    return "".join(
        each if each.isprintable() or unicodedata.category(each) == "Zs" else "?" for each in text
    )


def printable_lines(text: str) -> str:
    """The same for what may have lines."""
    return "\n".join(map(printable, text.splitlines()))
