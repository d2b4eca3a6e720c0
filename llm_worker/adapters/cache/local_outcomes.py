"""What this process remembers of requests: their data's hash, and their events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from llm_worker.adapters.cache.lru import Lru
from llm_worker.domain.claim import Claim, Hindrance, KnownOutcome, LeftBehind

if TYPE_CHECKING:
    from uuid import UUID

    from llm_worker.application.ports import Clock
    from llm_worker.domain.claim import Claiming
    from llm_worker.domain.delivery import Record
    from llm_worker.domain.outcome import Attempt
    from llm_worker.domain.request import ComparisonRequest

_ENTRY_BYTES: Final = 1_000
"""What an entry's own objects take, beside its records; measured, rounded up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    data_hash: bytes
    outcome: KnownOutcome | None = None
    is_paid: bool = False


class LocalOutcomes:
    """A bounded memory of outcomes.

    It answers what comes again to this process. Another process, or this one after a restart, does
    not know it: that takes a shared store.
    """

    def __init__(self, *, max_bytes: int, clock: Clock) -> None:
        self._known: Lru[UUID, _Known] = Lru(max_bytes=max_bytes, clock=clock)

    @property
    def size_bytes(self) -> int:
        """Bytes held, about."""
        return self._known.size_bytes

    @property
    def are_claims_shared(self) -> bool:
        """Say no: nobody else can see them."""
        return False

    async def claim(self, request: ComparisonRequest) -> Claiming:
        """Give the outcome, or the right to buy: nobody else is there to hold it."""
        return self.look(request) or self.claimed(request)

    def look(self, request: ComparisonRequest) -> KnownOutcome | Hindrance | None:
        """Tell what is known of the request, without claiming it."""
        found = self._known.get(request.request_id)
        if found is None:
            return None
        return found.outcome if found.data_hash == request.data_hash else Hindrance.CONFLICT

    def claimed(self, request: ComparisonRequest) -> Claim:
        """Remember that the request is bought for."""
        known = self._known.get(request.request_id) or _Known(data_hash=request.data_hash)
        self._keep(request.request_id, known)
        return Claim(
            request_id=request.request_id,
            data_hash=request.data_hash,
            token="",
            left_behind=LeftBehind(is_paid=known.is_paid),
        )

    async def begins(self, _claim: Claim, _attempt: Attempt) -> bool:
        """Let it: nobody else could have claimed it."""
        return True

    def ended(
        self, _claim: Claim, _attempt: Attempt, _records: tuple[Record, ...], *, is_paid: bool
    ) -> None:
        """Note nothing: after a crash, this memory is gone."""

    async def keep(self, claim: Claim, records: tuple[Record, ...]) -> bool:
        """Remember the outcome."""
        outcome = KnownOutcome(records=records)
        self._keep(claim.request_id, _Known(data_hash=claim.data_hash, outcome=outcome))
        return True

    def published(self, request: ComparisonRequest) -> None:
        """Note that the broker holds the outcome's events, for this delivery."""
        known = self._known.get(request.request_id)
        if known is not None and known.outcome is not None:
            outcome = replace(known.outcome, published_for=request.delivery.record_id)
            self._keep(request.request_id, replace(known, outcome=outcome))

    def release(self, claim: Claim, *, is_paid: bool) -> None:
        """Keep the content's hash: the id is taken by it all the same."""
        self._keep(claim.request_id, _Known(data_hash=claim.data_hash, is_paid=is_paid))

    def _keep(self, request_id: UUID, known: _Known) -> None:
        records = known.outcome.records if known.outcome else ()
        size_bytes = _ENTRY_BYTES + sum(len(record.value or b"") for record in records)
        self._known.keep(request_id, known, size_bytes)
