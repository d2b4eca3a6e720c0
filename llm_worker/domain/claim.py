"""Who may buy for a request, and what those who could before have left behind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from llm_worker.domain.delivery import Record
    from llm_worker.domain.outcome import Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """What is known of the attempts of a process that never stored an outcome.

    `attempt` has no known end: it may have been billed. `records` tell how those before it ended;
    whether they were published is not known either. `is_paid` says that something was, or may have
    been, paid before.
    """

    attempt: Attempt | None = None
    records: tuple[Record, ...] = ()
    is_paid: bool = False


NOTHING_LEFT = LeftBehind()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to buy for a request; `token` tells it from every other claim to the same one."""

    request_id: UUID
    data_hash: bytes
    token: str
    left_behind: LeftBehind = NOTHING_LEFT


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOutcome:
    """The events of a request that has ended, in the order of their publication: the result last.

    `published_for` is the record whose delivery they were published for, as
    `Delivery.record_id` has it; None as long as that is not sure.
    """

    records: tuple[Record, ...]
    published_for: str | None = None


class Hindrance(Enum):
    """Why a request cannot be claimed now."""

    CONFLICT = auto()
    """Its id was used before, for other data."""
    HELD = auto()
    """Another process is buying for it, or publishing its outcome."""


Claiming = Claim | KnownOutcome | Hindrance
