"""An outcome store that does as a test says, and otherwise as any store."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llm_worker.domain.claim import Claim, Hindrance, KnownOutcome, LeftBehind

if TYPE_CHECKING:
    from uuid import UUID

    from llm_worker.domain.claim import Claiming
    from llm_worker.domain.delivery import Record
    from llm_worker.domain.outcome import Attempt
    from llm_worker.domain.request import ComparisonRequest


@dataclass(slots=True)
class FakeOutcomes:
    """Says what is left of its lists, one a call; then it is a store like any other."""

    claimings: list[Claiming] = field(default_factory=list)
    begin_answers: list[bool] = field(default_factory=list)
    keep_answers: list[bool] = field(default_factory=list)
    are_claims_shared: bool = False
    asked: int = 0
    steps: list[str] = field(default_factory=list)
    begun: list[Attempt] = field(default_factory=list)
    noted: list[tuple[tuple[Record, ...], bool]] = field(default_factory=list)
    released: list[tuple[Claim, bool]] = field(default_factory=list)
    known: dict[UUID, tuple[bytes, KnownOutcome | None]] = field(default_factory=dict)

    async def claim(self, request: ComparisonRequest, /) -> Claiming:
        self.asked += 1
        self.steps.append("claim")
        if self.claimings:
            return self.claimings.pop(0)
        mine = (request.data_hash, None)
        data_hash, outcome = self.known.setdefault(request.request_id, mine)
        if data_hash != request.data_hash:
            return Hindrance.CONFLICT
        paid_for = {claim.request_id for claim, is_paid in self.released if is_paid}
        return outcome or Claim(
            request_id=request.request_id,
            data_hash=data_hash,
            token=str(self.asked),
            left_behind=LeftBehind(is_paid=request.request_id in paid_for),
        )

    async def begins(self, _claim: Claim, attempt: Attempt, /) -> bool:
        self.steps.append("begins")
        self.begun.append(attempt)
        return self.begin_answers.pop(0) if self.begin_answers else True

    def ended(
        self, _claim: Claim, _attempt: Attempt, records: tuple[Record, ...], /, *, is_paid: bool
    ) -> None:
        self.steps.append("ended")
        self.noted.append((records, is_paid))

    async def keep(self, claim: Claim, records: tuple[Record, ...], /) -> bool:
        self.steps.append("keep")
        if self.keep_answers and not self.keep_answers.pop(0):
            return False
        self.known[claim.request_id] = (claim.data_hash, KnownOutcome(records=records))
        return True

    def published(self, request: ComparisonRequest, /) -> None:
        self.steps.append("published")
        data_hash, outcome = self.known.get(request.request_id, (b"", None))
        if outcome is not None:
            outcome = replace(outcome, published_for=request.delivery.record_id)
            self.known[request.request_id] = (data_hash, outcome)

    def release(self, claim: Claim, /, *, is_paid: bool) -> None:
        self.steps.append("release")
        self.released.append((claim, is_paid))
