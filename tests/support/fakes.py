"""Fakes of the ports: they record what they are asked, and do what a test tells them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from typing_extensions import override

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import OverBudgetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_worker.application.ports import Refusal, Sending
    from llm_worker.domain.delivery import Delivery, Record
    from llm_worker.domain.outcome import Attempt, Ending, FinishedAttempt, Target
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Billing, Completion


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

    async def send(self, record: Record) -> FakeSending:
        self.sent.append(record)
        return FakeSending(record)

    async def confirm(self, sendings: Sequence[Sending]) -> list[tuple[Record, Refusal]]:
        refusals = []
        for sending in sendings:
            refusal = self.refuse(sending.record)
            if refusal is None:
                self.held.append(sending.record)
            else:
                self.refused.append(sending.record)
                refusals.append((sending.record, refusal))
        return refusals

    def topics_held(self) -> list[str]:
        return [record.topic for record in self.held]


@dataclass(slots=True)
class FakeProvider:
    """Answers with what it is told to: a completion, an error, or never."""

    answer: Completion | Exception | None
    name: ProviderName = ProviderName.MOCK
    default_model: str = "mock-judge-1"
    timeout_s: float = 30.0
    calls: list[tuple[ComparisonRequest, Attempt]] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    before_answering: Callable[[], None] = lambda: None

    async def judge(self, request: ComparisonRequest, attempt: Attempt) -> Completion:
        self.calls.append((request, attempt))
        self.called.set()
        self.before_answering()
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        assert self.answer is not None
        return self.answer


@dataclass(slots=True)
class FakeOwnership:
    is_ours: bool = True

    async def holds(self, _delivery: Delivery) -> bool:
        return self.is_ours


@dataclass(slots=True)
class FakeReplyTopics:
    usable: set[str] = field(default_factory=set)

    async def is_usable(self, topic: str) -> bool:
        return topic in self.usable


@dataclass(slots=True)
class FakeCache:
    known: Completion | None = None
    defect: Exception | None = None
    kept: list[Completion] = field(default_factory=list)

    async def find(self, _request: ComparisonRequest, _target: Target, /) -> Completion | None:
        if self.defect is not None:
            raise self.defect
        return self.known

    async def keep(
        self, _request: ComparisonRequest, _target: Target, completion: Completion, /
    ) -> None:
        self.kept.append(completion)


@dataclass(slots=True)
class FakeBudget:
    is_spent: bool = False
    reserved: list[ComparisonRequest] = field(default_factory=list)
    settled: list[Billing | None] = field(default_factory=list)

    async def reserve(self, request: ComparisonRequest, _target: Target, /) -> None:
        if self.is_spent:
            raise OverBudgetError("the daily budget is spent; raise LLM_WORKER_BUDGET__DAILY_USD")
        self.reserved.append(request)

    async def settle(self, _request: ComparisonRequest, billing: Billing | None, /) -> None:
        self.settled.append(billing)


@dataclass(slots=True)
class RecordingTelemetry:
    attempts: list[FinishedAttempt] = field(default_factory=list)
    endings: list[tuple[Delivery, Ending]] = field(default_factory=list)
    refusals: list[tuple[Record, Refusal]] = field(default_factory=list)
    faults: list[tuple[Delivery, Exception]] = field(default_factory=list)

    def attempted(self, attempt: FinishedAttempt) -> None:
        self.attempts.append(attempt)

    def handled(self, delivery: Delivery, ending: Ending) -> None:
        self.endings.append((delivery, ending))

    def refused(self, record: Record, refusal: Refusal) -> None:
        self.refusals.append((record, refusal))

    def faulted(self, delivery: Delivery, error: Exception) -> None:
        self.faults.append((delivery, error))
