"""One claimed request: its attempts are noted where others find them, and told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_worker.domain.attempt_events import attempt_events, started_event
from llm_worker.domain.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from llm_worker.application.ports import Codec, EventPublisher, OutcomeStore, Sending
    from llm_worker.domain.claim import Claim
    from llm_worker.domain.outcome import Attempt, FinishedAttempt
    from llm_worker.domain.request import ComparisonRequest


@dataclass(slots=True, kw_only=True)
class ClaimedRequest:
    """The attempt log of a request while we hold its claim.

    `started` are the announcements on their way; `is_lost`: the claim is another's by now;
    `is_paid`: something was, or may have been, paid by anybody.
    """

    request: ComparisonRequest
    claim: Claim
    outcomes: OutcomeStore
    codec: Codec
    publisher: EventPublisher
    started: list[Sending] = field(default_factory=list)
    is_lost: bool = False
    is_paid: bool = field(init=False)

    def __post_init__(self) -> None:
        self.is_paid = self.claim.left_behind.is_paid

    async def ready(self) -> None:
        """Wait while the broker takes no records of ours."""
        await self.publisher.ready()

    async def begins(self, attempt: Attempt, permission: Awaitable[None]) -> bool:
        """Note and announce that a call is about to be made; False: it must not be.

        What the permission waits for travels with the note. Without it, the note is taken back.
        """
        if not await self.outcomes.begins(self.claim, attempt):
            self.is_lost = True
            return False
        is_permitted = False
        try:
            await permission
            is_permitted = True
        finally:
            if not is_permitted:
                self.outcomes.ended(self.claim, attempt, (), is_paid=self.is_paid)
        record = self.codec.render(started_event(self.request, attempt))
        self.started.append(await self.publisher.send(record))
        return True

    def ended(self, finished: FinishedAttempt) -> None:
        """Note how a call failed; one that gave a verdict is told with the outcome."""
        self.is_paid = self.is_paid or finished.billing is not None
        if isinstance(finished.ending, ProviderError):
            events = attempt_events(self.request, [finished])
            records = tuple(map(self.codec.render, events))
            self.outcomes.ended(self.claim, finished.attempt, records, is_paid=self.is_paid)
