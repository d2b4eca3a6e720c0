"""Publish: all events of an ending, each in a form that the broker takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from llm_worker.application.ports import Refusal
from llm_worker.application.tracing import NO_TRACING
from llm_worker.contracts.result import LLMComparisonResultV1
from llm_worker.domain.event import DeadLetter, Event
from llm_worker.domain.results import shrunk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
        event_of: Mapping[int, Event | DeadLetter] = MappingProxyType({}),
    ) -> tuple[Record, ...]:
        """Give the records as the broker holds them: the refused ones in a form that it takes.

        `started` are on their way already and are waited for too; `event_of` has the event of a
        record by the record's id().
        """
        publish = self._publish(records, started, event_of)
        return await self.tracing.publishing(records, publish)

    async def _publish(
        self,
        records: Sequence[Record],
        started: Sequence[Sending],
        event_of: Mapping[int, Event | DeadLetter],
    ) -> tuple[Record, ...]:
        instead = {
            id(record): await self._make_good(event_of.get(id(record)), record, refusal)
            for record, refusal in await self._hand_over(records, started)
        }
        return tuple(instead.get(id(record), record) for record in records)

    async def _hand_over(
        self, records: Sequence[Record], started: Sequence[Sending] = ()
    ) -> list[tuple[Record, Refusal]]:
        sendings = [*started, *[await self.publisher.send(record) for record in records]]
        return await self.publisher.confirm(sendings)

    async def _make_good(
        self, event: Event | DeadLetter | None, record: Record, refusal: Refusal
    ) -> Record:
        """Publish what the broker refused in a form that it takes; give that form."""
        for other in self._substitutes(event, record, refusal):
            if not await self._hand_over([other]):
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
