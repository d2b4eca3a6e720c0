"""How a delivery ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from llm_worker.domain.verdict import Billing

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.cached import CacheHit
    from llm_worker.domain.delivery import Delivery
    from llm_worker.domain.errors import ProviderError, WorkerError
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Who is asked: a provider and one of its models."""

    provider: ProviderName
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What the model said instead of a verdict, and what is wrong with it, in words."""

    answer: str
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call to a provider, about to be made; `number` counts from 1.

    With `repair` it asks again for an answer that was no verdict. `is_probe` says that it finds
    out whether a target with an open circuit breaker is well again.
    """

    attempt_id: UUID
    number: int
    target: Target
    started_at: datetime
    repair: Repair | None = None
    is_probe: bool = False


class BreakerMove(StrEnum):
    """What an attempt did to its target's circuit breaker."""

    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedAttempt:
    """An attempt and how it ended."""

    attempt: Attempt
    ended_at: datetime
    response_time_ms: int
    ending: Completion | ProviderError
    breaker_move: BreakerMove | None = None

    @property
    def billing(self) -> Billing | None:
        """What was or may have been paid; None when nothing was sent."""
        return self.ending.billing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """What a verdict and its absence share.

    `is_cache_miss`: the cache was asked and had no answer. `is_paid_before`: a process that is gone
    has, or may have, paid for it too, so that the whole cost is not known.
    """

    request: ComparisonRequest
    attempts: tuple[FinishedAttempt, ...]
    target: Target
    completed_at: datetime
    response_time_ms: int
    is_cache_miss: bool = False
    is_paid_before: bool = False

    @property
    def billings(self) -> tuple[Billing, ...]:
        """What was or may have been paid, attempt by attempt."""
        paid = tuple(each.billing for each in self.attempts if each.billing is not None)
        return (*paid, Billing()) if self.is_paid_before else paid

    @property
    def is_cached(self) -> bool:
        """Whether the verdict had been bought before."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed(_Answered):
    """A verdict; with `hit` it was bought before, and nobody was asked."""

    completion: Completion
    hit: CacheHit | None = None

    @property
    @override
    def is_cached(self) -> bool:
        """Whether the verdict had been bought before."""
        return self.hit is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(_Answered):
    """No verdict; `target` is whose error it is, or the first one where nobody was asked."""

    error: WorkerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The delivery can never be honoured; answered where a correlation id is known."""

    delivery: Delivery
    error: WorkerError
    event_namespace: UUID
    request_id: UUID
    correlation_id: UUID | None
    trace: dict[str, str]
    metadata: dict[str, Any]
    reply_topic: str | None
    target: Target
    completed_at: datetime


Outcome = Completed | Failed | Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The request had its outcome already, and was answered with it."""

    request: ComparisonRequest


@dataclass(frozen=True, slots=True)
class LetGo:
    """Not an outcome: the delivery is no longer ours, is not acked, and will come again.

    `attempts` were made before; what they cost is told now, since those that follow have ids of
    their own.
    """

    attempts: tuple[FinishedAttempt, ...] = ()


Ending = Outcome | Replayed | LetGo
