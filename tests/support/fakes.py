"""Fakes of the ports: they record what they are asked, and do what a test tells them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from typing_extensions import override

from llm_worker.application.ports import Turn
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.cached import CacheHit, CacheTier
from llm_worker.domain.errors import OverBudgetError, ProviderTimeoutError
from llm_worker.domain.verdict import Billing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence
    from uuid import UUID

    from llm_worker.application.ports import Refusal, Sending
    from llm_worker.domain.breaker import BreakerState
    from llm_worker.domain.cached import CachedVerdict
    from llm_worker.domain.delivery import Delivery, Record
    from llm_worker.domain.outcome import Attempt, Ending, FinishedAttempt, Target
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Completion, Usage


class ManualClock:
    """A clock that stands until it is advanced."""

    def __init__(self, now: datetime = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)) -> None:
        self._start = now
        self._elapsed_s = 0.0

    def advance(self, seconds: float) -> None:
        self._elapsed_s += seconds

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        return self._elapsed_s


class LoopClock(ManualClock):
    """The event loop's own time, for code that hands deadlines to asyncio."""

    @override
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass(slots=True, eq=False)
class FakeSending:
    record: Record


@dataclass(slots=True)
class FakePublisher:
    """Records what is sent; `refuse` may say why the broker will never take a record."""

    refuse: Callable[[Record], Refusal | None] = lambda _record: None
    sent: list[Record] = field(default_factory=list)
    held: list[Record] = field(default_factory=list)
    refused: list[Record] = field(default_factory=list)

    async def ready(self) -> None:
        pass

    async def send(self, record: Record) -> FakeSending:
        self.sent.append(record)
        return FakeSending(record)

    async def confirm(self, sendings: Sequence[Sending]) -> list[Refusal | None]:
        refusals = [self.refuse(sending.record) for sending in sendings]
        for sending, refusal in zip(sendings, refusals, strict=True):
            (self.held if refusal is None else self.refused).append(sending.record)
        return refusals

    def topics_held(self) -> list[str]:
        return [record.topic for record in self.held]


@dataclass(slots=True)
class FakeModels:
    """Knows what it is told to; without names, everything."""

    names: tuple[str, ...] = ()
    usd_per_token: Decimal | None = Decimal(0)

    def knows(self, model: str) -> bool:
        return not self.names or model in self.names

    def nearest(self, model: str) -> tuple[str, ...]:
        return tuple(name for name in self.names if name[:3] == model[:3])

    def cost_usd(self, _model: str, usage: Usage) -> Decimal | None:
        total = usage.total()
        return None if total is None or self.usd_per_token is None else total * self.usd_per_token


@dataclass(slots=True)
class FakeProvider:
    """Answers with what it is told to: a completion, an error, or never (until its limit).

    `next_answers` come first, one a call; each takes `takes_s`.
    """

    answer: Completion | Exception | None
    name: ProviderName = ProviderName.MOCK
    default_model: str = "mock-judge-1"
    timeout_s: float = 30.0
    models: FakeModels = field(default_factory=FakeModels)
    next_answers: list[Completion | Exception | None] = field(default_factory=list)
    calls: list[tuple[ComparisonRequest, Attempt]] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    before_answering: Callable[[], None] = lambda: None
    takes_s: float = 0.0
    called_at_s: list[float] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    probe_error: Exception | None = None
    probes: int = 0
    is_closed: bool = False

    async def judge(
        self, request: ComparisonRequest, attempt: Attempt, limit_s: float
    ) -> Completion:
        self.calls.append((request, attempt))
        self.called_at_s.append(asyncio.get_running_loop().time())
        self.called.set()
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            self.before_answering()
            answer = self.next_answers.pop(0) if self.next_answers else self.answer
            return await self._answer(answer, limit_s)
        finally:
            self.running -= 1

    async def _answer(self, answer: Completion | Exception | None, limit_s: float) -> Completion:
        if answer is None or self.takes_s > limit_s:
            await asyncio.sleep(limit_s)  # under a virtual clock, or cancelled before
            raise ProviderTimeoutError(f"{self.name} hangs", billing=Billing())
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def probe(self, _limit_s: float) -> None:
        self.probes += 1
        if self.probe_error is not None:
            raise self.probe_error

    async def aclose(self) -> None:
        self.is_closed = True


@dataclass(slots=True)
class FakeOwnership:
    is_ours: bool = True

    async def holds(self, _generation: int) -> bool:
        return self.is_ours


@dataclass(slots=True)
class FakeReplyTopics:
    usable: set[str] = field(default_factory=set)

    async def is_usable(self, topic: str) -> bool:
        return topic in self.usable


