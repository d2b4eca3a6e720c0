"""The data path of one request: decode, resolve, publish. The order is decided here, only here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from llm_worker.application.ports import Refusal
from llm_worker.contracts.result import LLMComparisonResultV1
from llm_worker.domain.errors import (
    ConflictingRequestError,
    InvalidReplyTopicError,
    WorkerFaultError,
)
from llm_worker.domain.events import (
    DeadLetter,
    Event,
    attempt_events,
    events_of,
    started_event,
)
from llm_worker.domain.outcome import Failed, LetGo, Rejected, Replayed
from llm_worker.domain.request import conflict_namespace
from llm_worker.domain.results import shrunk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from llm_worker.application.orchestrator import Orchestrator
    from llm_worker.application.ports import (
        Clock,
        Codec,
        EventPublisher,
        OutcomeStore,
        ReplyTopics,
        Sending,
        Telemetry,
    )
    from llm_worker.domain.delivery import Delivery, Record
    from llm_worker.domain.errors import InvalidDeliveryError
    from llm_worker.domain.outcome import Attempt, Completed, Ending
    from llm_worker.domain.request import ComparisonRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Take deliveries from bytes to published events."""

    codec: Codec
    orchestrator: Orchestrator
    outcomes: OutcomeStore
    publisher: EventPublisher
    reply_topics: ReplyTopics
    clock: Clock
    telemetry: Telemetry
    _under_way: dict[UUID, asyncio.Future[None]] = field(default_factory=dict, init=False)

    async def handle(self, delivery: Delivery) -> Ending:
        """Bring one delivery to its end.

        When this returns anything but LetGo, the broker holds every event, so the caller may ack.
        """
        request = self.codec.decode(delivery)
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

    async def _resolve(self, request: ComparisonRequest) -> Ending:
        known = await self.outcomes.find(request.request_id)
        if known is not None and known.data_hash != request.data_hash:
            return await self._refuse(self._conflict(request))
        if known is not None and known.records is not None:
            await self._publish_all(known.records)
            return Replayed(request=request)
        await self.outcomes.keep(request.request_id, request.data_hash, None)
        reply_topic = request.asked.callback_topic
        if reply_topic is not None and not await self.reply_topics.is_usable(reply_topic):
            return await self._conclude(self._unanswerable(request, reply_topic))
        return await self._buy(request)

    async def _refuse(self, rejected: Rejected) -> Rejected:
        """Answer on the caller's topic where it is usable, else on the default one."""
        topic = rejected.reply_topic
        if topic is not None and not await self.reply_topics.is_usable(topic):
            rejected = replace(rejected, reply_topic=None)
        await self._conclude(rejected)
        return rejected

    async def _buy(self, request: ComparisonRequest) -> Ending:
        started: list[Sending] = []

        async def announce(attempt: Attempt) -> None:
            record = self.codec.render(started_event(request, attempt))
            started.append(await self.publisher.send(record))

        ending: Completed | Failed | LetGo
        try:
            ending = await self.orchestrator.resolve(request, announce)
        except Exception as error:  # noqa: BLE001 - a defect of ours is answered, not thrown at Faust
            self.telemetry.faulted(request.delivery, error)
            ending = self._fault(request, error)
        if isinstance(ending, LetGo):
            await self._tell_of_attempts(request, ending, started)
            return ending
        return await self._conclude(ending, started)

    async def _tell_of_attempts(
        self, request: ComparisonRequest, ending: LetGo, started: Sequence[Sending]
    ) -> None:
        """Publish what was paid before the request is given back: it is bought anew elsewhere."""
        events = attempt_events(request, ending.attempts)
        await self._publish_all(tuple(map(self.codec.render, events)), started)

    async def _conclude(
        self, outcome: Completed | Failed | Rejected, started: Sequence[Sending] = ()
    ) -> Completed | Failed | Rejected:
        events = list(events_of(outcome))
        records = tuple(self.codec.render(event) for event in events)
        event_of = {id(record): event for event, record in zip(events, records, strict=True)}
        if isinstance(outcome, Rejected):
            await self._publish_all(records, event_of=event_of)
            return outcome
        before = tuple(sending.record for sending in started)
        request = outcome.request
        await self.outcomes.keep(request.request_id, request.data_hash, (*before, *records))
        held = await self._publish_all(records, started, event_of)
        if held != records:
            await self.outcomes.keep(request.request_id, request.data_hash, (*before, *held))
        return outcome

    async def _publish_all(
        self,
        records: tuple[Record, ...],
        started: Sequence[Sending] = (),
        event_of: Mapping[int, Event | DeadLetter] = MappingProxyType({}),
    ) -> tuple[Record, ...]:
        """Give the records as the broker holds them: the refused ones in a form that it takes."""
        instead = {
            id(record): await self._make_good(event_of.get(id(record)), record, refusal)
            for record, refusal in await self._publish(records, started)
        }
        return tuple(instead.get(id(record), record) for record in records)

    async def _publish(
        self, records: Sequence[Record], started: Sequence[Sending] = ()
    ) -> list[tuple[Record, Refusal]]:
        sendings = [*started, *[await self.publisher.send(record) for record in records]]
        return await self.publisher.confirm(sendings)

    async def _make_good(
        self, event: Event | DeadLetter | None, record: Record, refusal: Refusal
    ) -> Record:
        """Publish what the broker refused in a form that it takes; give that form."""
        for other in self._substitutes(event, record, refusal):
            if not await self._publish([other]):
                return other
        self.telemetry.refused(record, refusal)
        return record

    def _substitutes(
        self, event: Event | DeadLetter | None, record: Record, refusal: Refusal
    ) -> Sequence[Record]:
        match event:
            case DeadLetter():
                return [self.codec.without_value(record)]
            case Event(data=LLMComparisonResultV1() as result):
                smaller = [self.codec.render(replace(event, data=form)) for form in shrunk(result)]
                elsewhere = [self.codec.redirected(each) for each in (record, *smaller)]
                if refusal is Refusal.TOO_LARGE:
                    return [*smaller, *elsewhere]
                return elsewhere
            case None if not record.is_own:
                return [self.codec.redirected(record)]
            case _:
                return ()

    def _reject(
        self,
        request: ComparisonRequest,
        error: InvalidDeliveryError,
        *,
        event_namespace: UUID,
        reply_topic: str | None,
    ) -> Rejected:
        return Rejected(
            delivery=request.delivery,
            error=error,
            event_namespace=event_namespace,
            request_id=request.request_id,
            correlation_id=request.correlation_id,
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
            event_namespace=conflict_namespace(request.request_id, request.data_hash),
            reply_topic=request.asked.callback_topic,
        )

    def _unanswerable(self, request: ComparisonRequest, reply_topic: str) -> Rejected:
        return self._reject(
            request,
            InvalidReplyTopicError(
                f"callback_topic {reply_topic[:249]!r} is not allowed or does not exist; "
                "name an existing topic within LLM_WORKER_CALLBACK_PATTERNS"
            ),
            event_namespace=request.event_namespace,
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
