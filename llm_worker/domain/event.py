"""What is published: an event, or a delivery that is set aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID

    from llm_worker.contracts.envelope import WireModel
    from llm_worker.contracts.vocabulary import TopicName
    from llm_worker.domain.delivery import PulledRecord
    from llm_worker.domain.errors import WorkerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event to publish.

    `reply_topic` None means the topic's own name, `key` None the correlation id.
    """

    topic: TopicName
    event_id: UUID
    correlation_id: UUID
    timestamp: datetime
    data: WireModel
    trace: dict[str, str]
    reply_topic: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record to set aside as it came, with the reason."""

    delivery: PulledRecord
    error: WorkerError
    attempts: int
    spent_usd: Decimal | None
    timestamp: datetime
