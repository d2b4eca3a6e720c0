"""What the core asks of the outside, in the core's words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID

    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.breaker import BreakerState
    from llm_worker.domain.delivery import Delivery, Record
    from llm_worker.domain.events import DeadLetter, Event
    from llm_worker.domain.outcome import Attempt, Ending, FinishedAttempt, Rejected, Target
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.routing import Route
    from llm_worker.domain.verdict import Billing, Completion, Usage


class Clock(Protocol):
    """The time, so that tests own it."""

    def now(self) -> datetime:
        """The moment, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""


class Codec(Protocol):
    """Bytes to requests, events to bytes."""

    def decode(self, delivery: Delivery) -> ComparisonRequest | Rejected:
        """Read a request; what cannot be honoured comes back as its rejection."""

    def render(self, event: Event | DeadLetter) -> Record:
        """Write an event down as the record to publish."""

    def redirected(self, record: Record) -> Record:
        """Address a result to the default topic, with header `undeliverable_to`."""

    def without_value(self, record: Record) -> Record:
        """Drop a dead letter's value, and say so in its headers."""


class ModelCatalog(Protocol):
    """A provider's models and their prices."""

    def knows(self, model: str) -> bool:
        """Say whether the provider has such a model, as far as we know."""

    def nearest(self, model: str) -> tuple[str, ...]:
        """Give the names, at most three, that are most like one that is not known."""

    def cost_usd(self, model: str, usage: Usage) -> Decimal | None:
        """Price a call; None where usage or price is unknown."""


class Provider(Protocol):
    """One company, or machine, that judges.

    `timeout_s` is how long one call may take.
    """

    name: ProviderName
    default_model: str
    timeout_s: float

    @property
    def models(self) -> ModelCatalog:
        """What it has."""

    async def judge(
        self, request: ComparisonRequest, attempt: Attempt, limit_s: float
    ) -> Completion:
        """Buy one verdict, within `limit_s` seconds.

        Raises:
            ProviderError: no usable verdict; its `billing` says what was paid all the same.
        """

    async def probe(self, limit_s: float) -> None:
        """Ask something that costs nothing, to see whether the provider answers.

        Raises:
            ProviderError: it does not.
        """

    async def aclose(self) -> None:
        """Close what was opened."""


class VerdictCache(Protocol):
    """Verdicts that were bought before."""

    async def find(self, request: ComparisonRequest, route: Route, /) -> Completion | None:
        """Give the verdict for the same question to the same configured targets."""

    async def keep(
        self, request: ComparisonRequest, route: Route, completion: Completion, /
    ) -> None:
        """Remember a verdict."""


class Budget(Protocol):
    """What may be spent."""

    async def reserve(self, request: ComparisonRequest, target: Target, /) -> None:
        """Set the estimated cost aside.

        Raises:
            OverBudgetError: it does not fit.
        """

    async def settle(self, request: ComparisonRequest, billing: Billing | None, /) -> None:
        """Replace the reservation with the real cost; None releases it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOutcome:
    """What is remembered of a request: its data's hash, and its events once it has ended."""

    data_hash: bytes
    records: tuple[Record, ...] | None


class OutcomeStore(Protocol):
    """The endings of requests, kept before they are published and while they may come again."""

    async def find(self, request_id: UUID) -> KnownOutcome | None:
        """Tell what is known of the request."""

    async def keep(
        self, request_id: UUID, data_hash: bytes, records: tuple[Record, ...] | None
    ) -> None:
        """Remember the request, and its events once they are rendered."""


class Refusal(Enum):
    """Why the broker will never take a record."""

    TOO_LARGE = auto()
    NOT_DELIVERABLE = auto()


class Sending(Protocol):
    """A record on its way to the broker."""

    @property
    def record(self) -> Record:
        """What is being sent."""


class EventPublisher(Protocol):
    """Records to Kafka."""

    async def send(self, record: Record) -> Sending:
        """Hand the record over; it is on its way, not yet held."""

    async def confirm(self, sendings: Sequence[Sending]) -> list[tuple[Record, Refusal]]:
        """Return once the broker holds every record, or has refused it for good.

        Records of our own topics are sent until the broker holds them, however long it takes;
        only one that is too large for its topic is refused. The refused ones are returned.
        """


class ReplyTopics(Protocol):
    """The topics that callers may name."""

    async def is_usable(self, topic: str) -> bool:
        """Say whether it is allowed and exists."""


class Ownership(Protocol):
    """Whether a delivery is still ours."""

    async def holds(self, delivery: Delivery) -> bool:
        """Say whether its partition is ours in the same generation; waits while it is unsure."""


class Telemetry(Protocol):
    """One line and a few numbers for each thing that ended."""

    def attempted(self, request: ComparisonRequest, attempt: FinishedAttempt) -> None:
        """Note a call to a provider."""

    def breaker_moved(self, target: Target, state: BreakerState) -> None:
        """Note that a target's circuit breaker has changed its state."""

    def handled(self, delivery: Delivery, ending: Ending) -> None:
        """Note how a delivery ended."""

    def refused(self, record: Record, refusal: Refusal) -> None:
        """Note a record that the broker will never take in any form."""

    def faulted(self, delivery: Delivery | None, error: Exception) -> None:
        """Note a defect of ours, with its traceback; None: it met no delivery."""


class NoCache:
    """A cache that holds nothing."""

    async def find(self, _request: ComparisonRequest, _route: Route) -> Completion | None:
        """Find nothing."""
        return None

    async def keep(
        self, _request: ComparisonRequest, _route: Route, _completion: Completion
    ) -> None:
        """Forget at once."""


class NoBudget:
    """A budget without limits."""

    async def reserve(self, _request: ComparisonRequest, _target: Target) -> None:
        """Allow everything."""

    async def settle(self, _request: ComparisonRequest, _billing: Billing | None) -> None:
        """Count nothing."""
