"""Whether a record obeys the contract: its envelope, event, key and headers.

Stricter than the worker, which forgives what it can. What is said of a fault names the field and
the remedy, and quotes nothing of the record.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson
from pydantic import ValidationError

from llm_worker.contracts.documents.examples import ORIGINAL
from llm_worker.contracts.documents.fields import rows_of
from llm_worker.contracts.documents.schemas import ENVELOPE, EVENTS, schema_of
from llm_worker.contracts.envelope import EventEnvelope, WireModel
from llm_worker.contracts.faults import each_fault
from llm_worker.contracts.headers import DeadLetterHeaders, EventHeaders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_worker.contracts.record_lines import WireRecord
    from llm_worker.contracts.topics import Topic, TopicCatalog

_MOST_WORDS: Final = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with one field of a record, and what to do about it."""

    field: str
    problem: str
    remedy: str


class _AnyEnvelope(WireModel):
    """As much of an envelope as tells which event it is around."""

    event_type: str


def faults_of(record: WireRecord, topics: TopicCatalog) -> list[Fault]:
    """Give all faults of a record; empty where it obeys the contract.

    On a topic that is none of ours, as a reply topic of a caller's own, the record is held to the
    event that its `event_type` names.
    """
    name = topics.names_on_broker().get(record.topic)
    topic = None if name is None else topics[name]
    if topic is not None and topic.event == ORIGINAL:
        return list(_header_faults(record, DeadLetterHeaders))
    if record.value is None:
        return [] if topic is not None and topic.cleanup == "compact" else [_NO_VALUE]
    if topic is None:
        topic = _named_topic(record.value, topics)
    if topic is None:
        return [_NO_EVENT]
    return list(_event_faults(record, record.value, topic))


_NO_VALUE: Final = Fault(
    field="value", problem="there is none", remedy="send the event as UTF-8 JSON"
)
_NO_EVENT: Final = Fault(
    field="event_type",
    problem="names no event",
    remedy="send an envelope in UTF-8 JSON whose event_type is a topic's default name",
)


def _named_topic(value: bytes, topics: TopicCatalog) -> Topic | None:
    try:
        event_type = _AnyEnvelope.model_validate_json(value).event_type
    except ValidationError:
        return None
    named = (topic for topic in topics.topics.values() if topic.name == event_type)
    return next((topic for topic in named if topic.event != ORIGINAL), None)


def _event_faults(record: WireRecord, value: bytes, topic: Topic) -> Iterator[Fault]:
    try:
        envelope = _read_envelope(value, topic.event)
    except ValidationError as error:
        yield from _model_faults(error, topic.event)
        yield from _header_faults(record, EventHeaders)
        return
    if envelope.event_type != topic.name:
        yield Fault(field="event_type", problem=f"is not {topic.name}", remedy=f"send {topic.name}")
    inner = getattr(envelope.data, "correlation_id", None)
    if inner not in (None, envelope.correlation_id):
        yield Fault(
            field="data.correlation_id",
            problem="differs from the envelope's",
            remedy="send the same",
        )
    yield from _key_faults(record.key, topic, envelope.correlation_id)
    yield from _header_faults(record, EventHeaders)
    yield from _unlike_faults(record, envelope)


def _read_envelope(value: bytes, event: str) -> EventEnvelope[Any]:
    model = _envelope_of(event)
    try:
        # Strict: a number that came as text is no number, though the worker would take it.
        return model.model_validate_json(value, strict=True)
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] != "json_invalid":
            raise
        try:
            # pydantic reads fewer levels of metadata than the worker echoes.
            return model.model_validate(orjson.loads(value))
        except orjson.JSONDecodeError:
            raise error from None


def _key_faults(key: bytes | None, topic: Topic, correlation_id: UUID) -> Iterator[Fault]:
    if not key:
        yield Fault(field="key", problem="there is none", remedy=f"send as UTF-8 text: {topic.key}")
    elif topic.key == "correlation id" and _uuid(key) != correlation_id:
        yield Fault(
            field="key",
            problem="is not the correlation id",
            remedy="send the envelope's, as UTF-8 text",
        )


def _unlike_faults(record: WireRecord, envelope: EventEnvelope[Any]) -> Iterator[Fault]:
    """Tell of headers that are sound and say something else than the envelope."""
    said = _headers(record)
    correlation_id = said.get("correlation_id")
    if correlation_id is not None and _uuid(correlation_id.encode()) not in (
        None,
        envelope.correlation_id,
    ):
        yield Fault(
            field="headers.correlation_id",
            problem="differs from the envelope's",
            remedy="send the same",
        )
    if said.get("event_type") not in (None, envelope.event_type):
        yield Fault(
            field="headers.event_type",
            problem="differs from the envelope's",
            remedy="send the same",
        )


def _header_faults(record: WireRecord, model: type[WireModel]) -> Iterator[Fault]:
    try:
        model.model_validate(_headers(record))
    except ValidationError as error:
        for path, problem in each_fault(error):
            yield Fault(
                field=f"headers.{path}",
                problem=problem[:_MOST_WORDS],
                remedy=_header_meanings(model)[path],
            )


def _model_faults(error: ValidationError, event: str) -> Iterator[Fault]:
    for path, problem in each_fault(error):
        remedy = _meanings(event).get(path) or f"compare with {event}.json"
        yield Fault(field=path or "value", problem=problem[:_MOST_WORDS], remedy=remedy)


@cache
def _meanings(event: str) -> dict[str, str]:
    """Say what each field means, by its path in the envelope."""
    envelope = {row.path: row.meaning for row in rows_of(schema_of(ENVELOPE))}
    return envelope | {f"data.{row.path}": row.meaning for row in rows_of(schema_of(event))}


@cache
def _header_meanings(model: type[WireModel]) -> dict[str, str]:
    return {row.path: row.meaning for row in rows_of(model.model_json_schema())}


@cache
def _envelope_of(event: str) -> type[EventEnvelope[Any]]:
    envelope: Any = EventEnvelope  # its parameter is only known now
    model: type[EventEnvelope[Any]] = envelope[EVENTS[event]]
    return model


def _headers(record: WireRecord) -> dict[str, str]:
    """Give the headers as text; of those with one name the first, as the worker takes it."""
    return {
        name: value.decode(errors="replace")
        for name, value in reversed(record.headers)
        if value is not None
    }


def _uuid(text: bytes) -> UUID | None:
    try:
        return UUID(text.decode())
    except ValueError:
        return None
