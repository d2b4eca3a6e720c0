"""From a dead letter to the request that is sent again, or to why it cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

import orjson

from llm_worker.adapters.kafka.codec import KafkaCodec
from llm_worker.cli.dead_letters.topic import PREFIX, REPLAY_OF
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, ProviderName
from llm_worker.domain.delivery import Delivery, Record
from llm_worker.domain.outcome import Rejected, Target

if TYPE_CHECKING:
    from llm_worker.application.ports import Clock
    from llm_worker.cli.dead_letters.topic import Letter
    from llm_worker.contracts.topics import TopicCatalog
    from llm_worker.domain.delivery import PlacedRecord
    from llm_worker.domain.request import ComparisonRequest

_NOBODY = Target(provider=ProviderName.MOCK, model="")
"""Rejections name a target; ours are not published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A request to send again: the record, its new event id, and what is asked."""

    record: Record
    event_id: UUID
    request: ComparisonRequest


@dataclass(frozen=True, slots=True)
class NotReplayable:
    """Why a dead letter cannot be sent again; never a word of its content."""

    why: str


def replay_id(event_id: UUID) -> UUID:
    """Give the event id under which a request is sent again: however often, the same one.

    It follows from the request alone and not from where the dead letter lies, since one that failed
    may lie there more than once.
    """
    return uuid5(event_id, "replay")


class Replayer:
    """Makes new requests of dead letters."""

    def __init__(self, topics: TopicCatalog, clock: Clock) -> None:
        self._clock = clock
        self._lanes = {topics.on_broker(name): lane for lane, name in REQUEST_TOPICS.items()}
        self._codec = KafkaCodec(
            topics=topics, first_target=lambda: _NOBODY, clock=clock, longest_s=0
        )

    def replay(self, letter: Letter, record: PlacedRecord) -> Replay | NotReplayable:
        """Say what is sent: what was asked, as it was asked, but for its deadline.

        `not_after` is left out even where it has not passed yet, so that a second replay asks the
        very same and is answered with the first one's outcome.
        """
        delivery = self._as_delivered(letter, record)
        if isinstance(delivery, NotReplayable):
            return delivery
        request = self._codec.decode(delivery)
        if isinstance(request, Rejected):
            return NotReplayable(f"no request that a worker takes: {request.error.message}")
        event_id = replay_id(request.request_id)
        document = orjson.loads(record.value or b"")
        document["event_id"] = str(event_id)
        document["event_timestamp"] = self._clock.now()
        document["data"].pop("not_after", None)
        kept = (
            header
            for header in record.headers
            if not header[0].startswith(PREFIX) and header[0] != REPLAY_OF
        )
        replay = Record(
            topic=delivery.topic,
            key=str(request.correlation_id).encode() if delivery.key is None else delivery.key,
            value=orjson.dumps(document, option=orjson.OPT_UTC_Z),
            headers=(*kept, (REPLAY_OF, str(request.request_id).encode())),
        )
        return Replay(record=replay, event_id=event_id, request=request)

    def _as_delivered(self, letter: Letter, record: PlacedRecord) -> Delivery | NotReplayable:
        """Give the record as the worker had it."""
        if letter.topic is None or letter.source_partition is None or letter.source_offset is None:
            return NotReplayable("its headers do not say where it came from")
        lane = self._lanes.get(letter.topic)
        if lane is None:
            return NotReplayable(f"it came from {letter.topic}, which is no request topic here")
        if letter.value_dropped is not None:
            return NotReplayable(
                "its value was too large for the topic of dead letters, and is gone"
            )
        return Delivery(
            lane=lane,
            topic=letter.topic,
            partition=letter.source_partition,
            offset=letter.source_offset,
            generation=0,
            key=record.key if letter.has_key else None,
            value=record.value,
            headers=record.headers,
            received_s=0.0,
        )
