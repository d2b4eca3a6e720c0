"""What is spent: events, entries and records to add up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import orjson

from llm_worker.contracts.vocabulary import ProviderName, TopicName
from llm_worker.domain.delivery import PlacedRecord
from llm_worker.domain.journal import Placed
from llm_worker.domain.spend import Entry, Scope, Source
from tests.support.builders import NOW, TOPICS

COSTS = Source(TopicName.COST_TRACKING, 0)
MORE_COSTS = Source(TopicName.COST_TRACKING, 1)
REQUESTS = Source(TopicName.REQUEST_COMPLETED, 0)
FAILURES = Source(TopicName.PROVIDER_FAILURE, 0)
CELL = Scope("school", ProviderName.OPENAI, "gpt-5", "normal")
DAY = "2026-11-23"
DAY_MS = 86_400_000
NOW_MS = int(NOW.timestamp() * 1000)


def uid(number: int) -> UUID:
    return UUID(int=number)


def entry_of(event_id: UUID | None = None, **fields: Any) -> Entry:  # noqa: ANN401 - any field of it
    known = {"cell": CELL, "day": DAY, "cost_usd": Decimal("0.01")}
    return Entry(event_id=event_id or uuid4(), **{**known, **fields})


def lost_of(event_id: UUID, **fields: Any) -> Entry:  # noqa: ANN401 - any field of it
    """What a lost attempt adds: nobody knows its cost."""
    unknown = {"cost_usd": Decimal(0), "unknown_costs": 1, "is_provisional": True}
    return entry_of(event_id, **{**unknown, **fields})


def placed_of(offset: int, entry: Entry | None = None, at_ms: int | None = None) -> Placed:
    return Placed(
        offset=offset,
        at_ms=NOW_MS + offset if at_ms is None else at_ms,
        entry=entry or entry_of(),
    )


def _enveloped(event_id: UUID | None, at: str, data: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {
            "event_id": str(event_id or uuid4()),
            "event_type": "test",
            "event_timestamp": at,
            "source_service": "test",
            "correlation_id": str(uid(1)),
            "data": data,
        }
    )


def cost_of(
    event_id: UUID | None = None,
    *,
    at: str = "2026-11-23T10:00:00Z",
    usd: float | None = 0.01,
    **data: object,
) -> bytes:
    """A cost event; without `usd` nobody knows its cost."""
    known = {
        "correlation_id": str(uid(1)),
        "provider": "openai",
        "model": "gpt-5",
        "cost_estimate_usd": usd or 0,
        "cost_known": usd is not None,
        "token_usage": {},
        "cached": False,
        "organization_id": "school",
        "service_name": "test",
        "request_timestamp": "2026-11-23T09:00:00Z",
        "response_time_ms": 12,
        "attempt": 1,
        "outcome": "success",
        "metadata": {"lane": "normal"},
    }
    return _enveloped(event_id, at, {**known, **data})


def completion_value(
    event_id: UUID | None = None, *, at: str = "2026-11-23T10:00:00Z", **data: object
) -> bytes:
    known = {
        "provider": "openai",
        "correlation_id": str(uid(1)),
        "success": True,
        "response_time_ms": 100,
        "token_usage": {},
        "cost_estimate": 0.01,
        "metadata": {"model": "gpt-5", "organization_id": "school", "lane": "normal"},
    }
    return _enveloped(event_id, at, {**known, **data})


def failure_value(event_id: UUID | None = None, *, at: str = "2026-11-23T10:00:00Z") -> bytes:
    data = {
        "provider": "openai",
        "failure_type": "timeout",
        "correlation_id": str(uid(1)),
        "error_details": "it hangs",
        "circuit_breaker_opened": False,
        "metadata": {},
    }
    return _enveloped(event_id, at, data)


def record_of(
    value: bytes | None,
    offset: int = 0,
    *,
    source: Source = COSTS,
    at_ms: int | None = None,
    generation: int = 1,
) -> PlacedRecord:
    return PlacedRecord(
        topic=TOPICS.on_broker(source.topic),
        partition=source.partition,
        offset=offset,
        generation=generation,
        at_ms=NOW_MS + 1_000 * offset if at_ms is None else at_ms,
        key=b"key",
        value=value,
        headers=(("trace", b"t"),),
    )
