from __future__ import annotations

from pathlib import Path

from llm_worker.contracts.documents.flows import FLOWS, Party
from llm_worker.contracts.rights import Operation, rights_of, rights_table

_PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def test_table_of_rights_is_current() -> None:
    assert rights_table() in _PAGE.read_text(encoding="utf-8"), (
        "write it again: python -c 'from llm_worker.contracts.rights import rights_table; "
        'print(rights_table(), end="")\''
    )


def test_everybody_has_the_rights_that_its_flows_need() -> None:
    for party in Party:
        rights = {(right.operation, right.topic) for right in rights_of(party)}
        assert len(rights) == len(rights_of(party))
        for name, flow in FLOWS.items():
            assert party not in flow.readers or (Operation.READ, name) in rights
            assert party not in flow.writers or (Operation.WRITE, name) in rights
