from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import uuid4

import pytest

from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.domain.errors import ContentTooLongError
from llm_worker.domain.request import (
    PROMPT_LIMIT_BYTES,
    build_prompt,
    deadline_of,
    id_of_record,
    rejection_namespace,
)

_NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def test_prompt_without_essays_is_sent_as_it_stands() -> None:
    prompt = build_prompt(LLMComparisonRequestV1(user_prompt="  Which?\n"))
    assert prompt.text == "  Which?\n"
    assert prompt.sha256 == sha256(b"  Which?\n").hexdigest()


def test_both_essays_are_put_into_the_prompt_in_their_order() -> None:
    prompt = build_prompt(
        LLMComparisonRequestV1(user_prompt="Which?", essay_a="first", essay_b="second")
    )
    tags = re.findall(r"^</?essay_\w+>$", prompt.text, re.MULTILINE)
    parts = [prompt.text.index(part) for part in ("Which?", "first", "second")]
    assert parts == sorted(parts)
    assert len(tags) == len(set(tags)) == 4


def test_prompt_is_measured_in_bytes_with_its_essays() -> None:
    asked = LLMComparisonRequestV1(
        user_prompt="Which?", essay_a="é" * (PROMPT_LIMIT_BYTES // 2), essay_b=""
    )
    with pytest.raises(ContentTooLongError, match=r"shorten it to 1000000 or fewer") as caught:
        build_prompt(asked)
    assert "é" not in caught.value.message


def test_prompt_at_the_limit_is_accepted() -> None:
    prompt = build_prompt(LLMComparisonRequestV1(user_prompt="x" * PROMPT_LIMIT_BYTES))
    assert len(prompt.text) == PROMPT_LIMIT_BYTES


def test_record_without_an_event_id_has_the_same_id_each_time_it_comes() -> None:
    assert id_of_record("t", 1, 2) == id_of_record("t", 1, 2)
    others = {id_of_record("u", 1, 2), id_of_record("t", 2, 2), id_of_record("t", 1, 3)}
    assert len(others | {id_of_record("t", 1, 2)}) == 4


def test_events_of_a_conflict_draw_their_ids_from_request_and_content() -> None:
    request_id = uuid4()
    assert rejection_namespace(request_id, b"x") == rejection_namespace(request_id, b"x")
    assert rejection_namespace(request_id, b"x") != rejection_namespace(request_id, b"y")
    assert rejection_namespace(request_id, b"x") != request_id


@pytest.mark.parametrize(
    ("not_after", "deadline_s"),
    [
        (None, 1_300),
        (_NOW + timedelta(seconds=20), 1_020),
        (_NOW + timedelta(days=1), 1_300),
        (_NOW - timedelta(seconds=20), 980),
        (datetime.max.replace(tzinfo=UTC), 1_300),
        (datetime.min.replace(tzinfo=UTC), None),
    ],
    ids=["none", "soon", "far away", "past", "year 9999", "year 1"],
)
def test_deadline_is_not_after_and_at_most_the_longest(
    not_after: datetime | None, deadline_s: float | None
) -> None:
    found_s = deadline_of(not_after, now=_NOW, now_s=1_000, longest_s=300)
    assert found_s == deadline_s or (deadline_s is None and found_s < 0)