@dataclass(slots=True)
class FakeCache:
    """Finds what it is told to; `turns` come first, one a look; what was kept if it `remembers`."""

    known: CacheHit | None = None
    turns: list[Turn] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    kept: dict[str, CachedVerdict] = field(default_factory=dict)
    passed_on: list[str] = field(default_factory=list)
    defect: Exception | None = None
    remembers: bool = False

    def look_ahead(self, _fingerprint: str, /) -> None:
        pass

    def never_mind(self, _fingerprint: str, /) -> None:
        pass

    async def find(self, fingerprint: str, /) -> CacheHit | Turn:
        if self.defect is not None:
            raise self.defect
        self.looks.append(fingerprint)
        if self.turns:
            return self.turns.pop(0)
        if self.remembers and fingerprint in self.kept:
            return CacheHit(verdict=self.kept[fingerprint], tier=CacheTier.LOCAL)
        return self.known or Turn.BUY

    def keep(self, fingerprint: str, verdict: CachedVerdict, /) -> None:
        self.kept[fingerprint] = verdict

    def pass_on(self, fingerprint: str, /) -> None:
        self.passed_on.append(fingerprint)


@dataclass(slots=True)
class RecordingLog:
    """Lets every attempt begin, unless told otherwise."""

    begun: list[Attempt] = field(default_factory=list)
    over: list[FinishedAttempt] = field(default_factory=list)
    lets_begin: bool = True
    defect: Exception | None = None
    takes_s: float = 0.0
    is_ready: asyncio.Event | None = None

    async def ready(self) -> None:
        if self.is_ready is not None:
            await self.is_ready.wait()

    async def begins(self, attempt: Attempt, permission: Awaitable[None]) -> bool:
        if self.defect is not None:
            raise self.defect
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        if self.lets_begin:
            await permission
        self.begun.append(attempt)
        return self.lets_begin

    def ended(self, finished: FinishedAttempt) -> None:
        self.over.append(finished)


@dataclass(slots=True)
class FakeBudget:
    """Grants, unless a test says otherwise: `refuse` gives what the permission raises, if anything.

    `refuse_at_once` gives what is raised before there is a permission.
    """

    is_spent: bool = False
    refuse: Callable[[Attempt], BaseException | None] = lambda _attempt: None
    refuse_at_once: Callable[[Attempt], Exception | None] = lambda _attempt: None
    defect: Exception | None = None
    reserved: list[ComparisonRequest] = field(default_factory=list)
    granted: list[UUID] = field(default_factory=list)
    settled: list[Billing | None] = field(default_factory=list)
    settled_ids: list[UUID] = field(default_factory=list)

    def reserve(self, request: ComparisonRequest, attempt: Attempt, /) -> Awaitable[None]:
        refusal = self.refuse_at_once(attempt)
        if refusal is not None:
            raise refusal
        self.reserved.append(request)
        return FakePermission(self, attempt)

    def settle(self, attempt: Attempt, billing: Billing | None, /) -> None:
        if self.defect is not None:
            raise self.defect
        self.settled.append(billing)
        self.settled_ids.append(attempt.attempt_id)


@dataclass(frozen=True, slots=True)
class FakePermission:
    budget: FakeBudget
    attempt: Attempt

    def __await__(self) -> Generator[None, None, None]:
        if self.budget.is_spent:
            raise OverBudgetError("the daily budget is spent; raise LLM_WORKER_BUDGET__DAILY_USD")
        refusal = self.budget.refuse(self.attempt)
        if refusal is not None:
            raise refusal
        self.budget.granted.append(self.attempt.attempt_id)
        yield from ()


@dataclass(slots=True)
class RecordingTelemetry:
    attempts: list[FinishedAttempt] = field(default_factory=list)
    breaker_moves: list[tuple[Target, BreakerState]] = field(default_factory=list)
    endings: list[tuple[Delivery, Ending]] = field(default_factory=list)
    refusals: list[tuple[Record, Refusal]] = field(default_factory=list)
    faults: list[tuple[Delivery | None, Exception]] = field(default_factory=list)
    lost: list[Attempt] = field(default_factory=list)
    thrown_away: list[ComparisonRequest] = field(default_factory=list)

    def attempt_lost(self, _request: ComparisonRequest, attempt: Attempt) -> None:
        self.lost.append(attempt)

    def superseded(self, request: ComparisonRequest) -> None:
        self.thrown_away.append(request)

    def attempted(self, _request: ComparisonRequest, attempt: FinishedAttempt) -> None:
        self.attempts.append(attempt)

    def breaker_moved(self, target: Target, state: BreakerState) -> None:
        self.breaker_moves.append((target, state))

    def handled(self, delivery: Delivery, ending: Ending) -> None:
        self.endings.append((delivery, ending))

    def refused(self, record: Record, refusal: Refusal) -> None:
        self.refusals.append((record, refusal))

    def faulted(self, delivery: Delivery | None, error: Exception) -> None:
        self.faults.append((delivery, error))
