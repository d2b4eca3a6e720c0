"""Dead letters as tables for people and JSON for programs; no text of an essay in either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from llm_worker.cli.app import out
from llm_worker.cli.dead_letters.topic import document_of
from llm_worker.cli.tables import folded, new_table, numbers, print_table
from llm_worker.cli.wording import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from llm_worker.cli.dead_letters.topic import Letter
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.delivery import PlacedRecord

_TOLD: Final = frozenset(
    {
        "event_id", "event_type", "event_timestamp", "source_service", "correlation_id",
        "callback_topic", "provider_override", "model_override", "reasoning_effort",
        "output_verbosity", "user_id", "organization_id", "cache_mode", "not_after",
        "provider", "model", "request_type", "outcome", "failure_type",
    }
)  # fmt: skip
"""Fields whose text is shown; any other may be a prompt's or an essay's."""

_OPENED: Final = frozenset({"data", "llm_config_overrides"})
"""Objects whose fields are ours to name; those of `metadata` are the caller's."""


def show_letters(letters: Sequence[Letter], topics: TopicCatalog) -> None:
    """Print one a row, the oldest first."""
    table = new_table(*folded("at", "time, UTC", "error", "from"), *numbers("attempts", "USD"))
    for name in ("organization", "event id", "reason"):
        table.add_column(name, overflow="fold")
    names = topics.names_on_broker()
    for each in letters:
        table.add_row(
            each.at,
            f"{each.written_at:%Y-%m-%d %H:%M:%S}",
            _cell(each.error_code),
            _cell(_source(each, names.get(each.topic or ""))),
            _cell(each.attempts),
            _cell(each.spent_usd or "unknown"),
            _cell(each.organization_id),
            _cell(each.event_id),
            _cell(each.reason),
        )
    print_table(table, crop=False)


def letter_as_json(letter: Letter) -> dict[str, Any]:
    """Give it to a program; money as decimal text, null where nothing is known."""
    return {
        "at": letter.at,
        "time": letter.written_at.isoformat(),
        "reason": letter.reason,
        "error_code": letter.error_code,
        "topic": letter.topic,
        "partition": letter.source_partition,
        "offset": letter.source_offset,
        "attempts": letter.attempts,
        "spent_usd": letter.spent_usd,
        "event_id": letter.event_id and str(letter.event_id),
        "organization_id": letter.organization_id,
    }


def record_as_json(letter: Letter, record: PlacedRecord) -> dict[str, Any]:
    """Give a program everything, the original value too; what is not JSON becomes text."""
    value: object = None
    if record.value is not None:
        try:
            value = orjson.loads(record.value)
        except orjson.JSONDecodeError:
            value = record.value.decode(errors="replace")
    return {
        **letter_as_json(letter),
        "key": _text(record.key),
        "headers": [[name, _text(header)] for name, header in record.headers],
        "value": value,
    }


def show_record(record: PlacedRecord) -> None:
    """Print key, headers and fields; of what may be a prompt's or an essay's text its length."""
    lines = [("key", _text(record.key) or "none")]
    lines += [(f"header {name}", _text(header) or "none") for name, header in record.headers]
    lines += _fields(record.value)
    width = max(len(name) for name, _ in lines)
    for name, words in lines:
        out.print(shown(f"{name:<{width}}  {words}"), soft_wrap=True)


def _fields(value: bytes | None) -> Iterator[tuple[str, str]]:
    document = document_of(value)
    if document:
        yield from _told("", document)
    else:
        yield "value", "none" if value is None else f"no JSON object: {len(value)} bytes"


def _told(path: str, document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in document.items():
        where = f"{path}{name}"
        match value:
            case dict() if name in _OPENED:
                yield from _told(f"{where}.", value)
            case list() | dict():
                yield where, f"{len(value)} items"
            case str() if name not in _TOLD:
                yield where, f"{len(value)} characters, shown with --json"
            case None:
                yield where, "none"
            case _:
                yield where, str(value)


def _source(letter: Letter, name: str | None) -> str:
    parts: Iterable[object] = (name or letter.topic, letter.source_partition, letter.source_offset)
    return ":".join("?" if part is None else str(part) for part in parts)


def _cell(what: object) -> str:
    return "-" if what is None else shown(str(what))


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode(errors="replace")
