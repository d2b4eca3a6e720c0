"""Publish: all events of an ending, each in a form that the broker takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING

from llm_worker.application.ports import Refusal
from llm_worker.application.tracing import NO_TRACING
from llm_worker.contracts.result import LLMComparisonResultV1
from llm_worker.domain.event import DeadLetter, Event
from llm_worker.domain.results import shrunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_worker.application.ports import EventPublisher, RefusalLog, Renderer, Sending
    from llm_worker.application.tracing import Tracing
    from llm_worker.domain.delivery import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """Hands records to the broker, and finds another form for what it refuses."""

    codec: Renderer
    publisher: EventPublisher
    telemetry: RefusalLog
    tracing: Tracing = NO_TRACING

    async def publish(
        self,
        records: Sequence[Record],
        started: Sequence[Sending] = (),
        events: Sequence[Event | DeadLetter] = (),
    ) -> tuple[Record, ...]:
        """Give the records as the broker holds them: the refused ones in a form that it takes.

        `started` are on their way already and are waited for too. `events` are those that the
        records tell of, one of each: without them nothing smaller can be made of a record.
        """
        return await self.tracing.publishing(records, self._publish(records, started, events))

    async def _publish(
        self,
        records: Sequence[Record],
        started: Sequence[Sending],
        events: Sequence[Event | DeadLetter],
    ) -> tuple[Record, ...]:
        sendings = [*started, *[await self.publisher.send(record) for record in records]]
        refusals = await self.publisher.confirm(sendings)
        told = (*repeat(None, len(started)), *(events or repeat(None, len(records))))
        held = [
            sending.record if refusal is None else await self._make_good(event, sending, refusal)
            for event, sending, refusal in zip(told, sendings, refusals, strict=True)
        ]
        return tuple(held[len(started) :])

    async def _make_good(
        self, event: Event | DeadLetter | None, sending: Sending, refusal: Refusal
    ) -> Record:
        """Publish what the broker refused in a form that it takes; give that form."""
        for other in self._substitutes(event, sending.record, refusal):
            if await self.publisher.confirm([await self.publisher.send(other)]) == [None]:
                return other
        self.telemetry.refused(sending.record, refusal)
        return sending.record

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
