from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING
from uuid import UUID

import click
import pytest

from llm_worker.cli.request_file import event_id_of, read_lines, rewindable

if TYPE_CHECKING:
    from llm_worker.cli.request_file import RequestLine

GOOD = b'{"user_prompt": "which?"}'


def lines_of(content: bytes, max_bytes: int = 1000) -> list[RequestLine]:
    return list(read_lines(io.BytesIO(content), max_bytes=max_bytes))


def complaint_about(content: bytes, max_bytes: int = 1000) -> str:
    with pytest.raises(click.UsageError) as caught:
        lines_of(content, max_bytes)
    return caught.value.message


def test_each_line_is_a_request_and_blank_lines_are_none() -> None:
    lines = lines_of(GOOD + b"\n\n  \r\n" + GOOD + b"\r\n")

    assert [line.number for line in lines] == [1, 4]
    assert {line.request.user_prompt for line in lines} == {"which?"}


def test_event_id_depends_on_number_and_content_alone() -> None:
    first, second = lines_of(GOOD + b"\n" + GOOD)

    assert first.event_id == lines_of(GOOD + b"\r\n")[0].event_id
    assert first.event_id != second.event_id
    assert first.event_id != lines_of(GOOD.replace(b"which", b"who"))[0].event_id


def test_event_ids_stay_the_same_from_release_to_release() -> None:
    assert event_id_of(1, "{}") == UUID("936e0dae-17a8-5461-b596-1fedb7b39369")


def test_byte_order_mark_does_no_harm() -> None:
    assert lines_of(b"\xef\xbb\xbf" + GOOD) == lines_of(GOOD)


def test_file_can_be_read_again_from_its_start() -> None:
    source = io.BytesIO(GOOD)

    assert list(read_lines(source, max_bytes=1000)) == list(read_lines(source, max_bytes=1000))


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"{}", "user_prompt: Field required"),
        (b'{"user_prompt": " "}', "user_prompt: is blank; say what is to be compared"),
        (b'{"user_prompt": "x", "replicate": -1}', "replicate: "),
        (b'{"user_prompt": "x", "llm_config_overrides": {"temperature_override": 3}}',
         "llm_config_overrides.temperature_override: "),
        (b'{"user_prompt": "x", "essay_a": "y"}', "essay_a and essay_b go together"),
        (b"nonsense", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
    ],
)  # fmt: skip
def test_bad_line_is_named_with_its_field_and_the_remedy(line: bytes, field: str) -> None:
    complaint = complaint_about(GOOD + b"\n" + line)

    assert complaint.startswith("line 2: ")
    assert field in complaint
    assert "schemas export" in complaint


def test_complaint_quotes_no_essay() -> None:
    assert "secret" not in complaint_about(b'{"user_prompt": "x", "essay_a": "secret"}')


def test_line_too_large_for_the_topic_is_named() -> None:
    assert "line 1 has 25 bytes" in complaint_about(GOOD, max_bytes=24)
    assert lines_of(GOOD, max_bytes=25)


def test_pipe_can_be_read_twice() -> None:
    reading, writing = os.pipe()
    os.write(writing, GOOD)
    os.close(writing)

    with os.fdopen(reading, "rb") as pipe, rewindable(pipe) as source:
        for _ in range(2):
            assert len(list(read_lines(source, max_bytes=1000))) == 1


def test_metadata_is_taken_as_deep_as_a_worker_takes_it() -> None:
    metadata = b'{"a":' * 230 + b"1" + b"}" * 230

    [line] = lines_of(b'{"user_prompt": "which?", "metadata": ' + metadata + b"}", 10_000)

    assert line.request.metadata
