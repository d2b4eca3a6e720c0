"""Spend: whose it is, which day and month it belongs to, and what one event adds to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llm_worker.contracts.events import LLMCostTrackingV1, LLMRequestCompletedV1
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from llm_worker.contracts.envelope import EventEnvelope
    from llm_worker.contracts.vocabulary import ProviderName

SOURCES: Final = (TopicName.COST_TRACKING, TopicName.REQUEST_COMPLETED)
"""The topics that are added up: the first tells the money, the second the requests."""

COUNTED: Final = (*SOURCES, TopicName.PROVIDER_FAILURE)
"""The topics that usage analytics count."""

_NAME_LIMIT: Final = 256
"""Characters."""

NOBODY: Final = ""
"""The organisation of requests that name none."""


class Scope(NamedTuple):
    """Whose spend it is; None stands for all.

    A cell has no None: every event belongs to exactly one, so cells can be added up.
    """

    organization: str | None = None
    provider: ProviderName | None = None
    model: str | None = None
    lane: str | None = None


EVERYTHING: Final = Scope()


def rollups(cell: Scope) -> tuple[Scope, ...]:
    """Give the scopes that limits can be set for, and that the cell is a part of."""
    of_provider = Scope(provider=cell.provider)
    if cell.organization == NOBODY:
        return (EVERYTHING, of_provider)
    return (EVERYTHING, of_provider, Scope(organization=cell.organization))


def is_cell(scope: Scope) -> bool:
    """Tell a cell, of which every event has one, from a sum of cells."""
    return None not in scope


def day_of(moment: datetime) -> str:
    """Name the day, as 2026-11-23, of a moment in UTC."""
    return moment.date().isoformat()


def month_of(day: str) -> str:
    """Name the month, as 2026-11, of a day."""
    return day[:7]


def month_before(month: str) -> str:
    """Name the month before a month."""
    return month_of(day_of(_start_of(month) - timedelta(days=1)))


def is_month(period: str) -> bool:
    """Tell a month from a day."""
    return period == month_of(period)


def begins_after(period: str, day: str) -> bool:
    """Say whether a day or month begins after a day, or after that day's month."""
    return period > day  # as text: a month comes before all its days, and after those of the last


def recent_since(now: datetime, horizon_ms: int = 0) -> datetime:
    """Say from when on records are read to know this month and the one before it.

    A day and the horizon of ids sooner than that month begins: clocks differ, and of a period that
    begins midway not all is known.
    """
    start = _start_of(month_before(month_of(day_of(now))))
    return start - timedelta(days=1, milliseconds=horizon_ms)


def _start_of(month: str) -> datetime:
    return datetime.fromisoformat(f"{month}-01T00:00:00Z")


class Source(NamedTuple):
    """A partition of a topic that is added up."""

    topic: TopicName
    partition: int


class AccountKey(NamedTuple):
    """What one account is about."""

    scope: Scope
    period: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one event adds to the accounts of its cell and day.

    `is_provisional`: it says that something is not known; who knows better says so later, under
    the same event id.
    """

    event_id: UUID
    cell: Scope
    day: str
    requests: int = 0
    failures: int = 0
    cache_hits: int = 0
    tokens: Mapping[str, int] = field(default_factory=dict)
    cost_usd: Decimal = Decimal(0)
    unknown_costs: int = 0
    savings_usd: Decimal = Decimal(0)
    is_provisional: bool = False


def entry_of(event: EventEnvelope[Any]) -> Entry | None:
    """Read what an event adds to the accounts; None where it adds nothing."""
    match event.data:
        case LLMCostTrackingV1() as cost:
            return _entry_of_cost(event, cost)
        case LLMRequestCompletedV1() as completion:
            return _entry_of_completion(event, completion)
        case _:
            return None


def _entry_of_cost(event: EventEnvelope[Any], data: LLMCostTrackingV1) -> Entry:
    return Entry(
        event_id=event.event_id,
        cell=Scope(
            _name(data.organization_id),
            data.provider,
            _name(data.model),
            _lane(data.metadata),
        ),
        day=day_of(event.event_timestamp),
        cache_hits=int(data.cached),
        tokens=data.token_usage,
        cost_usd=data.cost_estimate_usd if data.cost_known else Decimal(0),
        unknown_costs=int(not data.cost_known),
        savings_usd=data.cache_cost_savings_usd,
        is_provisional=data.outcome == "unknown",
    )


def _entry_of_completion(event: EventEnvelope[Any], data: LLMRequestCompletedV1) -> Entry:
    metadata = data.metadata
    return Entry(
        event_id=event.event_id,
        cell=Scope(
            _name(metadata.get("organization_id")),
            data.provider,
            _name(metadata.get("model")),
            _lane(metadata),
        ),
        day=day_of(event.event_timestamp),
        requests=1,
        failures=int(not data.success),
    )


def _lane(metadata: Mapping[str, object]) -> str:
    return _name(metadata.get("lane"))


def _name(given: object) -> str:
    """Give a part of a cell; cut where it would make a key that no topic takes."""
    return str(given or "")[:_NAME_LIMIT]
