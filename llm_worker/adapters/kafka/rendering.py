"""Events to records."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import orjson

from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.delivery import Record
from llm_worker.domain.event import DeadLetter
from llm_worker.domain.results import SERVICE

if TYPE_CHECKING:
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.delivery import Header
    from llm_worker.domain.event import Event


class EventRenderer:
    """Writes events and dead letters down."""

    def __init__(self, topics: TopicCatalog) -> None:
        self._topics = topics
        self._own_names = topics.names_on_broker()

    def render(self, event: Event | DeadLetter) -> Record:
        """Write an event down as the record to publish."""
        if isinstance(event, DeadLetter):
            return self._render_dead_letter(event)
        event_type = self._topics[event.topic].name
        envelope = {
            "event_id": event.event_id,
            "event_type": event_type,
            "event_timestamp": event.timestamp,
            "source_service": SERVICE,
            "schema_version": 1,
            "correlation_id": event.correlation_id,
            "data_schema_uri": None,
            "data": orjson.Fragment(event.data.__pydantic_serializer__.to_json(event.data)),
            "metadata": event.trace or None,
        }
        correlation_id = str(event.correlation_id).encode()
        topic = event.reply_topic or self._topics.on_broker(event.topic)
        return Record(
            topic=topic,
            key=correlation_id if event.key is None else event.key.encode(),
            # Copied: orjson leaves its buffer's spare room attached, and outcomes are remembered.
            value=bytes(memoryview(orjson.dumps(envelope, option=orjson.OPT_UTC_Z))),
            headers=(
                ("correlation_id", correlation_id),
                ("event_type", event_type.encode()),
                *((name, value.encode()) for name, value in event.trace.items()),
            ),
            is_own=topic in self._own_names,
        )

    def redirected(self, record: Record) -> Record:
        """Address a result to the default topic, with header `undeliverable_to`."""
        return replace(
            record,
            topic=self._topics.on_broker(TopicName.COMPARISON_RESULT),
            headers=(*record.headers, ("undeliverable_to", record.topic.encode())),
            is_own=True,
        )

    def without_value(self, record: Record) -> Record:
        """Drop a dead letter's value, and say so in its headers."""
        value = record.value or b""
        said = f"{len(value)} bytes, sha256 {sha256(value).hexdigest()}".encode()
        return replace(record, value=b"", headers=(*record.headers, ("dlq.value_dropped", said)))

    def _render_dead_letter(self, letter: DeadLetter) -> Record:
        delivery = letter.delivery
        facts = {
            "reason": letter.error.message,
            "error_code": letter.error.code,
            "topic": delivery.topic,
            "partition": delivery.partition,
            "offset": delivery.offset,
            "time": letter.timestamp.isoformat(),
            "attempts": letter.attempts,
            "spent_usd": "unknown" if letter.spent_usd is None else letter.spent_usd,
        }
        if delivery.key is None:
            facts["null_key"] = "true"
        if delivery.value is None:
            facts["null_value"] = "true"
        said: list[Header] = [(f"dlq.{name}", str(fact).encode()) for name, fact in facts.items()]
        return Record(
            topic=self._topics.on_broker(TopicName.DEAD_LETTER),
            key=delivery.key if delivery.key is not None else b"",
            value=delivery.value,
            headers=(*delivery.headers, *said),
        )
