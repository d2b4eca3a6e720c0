"""Files of results, one JSON object a line, that a stopped command can go on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from pydantic import ValidationError

from llm_worker.contracts.result import LLMComparisonResultV1

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read_results(path: Path) -> Iterator[LLMComparisonResultV1]:
    """Read what an earlier run has written; nothing, if there is no such file.

    A last line that was not finished is left out.

    Raises:
        click.UsageError: Another line is no result.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield LLMComparisonResultV1.model_validate_json(line)
            except ValidationError:
                if not line.endswith(b"\n"):
                    return
                raise click.UsageError(
                    f"--out {path}: line {number} is no result; name another file"
                ) from None


def end_cleanly(path: Path) -> None:
    """Cut a half-written last line off, so that the next result starts a line."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        whole = 0
        for line in file:
            if line.endswith(b"\n"):
                whole += len(line)
            elif _is_result(line):
                file.write(b"\n")
                return
        file.truncate(whole)


def _is_result(line: bytes) -> bool:
    try:
        LLMComparisonResultV1.model_validate_json(line)
    except ValidationError:
        return False
    return True
