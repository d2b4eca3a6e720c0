"""Follow events: what was used, what it cost, what was alerted, what was answered."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError
from pydantic import ValidationError

from llm_worker.client.deliveries import Deliveries
from llm_worker.client.errors import ClientError, UnreadableEventError, translated
from llm_worker.client.reading import connection_to, keep_cancellations_in, reader, require_topics
from llm_worker.contracts.envelope import EventEnvelope, WireModel
from llm_worker.contracts.events import LLMCostTrackingV1
from llm_worker.contracts.faults import fields_at_fault
from llm_worker.contracts.topics import load_topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from types import TracebackType
    from uuid import UUID

    from aiokafka import ConsumerRecord

    from llm_worker.contracts.topics import TopicCatalog

EventT = TypeVar("EventT", bound=WireModel)

_REMEMBERED: Final = 100_000


class EventReader(Generic[EventT]):
    """A member of a consumer group that gives events, each with its envelope.

        async with EventReader("kafka:9092", [LLMCostTrackingV1], group="billing") as events:
            async for event in events:
                book(event.event_id, event.data)

    Several kinds at once are told apart by `match event.data`; name them for the type checker:
    `EventReader[LLMCostTrackingV1 | LLMCostAlertV1](...)`.

    **At least once.** An event is done when the next is asked for, or the context is left without
    an exception; then it is committed, within a second or so. What was not committed comes again
    after a crash, and may come to another member of the group when partitions move. Handle an
    event within five minutes (`max_poll_interval_ms`), or they do. Keep what you keep by
    `event_id`.

    **Once in a run.** An event whose id has been given is dropped. Of one cost two contents may
    come: with `outcome` unknown, and later what it did cost. That one is given too, and replaces
    the first.

    **Nothing unseen.** A record that cannot be read raises `UnreadableEventError`. Whoever asks
    for the next event after that passes over it; whoever leaves meets it again.

    Entering raises `UnreachableError` without a broker and `MissingTopicError` without topics.
    Asking for the next event raises `KafkaRefusalError` and `NotAllowedError`; an outage is waited
    out.

    Args:
        kafka: Servers, `host:port` with commas between them; or connection arguments as every
            AIOKafkaConsumer takes them.
        events: Models of `llm_worker.contracts`.
        group: Members of one group share the events; each group gets all of them.
        topics: The catalogue that the worker uses too; the shipped one if not given.
        from_start: Where a group begins that has committed nothing yet: with everything that the
            topics hold, or with what is written after it has been entered for the first time.
        remembered: Event ids that are known again.
    """

    def __init__(
        self,
        kafka: str | Mapping[str, Any],
        events: Sequence[type[EventT]],
        *,
        group: str,
        topics: TopicCatalog | None = None,
        from_start: bool = True,
        remembered: int = _REMEMBERED,
    ) -> None:
        self._kafka = connection_to(kafka)
        self._envelopes = _envelopes(topics or load_topics(), events)
        self._group = group
        self._from_start = from_start
        self._remembered = remembered
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._given = GivenIds(self._remembered)
        async with AsyncExitStack() as opening:
            if not self._from_start:
                await self._begin_here()
            consumer = await opening.enter_async_context(self._consumer())
            self._deliveries = Deliveries(consumer, self._kafka)
            consumer.subscribe(list(self._envelopes), listener=self._deliveries)
            self._open = opening.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        async with self._open:
            if error is None:
                self._deliveries.finish()
                await self._deliveries.commit()
                return
            with suppress(ClientError):  # it would hide why we leave
                await self._deliveries.commit()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EventEnvelope[EventT]:
        while True:
            event = self._read(await self._deliveries.next())
            if self._given.is_new(event):
                return event

    def _read(self, record: ConsumerRecord) -> EventEnvelope[EventT]:
        try:
            return self._envelopes[record.topic].from_json(record.value or b"")
        except orjson.JSONDecodeError:
            faults = "not JSON"
        except ValidationError as error:
            faults = fields_at_fault(error)
        place = (record.topic, record.partition, record.offset)
        raise UnreadableEventError(
            "{}, partition {}, offset {}: an event cannot be read".format(*place)
            + f" ({faults}): use a client as new as the worker, or ask for the next one",
            place,
        )

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            **{
                **self._kafka,
                "group_id": self._group,
                "enable_auto_commit": False,
                "auto_offset_reset": "earliest",
            }
        )
        try:
            with translated(self._kafka):
                await consumer.start()
                keep_cancellations_in(consumer)
                await require_topics(consumer, self._envelopes)
            yield consumer
        finally:
            await consumer.stop()

    async def _begin_here(self) -> None:
        """Have a new group begin with what is written from now on."""
        async with reader(self._kafka, self._envelopes) as everything, self._consumer() as group:
            with translated(self._kafka):
                ends = await everything.end_offsets(everything.assignment())
                group.assign(list(ends))
                new = {at: end for at, end in ends.items() if await group.committed(at) is None}
                # Where members are in the group already, the first of them has done it.
                with suppress(CommitFailedError):
                    if new:
                        await group.commit(new)


class GivenIds:
    """The ids of the events that were given, the latest so many.

    What replaces an event of unknown outcome counts as new, as the accountant has it too.
    """

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._is_provisional: OrderedDict[UUID, bool] = OrderedDict()

    def is_new(self, event: EventEnvelope[Any]) -> bool:
        """Note an event, and say whether it is to be given."""
        is_provisional = (
            isinstance(event.data, LLMCostTrackingV1) and event.data.outcome == "unknown"
        )
        known = self._is_provisional.get(event.event_id)
        if known is not None and (is_provisional or not known):
            return False
        self._is_provisional[event.event_id] = is_provisional
        if len(self._is_provisional) > self._at_most:
            self._is_provisional.popitem(last=False)
        return True


def _envelopes(
    topics: TopicCatalog, events: Sequence[type[EventT]]
) -> dict[str, type[EventEnvelope[EventT]]]:
    """Say how to read the topics of some events, by their names on the broker."""
    found = {
        topics.on_broker(name): EventEnvelope[model]  # type: ignore[valid-type] # known only here
        for model in events
        for name, topic in topics.topics.items()
        if topic.event == model.__name__
    }
    silent = [model.__name__ for model in events if model.__name__ not in _told(topics)]
    if silent or not events:
        raise ValueError(f"no topic has events of this kind: {', '.join(silent) or 'none given'}")
    return found


def _told(topics: TopicCatalog) -> set[str]:
    return {topic.event for topic in topics.topics.values()}
