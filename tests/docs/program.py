"""Run a file of Python in which `await` may stand outside of functions, as on a page."""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
from pathlib import Path
from types import FunctionType, ModuleType


def run_file(name: str) -> None:
    """Run a file as `python FILE` would, and what it awaits."""
    text, flags = Path(name).read_text("utf-8"), ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(text, name, "exec", flags, dont_inherit=True)
    # There pydantic and dataclasses look for the names in annotations.
    main = sys.modules["__main__"] = ModuleType("__main__")
    main.__dict__["__file__"] = name
    ending = FunctionType(code, main.__dict__)()
    if inspect.iscoroutine(ending):
        asyncio.run(ending)
