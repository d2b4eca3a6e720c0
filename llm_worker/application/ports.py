"""What the core asks of the outside, in the core's words."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Sequence
    from datetime import datetime
    from decimal import Decimal

    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.breaker import BreakerState
    from llm_worker.domain.cached import CachedVerdict, CacheHit
    from llm_worker.domain.claim import Claim, Claiming
    from llm_worker.domain.delivery import Delivery, Record
    from llm_worker.domain.event import DeadLetter, Event
    from llm_worker.domain.outcome import Attempt, Ending, FinishedAttempt, Rejected, Target
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Billing, Completion, Usage


class Turn(Enum):
    """Who buys a verdict that is not there yet."""

    BUY = auto()
    """Whoever asked."""
    LOOK_AGAIN = auto()
    """Another process is at it."""


class Clock(Protocol):
    """The time, so that tests own it."""

    def now(self) -> datetime:
        """The moment, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""


class Renderer(Protocol):
    """Events to bytes."""

    def render(self, event: Event | DeadLetter) -> Record:
        """Write an event down as the record to publish."""

    def redirected(self, record: Record) -> Record:
        """Address a result to the default topic, with header `undeliverable_to`."""

    def without_value(self, record: Record) -> Record:
        """Drop a dead letter's value, and say so in its headers."""


class Codec(Renderer, Protocol):
    """Bytes to requests, events to bytes."""

    def decode(self, delivery: Delivery) -> ComparisonRequest | Rejected:
        """Read a request; what cannot be honoured comes back as its rejection."""


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
    """Verdicts that were bought before, and who is buying one now.

    None of these fails: a cache that cannot be asked has no answer.
    """

    def look_ahead(self, fingerprint: str, /) -> None:
        """Begin to look, for a `find` or a `never_mind` that follows."""

    def never_mind(self, fingerprint: str, /) -> None:
        """Give back what was begun, where nobody followed."""

    async def find(self, fingerprint: str, /) -> CacheHit | Turn:
        """Give the verdict; or say whether to buy it, or to look again since somebody else does.

        Whoever is told to buy ends that turn, with `keep` or with `pass_on`.
        """

    def keep(self, fingerprint: str, verdict: CachedVerdict, /) -> None:
        """Remember a verdict, and end the turn."""

    def pass_on(self, fingerprint: str, /) -> None:
        """End the turn without a verdict."""


class BudgetBusyError(Exception):
    """The estimate does not fit beside those of other calls, and may when these have ended."""


class Budget(Protocol):
    """What may be spent."""

    def reserve(self, request: ComparisonRequest, attempt: Attempt, /) -> Awaitable[None]:
        """Begin at once to set the estimated cost of an attempt aside; await it for the answer.

        Whoever does not wait for the answer, to its end, settles all the same.

        Raises:
            OverBudgetError: it does not fit, or the target has no price; here or when awaited.
            BudgetBusyError: it does not fit now; here or when awaited.
        """

    def settle(self, attempt: Attempt, billing: Billing | None, /) -> None:
        """Replace the reservation with the real cost, or the estimate where that is not known.

        None releases it.
        """


class OutcomeStore(Protocol):
    """The endings of requests, kept before they are published and while they may come again.

    None of these fails: what cannot be shared with other processes is remembered by this one.
    """

    @property
    def are_claims_shared(self) -> bool:
        """Whether every claim that is held here is known to the other processes."""

    async def claim(self, request: ComparisonRequest, /) -> Claiming:
        """Take the right to buy; or tell the outcome, or why neither is to be had."""

    async def begins(self, claim: Claim, attempt: Attempt, /) -> bool:
        """Note that a call is about to be made; False: it must not, the claim is another's."""

    def ended(
        self, claim: Claim, attempt: Attempt, records: tuple[Record, ...], /, *, is_paid: bool
    ) -> None:
        """Note that the attempt failed, and the records that tell so."""

    async def keep(self, claim: Claim, records: tuple[Record, ...], /) -> bool:
        """Remember the outcome; False: another process was first, and its outcome stands."""

    def published(self, request: ComparisonRequest, /) -> None:
        """Note that the broker holds the outcome's events, for this delivery."""

    def release(self, claim: Claim, /, *, is_paid: bool) -> None:
        """Give a claim back without an outcome; all attempts have been told."""


class AttemptLog(Protocol):
    """Who is told of a request's attempts as they are made."""

    async def ready(self) -> None:
        """Wait until it can be told that a call is made."""

    async def begins(self, attempt: Attempt, permission: Awaitable[None], /) -> bool:
        """Tell that a call is about to be made, once it is permitted; False: it must not be.

        Raises:
            OverBudgetError, BudgetBusyError: what `permission` raises; then nothing was told.
        """

    def ended(self, finished: FinishedAttempt, /) -> None:
        """Tell how it ended."""


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

    async def ready(self) -> None:
        """Wait while the broker takes no records of our topics."""

    async def send(self, record: Record) -> Sending:
        """Hand the record over; it is on its way, not yet held."""

    async def confirm(self, sendings: Sequence[Sending]) -> list[Refusal | None]:
        """Return once the broker holds every record, or has refused it for good: say why of each.

        Records of our own topics are sent until the broker holds them, however long it takes;
        only one that is too large for its topic is refused.
        """


class ReplyTopics(Protocol):
    """The topics that callers may name."""

    async def is_usable(self, topic: str) -> bool:
        """Say whether it is allowed and exists."""


class Ownership(Protocol):
    """Whether what was pulled in a generation of the group is still ours."""

    async def holds(self, generation: int) -> bool:
        """Say whether its partitions are ours; waits while it is unsure."""


class RefusalLog(Protocol):
    """Who is told what the broker does not take."""

    def refused(self, record: Record, refusal: Refusal) -> None:
        """Note a record that the broker will never take in any form."""


class Telemetry(RefusalLog, Protocol):
    """One line and a few numbers for each thing that ended."""

    def attempted(self, request: ComparisonRequest, attempt: FinishedAttempt) -> None:
        """Note a call to a provider."""

    def breaker_moved(self, target: Target, state: BreakerState) -> None:
        """Note that a target's circuit breaker has changed its state."""

    def handled(self, delivery: Delivery, ending: Ending) -> None:
        """Note how a delivery ended."""

    def attempt_lost(self, request: ComparisonRequest, attempt: Attempt) -> None:
        """Note a call of a process that is gone: nobody knows how it ended."""

    def superseded(self, request: ComparisonRequest) -> None:
        """Note that a verdict was thrown away, since another process's was first."""

    def faulted(self, delivery: Delivery | None, error: Exception) -> None:
        """Note a defect of ours, with its traceback; None: it met no delivery."""


class _Granted:
    """Awaited, it is there."""

    def __await__(self) -> Generator[None, None, None]:
        """Wait for nothing."""
        yield from ()


GRANTED: Final = _Granted()
"""The permission where no limit applies."""
