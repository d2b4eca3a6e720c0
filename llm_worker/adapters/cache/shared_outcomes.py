"""Outcomes in Redis, with this process's own memory in front of it and in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from llm_worker.adapters.cache.link import CacheAwayError
from llm_worker.domain.claim import Claim

if TYPE_CHECKING:
    from uuid import UUID

    from llm_worker.adapters.cache.local_outcomes import LocalOutcomes
    from llm_worker.adapters.cache.redis_outcomes import RedisOutcomes
    from llm_worker.domain.claim import Claiming
    from llm_worker.domain.delivery import Record
    from llm_worker.domain.outcome import Attempt
    from llm_worker.domain.request import ComparisonRequest


class OutcomeObserver(Protocol):
    """Who counts what could not be promised."""

    def unshared(self, step: str) -> None:
        """Note that no other process knows of a step: claim, begin or outcome."""


class SharedOutcomes:
    """Never fails: without Redis it is as good as this process's memory, and says so.

    What was answered here is answered from memory, without asking Redis.
    """

    def __init__(
        self, local: LocalOutcomes, redis: RedisOutcomes, observer: OutcomeObserver
    ) -> None:
        self._local = local
        self._redis = redis
        self._observer = observer
        self._unshared: set[UUID] = set()

    @property
    def are_claims_shared(self) -> bool:
        """Whether every claim that is held here is known to the other processes."""
        return self._redis.is_available and not self._unshared

    async def claim(self, request: ComparisonRequest) -> Claiming:
        """Take the right to buy; or tell the outcome, or why neither is to be had."""
        known = self._local.look(request)
        if known is not None:
            return known
        try:
            claiming = await self._redis.claim(request)
        except CacheAwayError:
            self._observer.unshared("claim")
            self._unshared.add(request.request_id)
            return replace(self._local.claimed(request), token=self._redis.new_token())
        if not isinstance(claiming, Claim):
            return claiming
        is_paid = self._local.claimed(request).left_behind.is_paid
        left = claiming.left_behind
        return replace(claiming, left_behind=replace(left, is_paid=left.is_paid or is_paid))

    async def begins(self, claim: Claim, attempt: Attempt) -> bool:
        """Note that a call is about to be made; False: the claim is another's by now."""
        try:
            may_begin = await self._redis.begins(claim, attempt)
        except CacheAwayError:
            self._observer.unshared("begin")
            self._unshared.add(claim.request_id)
            return True
        self._unshared.discard(claim.request_id)
        return may_begin

    def ended(
        self, claim: Claim, attempt: Attempt, records: tuple[Record, ...], *, is_paid: bool
    ) -> None:
        """Note that the attempt failed, and the records that tell so."""
        self._redis.ended(claim, attempt, records, is_paid=is_paid)

    async def keep(self, claim: Claim, records: tuple[Record, ...]) -> bool:
        """Remember the outcome; False: another process was first, and its outcome stands."""
        self._unshared.discard(claim.request_id)
        try:
            is_first = await self._redis.keep(claim, records)
        except CacheAwayError:
            self._observer.unshared("outcome")
            is_first = True
        if is_first:
            await self._local.keep(claim, records)
        return is_first

    def published(self, request: ComparisonRequest) -> None:
        """Note that the broker holds the outcome's events, for this delivery."""
        self._local.published(request)
        self._redis.published(request)

    def release(self, claim: Claim, *, is_paid: bool) -> None:
        """Give a claim back without an outcome."""
        self._unshared.discard(claim.request_id)
        self._local.release(claim, is_paid=is_paid)
        self._redis.release(claim, is_paid=is_paid)
