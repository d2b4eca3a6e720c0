"""docs/errors.md: every code and every exception of the client has its row, and it is true."""

from __future__ import annotations

import re
from pathlib import Path

from llm_worker import client
from llm_worker.client.errors import ClientError
from llm_worker.client.failures import ComparisonError
from llm_worker.contracts.vocabulary import ErrorCode
from llm_worker.domain import errors as worker_errors

_PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text("utf-8")
_ROW = re.compile(r"^\| \[`(\w+)`\]\(#(\w+)\) \| `(\w+)` \| ([a-z ]+) \|", re.MULTILINE)
_ROWS = {code: (anchor, error, again) for code, anchor, error, again in _ROW.findall(_PAGE)}
_IN_THE_TREE = re.compile(r"── (\w+) +\S.* ([A-Z]{2,}_[A-Z_]+|TIMEOUT)\b")
_AGAIN = {
    frozenset({True}): "yes",
    frozenset({False}): "no",
    frozenset({True, False}): "by cause",
    frozenset[bool](): "never sent",
}


def test_every_code_has_its_row_and_its_section() -> None:
    headings = re.findall(r"^### (.*)$", _PAGE, re.MULTILINE)
    assert sorted(_ROWS) == sorted(headings) == sorted(ErrorCode)
    assert all(anchor == code.lower() for code, (anchor, _, _) in _ROWS.items())


def test_every_code_names_the_exception_that_the_client_raises() -> None:
    raised = {code.value: ComparisonError.by_code(code).__name__ for code in ErrorCode}
    assert {code: error for code, (_, error, _) in _ROWS.items()} == raised


def test_retryable_is_what_the_errors_of_the_worker_say() -> None:
    raised = _IN_THE_TREE.findall(worker_errors.__doc__ or "")
    answers = {
        code.value: frozenset(
            getattr(worker_errors, name).is_retryable for name, of in raised if of == code
        )
        for code in ErrorCode
    }
    said = {code: again for code, (_, _, again) in _ROWS.items()}
    assert said == {code: _AGAIN[answer] for code, answer in answers.items()}


def test_every_error_of_the_client_that_is_no_answer_has_its_row() -> None:
    section = _PAGE.partition("## Errors of the client that are no answer")[2]
    rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    theirs = {
        name
        for name, kind in vars(client).items()
        if isinstance(kind, type)
        and issubclass(kind, ClientError)
        and not issubclass(ClientError, kind)
        and not issubclass(kind, ComparisonError)
    }
    assert set(rows) == theirs
