from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llm_worker.cli.tail import as_published, in_words
from llm_worker.domain.delivery import PlacedRecord

GOLDEN = Path(__file__).parents[2] / "schemas" / "golden"
NOON_MS = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp() * 1000)


def a_record(
    value: bytes | None,
    key: bytes | None = b"k",
    headers: tuple[tuple[str, bytes | None], ...] = (),
) -> PlacedRecord:
    return PlacedRecord(
        topic="t", partition=0, offset=0, at_ms=NOON_MS, key=key, value=value, headers=headers
    )


def an_event(**data: object) -> bytes:
    return json.dumps({"data": data}).encode()


def test_line_says_when_where_who_and_what() -> None:
    words = in_words("request_completed", a_record(an_event(success=True, provider="mock")))

    assert words == "12:00:00.000000Z request_completed k success=True provider=mock"


def test_no_word_of_prompt_essay_or_justification_is_shown() -> None:
    secret = an_event(
        user_prompt="SECRET",
        essay_a="SECRET",
        essay_b="SECRET",
        justification="SECRET",
        metadata={"text": "SECRET"},
        request_metadata={"text": "SECRET"},
        llm_config_overrides={"system_prompt_override": "SECRET"},
        winner="Essay A",
    )

    words = in_words("comparison_result", a_record(secret))

    assert "winner=Essay A" in words
    assert "SECRET" not in words


def test_unknown_cost_is_not_shown_as_0() -> None:
    known = in_words("cost_tracking", a_record(an_event(cost_estimate_usd=0.0, cost_known=True)))
    unknown = in_words("cost_tracking", a_record(an_event(cost_estimate_usd=0.0, cost_known=False)))

    assert known.endswith("cost_estimate_usd=0")
    assert unknown.endswith("cost_estimate_usd=unknown")


def test_error_says_its_code_and_message() -> None:
    event = an_event(error_detail={"error_code": "TIMEOUT", "message": "too late"})

    assert in_words("comparison_result", a_record(event)).endswith("TIMEOUT: too late")


def test_dead_letter_says_why_and_shows_nothing_of_the_record() -> None:
    record = a_record(
        an_event(user_prompt="SECRET"),
        headers=(("dlq.reason", b"no JSON"), ("dlq.offset", b"7"), ("traceparent", b"x")),
    )

    assert in_words("dead_letter", record).endswith("dead_letter k reason=no JSON offset=7")


def test_dead_letter_with_a_header_that_has_no_value_is_shown() -> None:
    record = a_record(None, headers=(("dlq.reason", b"no JSON"), ("dlq.offset", None)))

    assert in_words("dead_letter", record).endswith("dead_letter k reason=no JSON offset=")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "tombstone"),
        (b"SECRET", "no event: 6 bytes"),
        (b"[1]", "no event: 3 bytes"),
        (b'{"data": 1}', "no event: 11 bytes"),
    ],
)
def test_what_is_no_event_is_said_to_be_none(value: bytes | None, words: str) -> None:
    assert in_words("control", a_record(value)).endswith(words)


def test_event_cannot_pretend_to_be_two_or_move_the_cursor() -> None:
    words = in_words("control", a_record(an_event(model="a\nb\x1b[2J"), key=None))

    assert words.isprintable()
    assert "no key" in words


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*/*.json")), ids=lambda file: file.stem)
def test_every_event_fits_on_one_line(file: Path) -> None:
    wire = json.loads(file.read_text("utf-8"))["wire"]

    words = in_words("control", a_record(an_event(**wire)))

    assert "no event" not in words
    assert words.isprintable()


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (b'{\n "b": 1}', '{"b":1}'),
        (None, "null"),
        (b"no JSON \xff", '"no JSON \N{REPLACEMENT CHARACTER}"'),
        (b"[" * 300 + b"]" * 300, f'"{"[" * 300}{"]" * 300}"'),
    ],
)
def test_published_event_is_one_line_of_json(value: bytes | None, line: str) -> None:
    assert as_published(value) == line


def test_time_in_other_units_than_kafkas_is_no_time() -> None:
    record = replace(a_record(an_event()), at_ms=NOON_MS * 1000)

    assert in_words("control", record) == "? control k"
