"""Tables on stdout, for people and for pipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Column, Table

from llm_worker.cli.app import out

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANY_WIDTH: Final = 1000
_NAME_WIDTH: Final = 8
"""At least, however narrow the terminal is."""


def new_table(*columns: Column) -> Table:
    """Begin a table without lines."""
    return Table(*columns, box=None, pad_edge=False)


def whole(*names: str) -> Iterator[Column]:
    """Name columns whose cells stand on one line."""
    return (Column(name, no_wrap=True) for name in names)


def folded(*names: str) -> Iterator[Column]:
    """Name columns whose cells are folded where they must be."""
    return (Column(name, overflow="fold", min_width=_NAME_WIDTH) for name in names)


def numbers(*names: str) -> Iterator[Column]:
    """Name columns of numbers."""
    return (Column(name, no_wrap=True, justify="right") for name in names)


def print_table(table: Table, *, crop: bool = True) -> None:
    """Print it; where nobody looks each row is one line, however long.

    Without `crop` a terminal that is too narrow breaks the lines.
    """
    console = out if out.is_terminal else Console(width=_ANY_WIDTH, highlight=False)
    console.print(table, crop=crop)
