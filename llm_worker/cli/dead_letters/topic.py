"""Dead letters as their topic holds them: what their headers tell, and whose they are."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from llm_worker import bootstrap
from llm_worker.cli.connection import prepare_for_kafka
from llm_worker.client.history import read_at, read_to_end
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.request import id_of_record, read_uuid

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping
    from uuid import UUID

    from llm_worker.bootstrap import Settings
    from llm_worker.domain.delivery import PlacedRecord

    Place = tuple[int, int]
    """Partition and offset in the dead letters' topic."""

PREFIX: Final = "dlq."
"""How the headers begin that the worker and the accountant add."""

REPLAY_OF: Final = "replay_of"
"""The header of a replay; its value is the event id of the request that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter without its content; None is not known.

    `topic`, `source_partition` and `source_offset` say where the record came from, `event_id` which
    request it is: a request that came without an id has that of its place, as in its result.
    """

    partition: int
    offset: int
    written_at: datetime
    reason: str
    error_code: str
    topic: str | None
    source_partition: int | None
    source_offset: int | None
    attempts: int | None
    spent_usd: str | None
    event_id: UUID | None
    organization_id: str | None
    value_dropped: str | None
    has_key: bool

    @property
    def place(self) -> Place:
        """Where it lies."""
        return self.partition, self.offset

    @property
    def at(self) -> str:
        """Where it lies, as commands take it."""
        return f"{self.partition}:{self.offset}"

    @property
    def age(self) -> tuple[datetime, int, int]:
        """Order letters by it: the oldest first."""
        return self.written_at, *self.place


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which dead letters are asked for: those to which everything given applies.

    `topics` are names on the broker. `limit` keeps the newest.
    """

    since: datetime | None = None
    codes: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    limit: int | None = None

    def fits(self, letter: Letter) -> bool:
        """Say whether everything but the limit applies."""
        return (
            (self.since is None or letter.written_at >= self.since)
            and (not self.codes or letter.error_code in self.codes)
            and (not self.topics or letter.topic in self.topics)
        )


class DeadLetterTopic:
    """The dead letters of an installation."""

    def __init__(self, settings: Settings) -> None:
        prepare_for_kafka()
        self._options = bootstrap.kafka_options(settings)
        self._topic = bootstrap.catalog(settings).on_broker(TopicName.DEAD_LETTER)

    async def read(self, wanted: Wanted) -> AsyncGenerator[tuple[Letter, PlacedRecord]]:
        """Give those that fit, in order within each partition, whatever the limit.

        Raises:
            ClientError: Kafka cannot be read.
        """
        since_ms = None if wanted.since is None else max(0, int(wanted.since.timestamp() * 1000))
        records = read_to_end(self._options, [self._topic], since_ms=since_ms)
        async with aclosing(records):
            async for record in records:
                letter = letter_of(record)
                if wanted.fits(letter):
                    yield letter, record

    async def read_at(
        self, places: Collection[Place]
    ) -> AsyncGenerator[tuple[Letter, PlacedRecord]]:
        """Give those at these places, as far as they are still there.

        Raises:
            ClientError: Kafka cannot be read.
        """
        async with aclosing(read_at(self._options, self._topic, places)) as records:
            async for record in records:
                yield letter_of(record), record


def letter_of(record: PlacedRecord) -> Letter:
    """Read a dead letter's headers, and of its value whose it is."""
    said = _said(record)
    topic = said.get("topic")
    source = _number(said.get("partition")), _number(said.get("offset"))
    document = document_of(record.value)
    spent_usd = said.get("spent_usd")
    return Letter(
        partition=record.partition,
        offset=record.offset,
        written_at=datetime.fromtimestamp(record.at_ms / 1000, UTC),
        reason=said.get("reason", ""),
        error_code=said.get("error_code", ""),
        topic=topic,
        source_partition=source[0],
        source_offset=source[1],
        attempts=_number(said.get("attempts")),
        spent_usd=None if spent_usd == "unknown" else spent_usd,
        event_id=read_uuid(document.get("event_id")) or _id_by_place(topic, *source),
        organization_id=_organization(document),
        value_dropped=said.get("value_dropped"),
        has_key="null_key" not in said,
    )


def document_of(value: bytes | None) -> dict[str, Any]:
    """Read a value as a JSON object; what is none is empty."""
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _said(record: PlacedRecord) -> Mapping[str, str]:
    # The last of each: ours are put behind those that the record came with.
    return {
        name.removeprefix(PREFIX): (value or b"").decode(errors="replace")
        for name, value in record.headers
        if name.startswith(PREFIX)
    }


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def _id_by_place(topic: str | None, partition: int | None, offset: int | None) -> UUID | None:
    if topic is None or partition is None or offset is None:
        return None
    return id_of_record(topic, partition, offset)


def _organization(document: dict[str, Any]) -> str | None:
    data = document.get("data")
    organization = data.get("organization_id") if isinstance(data, dict) else None
    return organization if isinstance(organization, str) else None
