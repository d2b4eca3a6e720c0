"""Files of requests, one JSON object a line."""

from __future__ import annotations

import codecs
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from uuid import UUID, uuid5

import click
import orjson
from pydantic import ValidationError

from llm_worker.cli.wording import first_fault
from llm_worker.contracts.request import LLMComparisonRequestV1

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_NAMESPACE = UUID("0d8ac1b4-6f3c-5c0b-9d53-3a5b9f6d2e70")
"""Namespace of the event ids of lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """One request, and the line it stands on."""

    number: int
    event_id: UUID
    request: LLMComparisonRequestV1


def event_id_of(number: int, content: str) -> UUID:
    """Name a line by its number, from 1, and its content: sent again it is the same request."""
    return uuid5(LINE_NAMESPACE, f"{number}\n{content}")


@contextmanager
def rewindable(source: IO[bytes]) -> Iterator[IO[bytes]]:
    """Give a source that can be read twice; a pipe is copied to disk, up to its end."""
    if source.seekable():
        yield source
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(source, copy)
        yield copy


def read_lines(source: IO[bytes], *, max_bytes: int) -> Iterator[RequestLine]:
    """Read all requests from the source's start, leaving out blank lines.

    Raises:
        click.UsageError: A line is no request, or has more than `max_bytes`.
    """
    source.seek(0)
    for number, line in enumerate(source, start=1):
        content = line.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").strip()
        if len(content) > max_bytes:
            raise click.UsageError(
                f"line {number} has {len(content)} bytes: shorten the prompt or the essays, "
                f"the request topic takes {max_bytes}"
            )
        if content:
            yield _parse(number, content)


def _parse(number: int, content: bytes) -> RequestLine:
    try:
        request = LLMComparisonRequestV1.from_json(content)
        return RequestLine(
            number=number, event_id=event_id_of(number, content.decode()), request=request
        )
    except (ValidationError, orjson.JSONDecodeError) as error:
        said = first_fault(error)
    raise click.UsageError(
        f"line {number}: {said}. Each line is one LLMComparisonRequestV1 object; "
        "`llm-worker schemas export` writes its schema"
    )
