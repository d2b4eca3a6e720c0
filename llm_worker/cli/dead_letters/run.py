"""What `llm-worker dead-letters replay` does: find and price, then send."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_worker import bootstrap
from llm_worker.adapters.clock import SystemClock
from llm_worker.bootstrap.cache.warming import open_routes
from llm_worker.cli.dead_letters.price import add_up, price_of
from llm_worker.cli.dead_letters.replay import NotReplayable, Replay, Replayer
from llm_worker.cli.dead_letters.topic import DeadLetterTopic
from llm_worker.client.publishing import publish_all
from llm_worker.contracts.vocabulary import REQUEST_TOPICS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Sequence
    from uuid import UUID

    from llm_worker.application.routes import Routes
    from llm_worker.bootstrap import Settings
    from llm_worker.cli.dead_letters.price import Price, PricedCalls
    from llm_worker.cli.dead_letters.topic import Letter, Place, Wanted
    from llm_worker.domain.delivery import PlacedRecord, Record

    Letters = AsyncGenerator[tuple[Letter, PlacedRecord]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A dead letter that can be sent again, as `event_id`, at that price."""

    letter: Letter
    event_id: UUID
    price: Price
    had_deadline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be sent, what cannot be and why, and the places that hold nothing any more."""

    candidates: Sequence[Candidate]
    refused: Sequence[tuple[Letter, str]]
    missing: Collection[Place] = ()

    @property
    def codes(self) -> Counter[str]:
        """The errors of those that would be sent."""
        return Counter(each.letter.error_code for each in self.candidates)

    @property
    def calls(self) -> list[PricedCalls]:
        """What the calls would cost."""
        return add_up(each.price for each in self.candidates)

    @property
    def deadlines(self) -> int:
        """How many had a deadline, which is left out."""
        return sum(each.had_deadline for each in self.candidates)


class ReplayRun:
    """One run over the dead letters of an installation.

    Args:
        settings: Where they lie, and, without faults, where requests go.
        can_price: Whether the settings have no fault that keeps a worker from routing by them.
    """

    def __init__(self, settings: Settings, *, can_price: bool) -> None:
        self._settings = settings
        self._can_price = can_price
        self._topic = DeadLetterTopic(settings)
        self._topics = bootstrap.catalog(settings)
        self._replayer = Replayer(self._topics, SystemClock())

    async def plan(self, wanted: Wanted, places: Collection[Place]) -> Plan:
        """Find and price: those at `places`, or without any those that are wanted."""
        letters = self._topic.read_at(places) if places else self._topic.read(wanted)
        found: list[tuple[Letter, Candidate | NotReplayable]] = []
        async with AsyncExitStack() as stack:
            routes = None
            if self._can_price:
                routes = await stack.enter_async_context(open_routes(self._settings))
            async for letter, record in await stack.enter_async_context(aclosing(letters)):
                found.append((letter, self._candidate(letter, record, routes)))
        return _plan(found, wanted.limit, frozenset(places))

    def _candidate(
        self, letter: Letter, record: PlacedRecord, routes: Routes | None
    ) -> Candidate | NotReplayable:
        replay = self._replayer.replay(letter, record)
        if isinstance(replay, NotReplayable):
            return replay
        return Candidate(
            letter=letter,
            event_id=replay.event_id,
            price=price_of(replay.request, routes),
            had_deadline=replay.request.asked.not_after is not None,
        )

    async def send(self, plan: Plan) -> int:
        """Send what was planned, as far as it is still there; the broker holds it on return.

        Raises:
            ClientError: Kafka does not take all of it. Sent again, nothing is bought twice.
        """
        lanes = REQUEST_TOPICS.values()
        return await publish_all(
            bootstrap.kafka_options(self._settings),
            self._records({each.letter.place for each in plan.candidates}),
            topics=[self._topics.on_broker(name) for name in lanes],
            largest_bytes=max(self._topics[name].max_message_bytes for name in lanes),
        )

    async def _records(self, places: Collection[Place]) -> AsyncGenerator[Record]:
        async with aclosing(self._topic.read_at(places)) as letters:
            async for letter, record in letters:
                replay = self._replayer.replay(letter, record)
                if isinstance(replay, Replay):
                    yield replay.record


def _plan(
    found: Sequence[tuple[Letter, Candidate | NotReplayable]],
    limit: int | None,
    places: Collection[Place],
) -> Plan:
    kept = sorted(found, key=lambda each: each[0].age)[-(limit or len(found)) :]
    candidates: dict[UUID, Candidate] = {}
    refused = []
    for letter, what in kept:
        if isinstance(what, NotReplayable):
            refused.append((letter, what.why))
        elif what.event_id in candidates:
            first = candidates[what.event_id].letter.at
            refused.append((letter, f"the same request as {first}, which is sent"))
        else:
            candidates[what.event_id] = what
    return Plan(
        candidates=list(candidates.values()),
        refused=refused,
        missing=sorted(set(places) - {letter.place for letter, _ in found}),
    )
