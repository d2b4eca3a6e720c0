"""The Python on the pages is what mypy takes in strict mode, as for the project's own."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from textwrap import indent
from typing import TYPE_CHECKING, Final

from tests.docs.pages import PAGES, read_page
from tests.support.dockerfile import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.pages import Block

_AWAITS: Final = ast.Await | ast.AsyncFor | ast.AsyncWith


def test_python_on_the_pages_has_right_types(tmp_path: Path) -> None:
    blocks = [b for page in PAGES for b in read_page(page) if b.language == "python"]
    assert blocks
    for block in blocks:
        name = block.where.replace("/", "_").replace(".md:", "_").replace("-", "_")
        (tmp_path / f"{name.lower()}.py").write_text(_as_module(block), "utf-8")
    checked = subprocess.run(  # noqa: S603 - our own pages
        [sys.executable, "-m", "mypy", "--no-error-summary", tmp_path],
        cwd=REPOSITORY,
        env={"MYPYPATH": str(tmp_path), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.stdout + checked.stderr == ""


def _as_module(block: Block) -> str:
    """Put a program that awaits outside of functions into one, which mypy demands."""
    if not _awaits_outside(ast.parse(block.text)):
        return block.text
    return "async def main() -> None:\n" + indent(block.text, "    ")


def _awaits_outside(node: ast.AST) -> bool:
    if isinstance(node, _AWAITS):
        return True
    inside = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    return any(
        _awaits_outside(child)
        for child in ast.iter_child_nodes(node)
        if not isinstance(child, inside)
    )
