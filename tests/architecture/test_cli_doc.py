from __future__ import annotations

from pathlib import Path

from llm_worker.cli.reference import cli_reference

_PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_page_of_commands_is_current() -> None:
    assert _PAGE.read_text(encoding="utf-8") == cli_reference(), (
        "write it again: python -c 'from llm_worker.cli.reference import cli_reference; "
        'print(cli_reference(), end="")\' > docs/cli.md'
    )
