"""Faust's events and messages, without Faust's app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from faust.types import TP, ConsumerMessage

if TYPE_CHECKING:
    from faust.types import EventT, Message

    from llm_worker.domain.delivery import Header


@dataclass(slots=True)
class _Event:
    message: Message


def message_of(  # noqa: PLR0913 - a test names what it is about
    offset: int,
    *,
    topic: str = "requests",
    partition: int = 0,
    generation: int = 1,
    key: bytes | None = None,
    value: bytes | None = b"{}",
    headers: list[Header] | None = None,
) -> Message:
    return ConsumerMessage(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=0.0,
        timestamp_type=0,
        headers=cast("Any", headers or []),  # Faust's type knows no null header
        key=key,
        value=value,
        checksum=None,
        tp=TP(topic, partition),
        generation_id=generation,
    )


def event_of(message: Message) -> EventT[bytes]:
    return cast("EventT[bytes]", _Event(message))
