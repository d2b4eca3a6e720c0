"""Tables on stdout, for people and for pipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console

from llm_worker.cli.app import out

if TYPE_CHECKING:
    from rich.table import Table

_ANY_WIDTH: Final = 1000


def print_table(table: Table, *, crop: bool = True) -> None:
    """Print it; where nobody looks each row is one line, however long.

    Without `crop` a terminal that is too narrow breaks the lines.
    """
    console = out if out.is_terminal else Console(width=_ANY_WIDTH, highlight=False)
    console.print(table, crop=crop)
