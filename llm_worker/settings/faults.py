"""What is wrong with settings, in words that name the variable and never hold its value."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from llm_worker.settings.names import variable_name, variables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError

    Path = tuple[int | str, ...]


class SettingsError(Exception):
    """A setting cannot be used; the text names it and the remedy, and never holds a value."""


def complaints(error: ValidationError, *, within: Path = ()) -> Iterator[str]:
    """Say what is wrong, a line each; `within` is the path to the model that was at fault."""
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        message = fault["msg"].removeprefix("Value error, ")
        loc = (*within, *fault["loc"])
        path = tuple(part for part in loc if isinstance(part, str))
        variable = variables().get(variable_name(path))
        if variable is not None:
            yield f"{variable.names}: {message}. It means: {variable.meaning}"
        else:
            yield f"{_place(loc)}: {message}" if path else message


def _place(loc: Path) -> str:
    """Name what is no variable: a group of them, or what stands inside of one."""
    names = tuple(str(part) for part in takewhile(lambda part: isinstance(part, str), loc))
    for end in range(len(names), 0, -1):
        if variable_name(names[:end]) in variables():
            return ", ".join((variable_name(names[:end]), *_inside(loc[end:])))
    return variable_name(names)


def _inside(loc: Path) -> Iterator[str]:
    for depth, part in enumerate(loc):
        yield f"rule {part + 1}" if isinstance(part, int) and not depth else str(part)
