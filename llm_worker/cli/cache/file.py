"""A file of requests with their results, one pair a line, for `cache warm`."""

from __future__ import annotations

import codecs
from typing import IO, TYPE_CHECKING

import orjson
from pydantic import ValidationError

from llm_worker.application.warming import Unfit, recalled, sought_by
from llm_worker.cli.app import err
from llm_worker.cli.wording import first_fault
from llm_worker.contracts.envelope import WireModel
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.contracts.result import LLMComparisonResultV1
from llm_worker.contracts.vocabulary import Lane
from llm_worker.domain.errors import ContentTooLongError
from llm_worker.domain.request import build_prompt

if TYPE_CHECKING:
    from llm_worker.application.routes import Routes
    from llm_worker.cli.cache.shelf import Shelf
    from llm_worker.domain.cached import CachedVerdict

    Found = tuple[str, CachedVerdict]


class _Pair(WireModel):
    request: LLMComparisonRequestV1
    result: LLMComparisonResultV1


async def read_file(source: IO[bytes], routes: Routes, shelf: Shelf) -> None:
    """Put every line's verdict onto the shelf; name the lines that have none. Blanks are none."""
    for number, line in enumerate(source, start=1):
        content = line.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").strip()
        if not content:
            continue
        found = verdict_in(content, routes)
        if isinstance(found, str):
            shelf.skipped[found] += 1
            err.print(f"line {number}: {found}", markup=False, soft_wrap=True)
        else:
            await shelf.keep(*found)


def verdict_in(content: bytes, routes: Routes) -> Found | str:
    """Give a line's fingerprint and verdict, or why there is none, without a word of its texts."""
    try:
        pair = _Pair.from_json(content)
        prompt = build_prompt(pair.request)
    except (ValidationError, orjson.JSONDecodeError) as error:
        return first_fault(error)
    except ContentTooLongError as error:
        return error.message
    sought = sought_by(pair.request, prompt, routes, Lane.NORMAL)
    if isinstance(sought, Unfit):
        return sought
    verdict = recalled(sought, pair.result)
    return verdict if isinstance(verdict, Unfit) else (sought.fingerprint, verdict)
