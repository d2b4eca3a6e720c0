from __future__ import annotations

from pathlib import Path

from llm_worker.contracts.documents.page import contracts_page

_PAGE = Path(__file__).parents[2] / "docs" / "contracts.md"


def test_contracts_page_is_current() -> None:
    assert _PAGE.read_text(encoding="utf-8") == contracts_page(), (
        "write it again: python -c 'from llm_worker.contracts.documents.page import "
        'contracts_page; print(contracts_page(), end="")\' > docs/contracts.md'
    )
