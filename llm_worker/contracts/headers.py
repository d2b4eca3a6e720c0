"""The headers of records. Kafka has bytes there; these are UTF-8 text."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from pydantic import ConfigDict, Field

from llm_worker.contracts.envelope import UtcDatetime, WireModel
from llm_worker.contracts.vocabulary import ErrorCode

_TRACEPARENT: Final = r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
_WHOLE_NUMBER: Final = r"^[0-9]+$"


class EventHeaders(WireModel):
    """Headers of every event."""

    correlation_id: UUID = Field(description="The envelope's correlation_id.")
    event_type: str = Field(description="The envelope's event_type.")
    traceparent: str | None = Field(
        default=None,
        pattern=_TRACEPARENT,
        description="W3C trace context of who asked; only when traced.",
    )
    tracestate: str | None = Field(
        default=None, max_length=512, description="W3C trace state, beside traceparent."
    )
    undeliverable_to: str | None = Field(
        default=None,
        description="On a result that the broker refused on the caller's topic: that topic.",
    )
    accountant: str | None = Field(
        default=None, description="On spend_state: the process that published it."
    )


class DeadLetterHeaders(WireModel):
    """Headers that a dead letter has beside those that the record came with."""

    model_config = ConfigDict(alias_generator=lambda name: f"dlq.{name}")

    reason: str = Field(description="What is wrong, in words: the field or the cause, the remedy.")
    error_code: ErrorCode = Field(description="The same for a program, as in error_detail.")
    topic: str = Field(description="Where the record came from: topic.")
    partition: str = Field(pattern=_WHOLE_NUMBER, description="Where it came from: partition.")
    offset: str = Field(pattern=_WHOLE_NUMBER, description="Where it came from: offset.")
    time: UtcDatetime = Field(description="When it was given up, UTC.")
    attempts: str = Field(pattern=_WHOLE_NUMBER, description="Calls made to providers for it.")
    spent_usd: str = Field(
        pattern=r"^([0-9]+(\.[0-9]+)?(E[+-]?[0-9]+)?|unknown)$",
        description="USD spent on it, decimal text, or unknown.",
    )
    null_key: str | None = Field(default=None, description="true: the key was null, not empty.")
    null_value: str | None = Field(default=None, description="true: there was no value.")
    value_dropped: str | None = Field(
        default=None,
        description="Size and SHA-256 of a value that was too large for this topic.",
    )
