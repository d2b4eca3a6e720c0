"""The data path of one request: decode, resolve, publish. The order is decided here, only here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llm_worker.application.bell import Bell, Lookout
from llm_worker.application.claimed import ClaimedRequest
from llm_worker.application.tracing import NO_TRACING
from llm_worker.domain.attempt_events import attempt_events, lost_attempt_event
from llm_worker.domain.claim import Claim, Hindrance, KnownOutcome
from llm_worker.domain.errors import (
    ConflictingRequestError,
    InvalidReplyTopicError,
    WorkerFaultError,
)
from llm_worker.domain.events import events_of
from llm_worker.domain.outcome import Failed, LetGo, Rejected, Replayed
from llm_worker.domain.request import rejection_namespace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from llm_worker.application.orchestrator import Orchestrator
    from llm_worker.application.ports import (
        Clock,
        Codec,
        OutcomeStore,
        ReplyTopics,
        Sending,
        Telemetry,
    )
    from llm_worker.application.publishing import Publishing
    from llm_worker.application.routes import Plan
    from llm_worker.application.tracing import Tracing
    from llm_worker.domain.delivery import Delivery, Record
    from llm_worker.domain.errors import InvalidDeliveryError, WorkerError
    from llm_worker.domain.event import DeadLetter, Event
    from llm_worker.domain.outcome import Completed, Ending, FinishedAttempt, Outcome
    from llm_worker.domain.request import ComparisonRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Take deliveries from bytes to published events."""

    codec: Codec
    orchestrator: Orchestrator
    outcomes: OutcomeStore
    publishing: Publishing
    reply_topics: ReplyTopics
    clock: Clock
    telemetry: Telemetry
    tracing: Tracing = NO_TRACING
    bell: Bell = field(default_factory=Bell)
    _under_way: dict[UUID, asyncio.Future[None]] = field(default_factory=dict, init=False)

    @property
    def may_hand_over(self) -> bool:
        """Whether another process that gets a request waits for the call that runs here."""
        return self.outcomes.are_claims_shared

    async def handle(self, delivery: Delivery) -> Ending:
        """Bring one delivery to its end.

        When this returns anything but LetGo, the broker holds every event, so the caller may ack.
        """
        return await self.tracing.consuming(self.codec.decode(delivery), self._handle)

    async def _handle(self, request: ComparisonRequest | Rejected) -> Ending:
        if isinstance(request, Rejected):
            return await self._refuse(request)
        while (twin := self._under_way.get(request.request_id)) is not None:
            await asyncio.wait([twin])
        ended = self._under_way[request.request_id] = asyncio.get_running_loop().create_future()
        try:
            return await self._resolve(request)
        finally:
            del self._under_way[request.request_id]
            ended.set_result(None)

    def let_go(self) -> None:
        """Give back all requests that wait, and every later one that would, until `reopen`."""
        self.bell.let_go()
        self.orchestrator.let_go()

    def reopen(self) -> None:
        """Let requests wait again."""
        self.bell.reopen()
        self.orchestrator.reopen()

    async def _resolve(self, request: ComparisonRequest) -> Ending:
        lookout, plan = Lookout(self.bell), self.orchestrator.plan(request)
        while True:
            claiming = await self.outcomes.claim(request)
            if isinstance(claiming, Claim):
                ending = await self._buy(request, claiming, plan)
                if ending is not None:
                    return ending
                continue
            self.orchestrator.drop(plan)
            if isinstance(claiming, KnownOutcome):
                return await self._replay(request, claiming)
            if claiming is Hindrance.CONFLICT:
                return await self._refuse(self._conflict(request))
            if not await lookout.pause():
                return LetGo()

    async def _replay(self, request: ComparisonRequest, known: KnownOutcome) -> Replayed:
        """Answer with the same bytes, unless that was done for this very record.

        Where it was done for another one the result alone is published again: who adds up costs
        does not know an event again for ever.
        """
        if known.published_for != request.delivery.record_id:
            is_told = known.published_for is not None
            await self.publishing.publish(known.records[-1:] if is_told else known.records)
            self.outcomes.published(request)
        return Replayed(request=request)

    async def _refuse(self, rejected: Rejected) -> Rejected:
        """Answer on the caller's topic where it is usable, else on the default one."""
        topic = rejected.reply_topic
        if topic is not None and not await self.reply_topics.is_usable(topic):
            rejected = replace(rejected, reply_topic=None)
        await self._publish(rejected)
        return rejected

    async def _buy(
        self, request: ComparisonRequest, claim: Claim, plan: Plan | WorkerError
    ) -> Ending | None:
        """Bring a claimed request to its end; None: the claim is another's by now."""
        await self._tell_of_left_behind(request, claim)
        reply_topic = request.asked.callback_topic
        if reply_topic is not None and not await self.reply_topics.is_usable(reply_topic):
            self.orchestrator.drop(plan)
            rejected = self._unanswerable(request, reply_topic)
            await self._publish(rejected)
            self.outcomes.release(claim, is_paid=claim.left_behind.is_paid)
            return rejected
        log = ClaimedRequest(
            request=request,
            claim=claim,
            outcomes=self.outcomes,
            codec=self.codec,
            publisher=self.publishing.publisher,
        )
        ending: Completed | Failed | LetGo
        try:
            ending = await self.orchestrator.resolve(request, plan, log)
        except Exception as error:  # noqa: BLE001 - a defect of ours is answered, not thrown at Faust
            self.telemetry.faulted(request.delivery, error)
            ending = self._fault(request, error)
        if not isinstance(ending, LetGo):
            ending = replace(ending, is_paid_before=claim.left_behind.is_paid)
            return await self._conclude(ending, log)
        await self._tell_of_attempts(request, ending.attempts, log.started)
        if log.is_lost:
            return None
        self.outcomes.release(claim, is_paid=log.is_paid)
        return ending

    async def _tell_of_left_behind(self, request: ComparisonRequest, claim: Claim) -> None:
        """Publish what a process that is gone could not, before anything is bought again."""
        left = claim.left_behind
        records = left.records
        if left.attempt is not None:
            self.telemetry.attempt_lost(request, left.attempt)
            lost = lost_attempt_event(request, left.attempt)
            records = (*records, self.codec.render(lost))
        if records:
            await self.publishing.publish(records)

    async def _tell_of_attempts(
        self,
        request: ComparisonRequest,
        attempts: Sequence[FinishedAttempt],
        started: Sequence[Sending],
        *,
        is_superseded: bool = False,
    ) -> None:
        """Publish what was paid where no outcome of ours will tell it."""
        events = attempt_events(request, attempts, is_superseded=is_superseded)
        await self.publishing.publish(tuple(map(self.codec.render, events)), started)

    async def _conclude(self, outcome: Completed | Failed, log: ClaimedRequest) -> Ending | None:
        """Keep the outcome, then publish it; None: another process's outcome was first."""
        request, before = outcome.request, tuple(sending.record for sending in log.started)
        events, records = self._rendered(outcome)
        if not await self.outcomes.keep(log.claim, (*before, *records)):
            self.telemetry.superseded(request)
            await self._tell_of_attempts(request, outcome.attempts, log.started, is_superseded=True)
            return None
        held = await self.publishing.publish(records, log.started, events)
        if held != records:
            await self.outcomes.keep(log.claim, (*before, *held))
        self.outcomes.published(request)
        return outcome

    async def _publish(self, rejected: Rejected) -> None:
        events, records = self._rendered(rejected)
        await self.publishing.publish(records, events=events)

    def _rendered(
        self, outcome: Outcome
    ) -> tuple[tuple[Event | DeadLetter, ...], tuple[Record, ...]]:
        events = tuple(events_of(outcome))
        return events, tuple(map(self.codec.render, events))

    def _reject(
        self,
        request: ComparisonRequest,
        error: InvalidDeliveryError,
        *,
        reply_topic: str | None,
    ) -> Rejected:
        return Rejected(
            delivery=request.delivery,
            error=error,
            event_namespace=rejection_namespace(request.request_id, request.data_hash),
            request_id=request.request_id,
            correlation_id=request.correlation_id,
            trace=request.trace,
            metadata=request.asked.metadata,
            reply_topic=reply_topic,
            target=self.orchestrator.routes.first_target(request.asked),
            completed_at=self.clock.now(),
        )

    def _conflict(self, request: ComparisonRequest) -> Rejected:
        return self._reject(
            request,
            ConflictingRequestError(
                "event_id was used before for other data; give each request an event_id of its own"
            ),
            reply_topic=request.asked.callback_topic,
        )

    def _unanswerable(self, request: ComparisonRequest, reply_topic: str) -> Rejected:
        return self._reject(
            request,
            InvalidReplyTopicError(
                f"callback_topic {reply_topic[:249]!r} is not allowed or does not exist; "
                "name an existing topic within LLM_WORKER_CALLBACK_PATTERNS"
            ),
            reply_topic=None,
        )

    def _fault(self, request: ComparisonRequest, error: Exception) -> Failed:
        return Failed(
            request=request,
            attempts=(),
            target=self.orchestrator.routes.first_target(request.asked),
            error=WorkerFaultError(f"the worker has a defect: {type(error).__name__}; see its log"),
            completed_at=self.clock.now(),
            response_time_ms=0,
        )
