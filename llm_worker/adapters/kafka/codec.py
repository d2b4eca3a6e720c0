"""Bytes to requests, events to bytes."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID  # noqa: TC003 - pydantic reads the annotation of RequestEnvelope

import orjson
from pydantic import ValidationError

from llm_worker.adapters.kafka.rendering import EventRenderer
from llm_worker.adapters.kafka.trace_context import trace_of
from llm_worker.adapters.kafka.validation import parsed
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.faults import faults_in_words
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.domain.errors import (
    InvalidDeliveryError,
    InvalidPromptError,
    UnreadableError,
    ValidationFailedError,
)
from llm_worker.domain.outcome import Rejected
from llm_worker.domain.request import (
    ComparisonRequest,
    build_prompt,
    deadline_of,
    id_of_record,
    read_uuid,
    rejection_namespace,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_worker.application.ports import Clock
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.delivery import Delivery
    from llm_worker.domain.outcome import Target


class RequestEnvelope(EventEnvelope[LLMComparisonRequestV1]):
    """A request as it may come: the event id may be missing."""

    event_id: UUID | None = None  # type: ignore[assignment] # wider than what we publish


class KafkaCodec(EventRenderer):
    """Decode deliveries and render events. Never raises for what a caller sent."""

    def __init__(
        self,
        *,
        topics: TopicCatalog,
        first_target: Callable[[], Target],
        clock: Clock,
        longest_s: float,
    ) -> None:
        super().__init__(topics)
        self._first_target = first_target
        self._clock = clock
        self._longest_s = longest_s

    def decode(self, delivery: Delivery) -> ComparisonRequest | Rejected:
        """Read a request; what cannot be honoured comes back as its rejection."""
        document: object = None
        data_hash = b""
        try:
            document = parsed(delivery.value)
            data_hash = _hash(document)
            return self._request(delivery, _validate(document), data_hash)
        except InvalidDeliveryError as error:
            return self._rejection(delivery, document, error, may_echo=bool(data_hash))

    def _request(
        self, delivery: Delivery, envelope: RequestEnvelope, data_hash: bytes
    ) -> ComparisonRequest:
        asked = envelope.data
        if asked.correlation_id not in (None, envelope.correlation_id):
            raise ValidationFailedError(
                "data.correlation_id differs from the envelope's; send the same, or leave it out"
            )
        request_id = envelope.event_id or id_of_record(
            delivery.topic, delivery.partition, delivery.offset
        )
        return ComparisonRequest(
            request_id=request_id,
            data_hash=data_hash,
            correlation_id=envelope.correlation_id,
            trace=trace_of(envelope.metadata, delivery),
            asked=asked,
            prompt=build_prompt(asked),
            delivery=delivery,
            requested_at=envelope.event_timestamp,
            deadline_s=deadline_of(
                asked.not_after,
                now=self._clock.now(),
                now_s=delivery.received_s,
                longest_s=self._longest_s,
            ),
        )

    def _rejection(
        self, delivery: Delivery, document: object, error: InvalidDeliveryError, *, may_echo: bool
    ) -> Rejected:
        envelope = document if isinstance(document, dict) else {}
        data = envelope.get("data")
        data = data if isinstance(data, dict) else {}
        metadata = data.get("metadata") if may_echo else None
        reply_topic = data.get("callback_topic")
        request_id = read_uuid(envelope.get("event_id")) or id_of_record(
            delivery.topic, delivery.partition, delivery.offset
        )
        return Rejected(
            delivery=delivery,
            error=error,
            event_namespace=rejection_namespace(request_id, sha256(delivery.value or b"").digest()),
            request_id=request_id,
            correlation_id=_correlation_id(envelope, data, delivery),
            trace=trace_of(envelope.get("metadata"), delivery),
            metadata=metadata if isinstance(metadata, dict) else {},
            reply_topic=reply_topic if isinstance(reply_topic, str) else None,
            target=self._first_target(),
            completed_at=self._clock.now(),
        )


def _hash(document: object) -> bytes:
    """Tell two contents apart; what cannot be written back, we could not echo either."""
    data = document.get("data") if isinstance(document, dict) else None
    try:
        # As deep as the result will carry it: envelope, data, request_metadata.
        text = orjson.dumps([[data]], option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise UnreadableError("data is nested too deeply; keep it under 250 levels") from None
    return sha256(text).digest()


def _validate(document: object) -> RequestEnvelope:
    try:
        return RequestEnvelope.model_validate(document)
    except ValidationError as error:
        said = faults_in_words(error, whole="the envelope")
        if any(fault["loc"] == ("data", "user_prompt") for fault in error.errors()):
            raise InvalidPromptError(said) from None
        raise ValidationFailedError(f"{said}; compare with LLMComparisonRequestV1.json") from None


def _correlation_id(
    envelope: dict[str, Any], data: dict[str, Any], delivery: Delivery
) -> UUID | None:
    header = delivery.header("correlation_id") or b""
    candidates = (
        envelope.get("correlation_id"),
        data.get("correlation_id"),
        header.decode(errors="replace"),
        (delivery.key or b"").decode(errors="replace"),
    )
    return next((found for found in map(read_uuid, candidates) if found is not None), None)
