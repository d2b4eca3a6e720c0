from __future__ import annotations

import ast
from pathlib import Path

import pytest

_PACKAGE = Path(__file__).parents[2] / "llm_worker"
_MODULES = sorted(_PACKAGE.rglob("*.py"))
_MODULE_LINES = 300
_FUNCTION_LINES = 50


@pytest.mark.parametrize("module", _MODULES, ids=lambda m: str(m.relative_to(_PACKAGE)))
def test_module_and_its_functions_are_small(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert text.count("\n") <= _MODULE_LINES
    too_long = [
        f"{node.name} has {length} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > _FUNCTION_LINES
    ]
    assert too_long == []


def test_there_is_something_to_measure() -> None:
    assert len(_MODULES) > 50
