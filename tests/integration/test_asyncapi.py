from __future__ import annotations

from typing import TYPE_CHECKING

from llm_worker.contracts.documents.asyncapi import asyncapi_text
from llm_worker.contracts.topics import shipped
from tests.support.asyncapi_parser import diagnostics

if TYPE_CHECKING:
    from pathlib import Path

# Says that there is a newer version of AsyncAPI, which fewer tools read.
_ACCEPTED = {"asyncapi-latest-version"}
_MISTAKES = {"action: receive": "action: listen", "components/messages/cache_hit": "nowhere"}


# In one run of the parser: it is its start that takes time.
def test_the_official_parser_accepts_the_document_and_sees_mistakes(tmp_path: Path) -> None:
    broken, text = tmp_path / "broken.yaml", asyncapi_text()
    for right, wrong in _MISTAKES.items():
        assert right in text
        text = text.replace(right, wrong, 1)
    broken.write_text(text, encoding="utf-8")

    ours, of_broken = diagnostics(shipped("schemas/asyncapi.yaml"), broken)

    assert [finding for finding in ours if finding["rule"] not in _ACCEPTED] == []
    errors = {finding["place"] for finding in of_broken if finding["severity"] == 0}
    assert any(place.endswith("/action") for place in errors)
    assert any(place.endswith("/$ref") for place in errors)
