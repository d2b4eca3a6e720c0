"""A request on its way out, and its result on the way back, as records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

import orjson
from pydantic import ValidationError

from llm_worker.client.errors import UnreadableResultError
from llm_worker.client.failures import ContentTooLongError, RequestValidationError
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.faults import fields_at_fault
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.contracts.result import LLMComparisonResultV1
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, Lane

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from llm_worker.contracts.topics import TopicCatalog

_OVERHEAD_BYTES: Final = 1_024
"""Of key, headers and batch."""
_ResultEnvelope = EventEnvelope[LLMComparisonResultV1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A request with its identity.

    The same `event_id` with the same request is one and the same request to the worker, however
    often it is sent. Without a `correlation_id`, here or in the request, the event id serves.
    `trace` is the W3C trace context, `traceparent` and `tracestate`, of whoever asks.
    """

    request: LLMComparisonRequestV1
    event_id: UUID = field(default_factory=uuid4)
    correlation_id: UUID | None = None
    lane: Lane = Lane.NORMAL
    trace: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> bytes:
        """The record's key, of the request and of its result."""
        return str(self.joined_by).encode()

    @property
    def joined_by(self) -> UUID:
        """The correlation id that the envelope carries."""
        return self.correlation_id or self.request.correlation_id or self.event_id


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """What is sent."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def render(
    submission: Submission, topics: TopicCatalog, *, source_service: str, now: datetime
) -> RequestRecord:
    """Write a submission down.

    Raises:
        RequestValidationError: As `written` does.
        ContentTooLongError: The topic takes no record so large.
    """
    name = REQUEST_TOPICS[submission.lane]
    event_type = topics[name].name
    envelope = EventEnvelope[LLMComparisonRequestV1].model_construct(
        event_id=submission.event_id,
        event_type=event_type,
        event_timestamp=now,
        source_service=source_service,
        schema_version=1,
        correlation_id=submission.joined_by,
        data_schema_uri=None,
        data=submission.request,
        metadata=dict(submission.trace) or None,
    )
    around = envelope.model_dump(mode="json", exclude={"data"})
    value = orjson.dumps({**around, "data": orjson.Fragment(written(submission.request))})
    most_bytes = topics[name].max_message_bytes - _OVERHEAD_BYTES
    if len(value) > most_bytes:
        raise ContentTooLongError(
            f"the request has {len(value)} bytes, and its topic takes {most_bytes}: shorten "
            "essay_a, essay_b or user_prompt"
        )
    return RequestRecord(
        topic=topics.on_broker(name),
        key=submission.key,
        value=value,
        headers=[
            ("correlation_id", submission.key),
            ("event_type", event_type.encode()),
            *((name, value.encode()) for name, value in submission.trace.items()),
        ],
    )


def written(request: LLMComparisonRequestV1) -> bytes:
    """Write a request down as it goes out: only what was asked for.

    A later version, which knows more fields, writes the same: under one event id nothing else may
    ever be sent.

    Raises:
        RequestValidationError: Its metadata is nothing that JSON can hold.
    """
    try:
        return orjson.dumps(request.model_dump(mode="json", exclude_defaults=True))
    except (ValueError, TypeError):
        raise RequestValidationError(
            "metadata: cannot be written as JSON; put plain values into it, under 250 levels deep"
        ) from None


def read_result(value: bytes | None) -> LLMComparisonResultV1:
    """Read a result off its record.

    Raises:
        UnreadableResultError: It is not one.
    """
    try:
        return _ResultEnvelope.from_json(value or b"").data
    except orjson.JSONDecodeError:
        faults = "not JSON"
    except ValidationError as error:
        faults = fields_at_fault(error)
    raise UnreadableResultError(
        f"a result cannot be read ({faults}): use a client as new as the worker"
    )
