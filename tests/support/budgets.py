"""Hard budgets over sums that a test names: of one Redis, made up, or none."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from llm_worker.adapters.cache.budget import HardBudget
from llm_worker.adapters.cache.budget_sums import NoSums, RedisSums
from llm_worker.adapters.cache.connect import RedisAddress, connect
from llm_worker.adapters.cache.link import RedisLink
from llm_worker.adapters.cache.outbox import Outbox
from llm_worker.adapters.cache.seeding import Seeding
from llm_worker.contracts.vocabulary import ProviderName, TopicName
from llm_worker.domain.breaker import CircuitBreaker
from llm_worker.domain.budgets import Allowance, Budgets
from llm_worker.domain.estimate import most_usage
from llm_worker.domain.ledger import Account
from llm_worker.domain.outcome import Attempt, Target
from llm_worker.domain.spend import EVERYTHING, AccountKey, Scope, Source, day_of
from llm_worker.domain.spend_view import SpendView
from llm_worker.domain.verdict import Billing
from tests.support.builders import NOW, request_of
from tests.support.fake_link import CutLink
from tests.support.fake_redis import SeenByLink
from tests.support.fakes import FakeModels, FakeProvider, LoopClock, ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from llm_worker.adapters.cache.budget_sums import Sums

DAY = day_of(NOW)
REQUEST = request_of()
TARGET = Target(provider=ProviderName.MOCK, model="mock-judge-1")
_SOURCE = Source(TopicName.COST_TRACKING, 0)


def attempt(provider: ProviderName = ProviderName.MOCK) -> Attempt:
    return Attempt(
        attempt_id=uuid4(),
        number=1,
        target=replace(TARGET, provider=provider),
        started_at=NOW,
    )


TOKENS = most_usage(REQUEST, attempt()).total() or 0
"""Of every attempt here; each is priced so that its estimate is 1 USD."""


def cost(usd: float | str | None) -> Billing:
    return Billing(cost_usd=None if usd is None else Decimal(str(usd)))


def daily(usd: float | None, **more: object) -> Budgets:
    """A hard limit a day for all."""
    limit = None if usd is None else Decimal(str(usd))
    budgets = Budgets(overall=Allowance(daily_usd=limit, is_hard=True))
    return replace(budgets, **more)  # type: ignore[arg-type] # any field of it


@dataclass(slots=True)
class Counted:
    refused: list[str] = field(default_factory=list)
    waits: int = 0
    unshared: int = 0

    def budget_refused(self, reason: str) -> None:
        self.refused.append(reason)

    def budget_waited(self) -> None:
        self.waits += 1

    def budget_unshared(self) -> None:
        self.unshared += 1


@dataclass(slots=True)
class Worker:
    """A process's budget. Its clock, which says the day and when to ask again, is the test's."""

    sums: Sums = field(default_factory=NoSums)
    budgets: Budgets = field(default_factory=lambda: daily(10))
    link: CutLink | None = None
    outbox: Outbox | None = None
    prefix: str = ""
    share: float = 1.0
    usd_per_token: Decimal | None = field(default=Decimal(1) / TOKENS)
    known: Mapping[tuple[Scope, str], Decimal] = field(default_factory=dict)
    known_fails: list[Exception] = field(default_factory=list)
    seedings: int = 0
    clock: ManualClock = field(default_factory=ManualClock)
    spend: SpendView = field(default_factory=SpendView)
    counted: Counted = field(default_factory=Counted)
    faults: list[Exception] = field(default_factory=list)
    budget: HardBudget = field(init=False)

    def __post_init__(self) -> None:
        self.budget = HardBudget(
            budgets=lambda: self.budgets,
            spend=self.spend,
            clock=self.clock,
            providers={
                name: FakeProvider(None, name, models=FakeModels(usd_per_token=self.usd_per_token))
                for name in ProviderName
            },
            sums=self.sums,
            seeding=Seeding(self.sums, self._known_spend, self.clock, on_fault=self.faults.append),
            share=lambda: self.share,
            observer=self.counted,
        )

    async def reserved(self, provider: ProviderName = ProviderName.MOCK) -> Attempt:
        """Reserve 1 USD; raises what the budget does."""
        made = attempt(provider)
        await self.budget.reserve(REQUEST, made)
        return made

    @property
    def cut_link(self) -> CutLink:
        assert self.link is not None
        return self.link

    @property
    def kept(self) -> Outbox:
        assert self.outbox is not None
        return self.outbox

    async def ask(self, *words: bytes | str | int) -> Any:  # noqa: ANN401 - Redis answers anything
        """Send Redis a command, cut off or not."""
        return await self.cut_link.real.command(*words)

    async def sent(self) -> None:
        """Wait until Redis has what nobody waits for."""
        await self.ask("PING")

    async def seeded(self) -> None:
        """Wait until Redis knows again what was spent."""
        task = self.budget._seeding._task
        assert task is not None
        await task

    def publish(self, usd: float, scope: Scope = EVERYTHING, period: str = DAY) -> None:
        """Let the accountant have published a total."""
        account = Account(cost_usd=Decimal(str(usd)))
        self.spend.put(AccountKey(scope, period, _SOURCE), account)

    async def _known_spend(self) -> Mapping[tuple[Scope, str], Decimal]:
        self.seedings += 1
        if self.known_fails:
            raise self.known_fails.pop(0)
        return self.known


@asynccontextmanager
async def budget_on(
    where: RedisAddress, *, prefix: str, lifetime_s: float = 60, budgets: Budgets | None = None
) -> AsyncIterator[Worker]:
    """Start a worker with its own link to one Redis."""
    link = RedisLink(
        connect(where, budget_s=5),
        budget_s=5,
        breaker=CircuitBreaker(failure_threshold=3, recovery_timeout_s=1),
        clock=LoopClock(),
        observer=SeenByLink(),
    )
    cut = CutLink(link)
    outbox = Outbox(cut.link)
    sums = RedisSums(cut.link, outbox, key_prefix=prefix, lifetime_s=lifetime_s)
    worker = Worker(sums, budgets or daily(10), link=cut, outbox=outbox, prefix=prefix)
    try:
        yield worker
    finally:
        await worker.budget.aclose()
        await link.aclose()
