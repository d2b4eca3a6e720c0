from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from llm_worker.adapters.cache.budget_sums import RedisSums
from llm_worker.adapters.cache.link import CacheAwayError, NotAskedError
from llm_worker.adapters.cache.outbox import Outbox
from llm_worker.adapters.cache.presence import Presence
from llm_worker.adapters.cache.redis_outcomes import RedisOutcomes
from llm_worker.adapters.cache.script import load_script
from llm_worker.application.ports import GRANTED, BudgetBusyError
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.budgets import Allowance, Budgets, WhenOver
from llm_worker.domain.claim import Claim
from llm_worker.domain.errors import OverBudgetError
from llm_worker.domain.spend import Scope
from tests.support.budgets import DAY, REQUEST, Worker, attempt, cost, daily
from tests.support.fake_redis import FakeRedis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_worker.adapters.cache.budget_sums import Reservation

_NANO = 10**9
_AWAY = CacheAwayError("away")
_NOT_ASKED = NotAskedError("not now")


@dataclass(slots=True)
class _Sums:
    """Answers as it is told: what was spent and is held by others, an error, or nothing yet."""

    answers: list[Any] = field(default_factory=list)
    is_shared: bool = True
    asked: list[tuple[bytes, list[int]]] = field(default_factory=list)
    held: list[bytes] = field(default_factory=list)
    settled: list[tuple[bytes, int]] = field(default_factory=list)
    futures: list[asyncio.Future[Any]] = field(default_factory=list)
    seeded: list[dict[tuple[Scope, str], Decimal]] = field(default_factory=list)
    seed_fails: list[Exception] = field(default_factory=list)

    def reserve(self, reservation: Reservation, floors: Sequence[int]) -> asyncio.Future[Any]:
        self.asked.append((reservation.name, list(floors)))
        future = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        if self.answers:
            _give(future, self.answers.pop(0))
        return future

    def hold(self, reservation: Reservation, _floors: Sequence[int]) -> None:
        self.held.append(reservation.name)

    def settle(self, reservation: Reservation, cost: int) -> None:
        self.settled.append((reservation.name, cost))

    async def seed(self, spent: Mapping[tuple[Scope, str], Decimal], _day: str) -> bytes:
        if self.seed_fails:
            raise self.seed_fails.pop(0)
        self.seeded.append(dict(spent))
        return b"epoch"


def _give(future: asyncio.Future[Any], answer: object) -> None:
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _granted(total_usd: float = 1, epoch: bytes = b"e") -> list[Any]:
    return [b"granted", 0, epoch, 0, int(total_usd * _NANO)]


def _busy(epoch: bytes = b"e") -> list[Any]:
    return [b"busy", 1, epoch, 0, 10 * _NANO]


def _over(at: int = 1) -> list[Any]:
    return [b"over", at, b"e", 10 * _NANO, 0]


def _worker(*answers: object, **fields: Any) -> tuple[Worker, _Sums]:  # noqa: ANN401 - any field of it
    sums = _Sums(list(answers))
    return Worker(sums, **fields), sums


async def test_where_no_hard_limit_applies_nothing_is_asked() -> None:
    soft = Budgets(overall=Allowance(daily_usd=Decimal(1)))
    worker, sums = _worker(budgets=soft)
    assert worker.budget.reserve(REQUEST, attempt()) is GRANTED
    await worker.budget.reserve(REQUEST, attempt())
    worker.budgets = Budgets(providers={"openai": Allowance(daily_usd=Decimal(1), is_hard=True)})
    assert worker.budget.reserve(REQUEST, attempt(ProviderName.GOOGLE)) is GRANTED
    worker.budget.settle(attempt(), cost(1))
    assert (sums.asked, sums.settled, worker.counted.unshared) == ([], [], 0)


async def test_what_costs_nothing_is_granted_at_once() -> None:
    worker, sums = _worker(usd_per_token=Decimal(0))
    assert worker.budget.reserve(REQUEST, attempt()) is GRANTED
    assert sums.asked == []


async def test_target_without_a_price_is_refused_at_once_and_another_may_be_tried() -> None:
    worker, sums = _worker(usd_per_token=None)
    with pytest.raises(OverBudgetError, match="no known price") as raised:
        worker.budget.reserve(REQUEST, attempt())
    assert raised.value.may_go_elsewhere
    assert (sums.asked, worker.counted.refused) == ([], ["unpriced"])


async def test_reservation_begins_before_anybody_waits_for_it() -> None:
    worker, sums = _worker()
    worker.publish(3)
    made = attempt()
    permission = worker.budget.reserve(REQUEST, made)
    assert sums.asked == [(made.attempt_id.bytes, [3 * _NANO])]
    sums.futures[0].set_result(_granted())
    await permission
    assert worker.budget.reserved_usd == 1


@pytest.mark.parametrize(
    ("billing", "settled"),
    [(cost("0.25"), _NANO // 4), (cost(None), _NANO), (None, 0), (cost(3), 3 * _NANO)],
)
async def test_settlement_is_the_cost_or_the_estimate_or_nothing(
    billing: Any,  # noqa: ANN401 - Billing or None
    settled: int,
) -> None:
    worker, sums = _worker(_granted())
    made = await worker.reserved()
    worker.budget.settle(made, billing)
    worker.budget.settle(made, billing)
    assert sums.settled == [(made.attempt_id.bytes, settled)]
    assert worker.budget.reserved_usd == 0


async def test_what_nobody_waited_for_is_settled_and_its_answer_changes_nothing() -> None:
    worker, sums = _worker()
    made = attempt()
    worker.budget.reserve(REQUEST, made)
    worker.budget.settle(made, None)
    sums.futures[0].set_result(_granted())
    await asyncio.sleep(0)
    assert sums.settled == [(made.attempt_id.bytes, 0)]
    assert worker.budget.reserved_usd == 0


async def test_failure_that_nobody_waited_for_is_no_noise() -> None:
    worker, sums = _worker()
    made = attempt()
    worker.budget.reserve(REQUEST, made)
    worker.budget.settle(made, None)
    sums.futures[0].set_exception(_AWAY)
    await asyncio.sleep(0)
    assert worker.counted.unshared == 0
    assert worker.budget.reserved_usd == 0


async def test_one_that_is_cancelled_while_it_waits_is_released_by_its_caller() -> None:
    worker, sums = _worker()
    made = attempt()
    waiting = asyncio.ensure_future(_await(worker.budget.reserve(REQUEST, made)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    worker.budget.settle(made, None)
    assert sums.settled == [(made.attempt_id.bytes, 0)]


async def _await(permission: Any) -> None:  # noqa: ANN401 - an Awaitable
    await permission


@pytest.mark.parametrize("when_over", list(WhenOver))
async def test_what_is_over_a_limit_is_refused_by_its_name(when_over: WhenOver) -> None:
    worker, sums = _worker(_over(), budgets=daily(10, when_over=when_over))
    with pytest.raises(OverBudgetError, match="BUDGET__DAILY_USD") as raised:
        await worker.reserved()
    assert raised.value.may_go_elsewhere is (when_over is WhenOver.NEXT_TARGET)
    assert (sums.settled, worker.counted.refused) == ([], ["over"])


async def test_what_does_not_fit_now_is_not_asked_again_at_once() -> None:
    worker, sums = _worker(_busy(), _granted())
    for _ in range(5):
        with pytest.raises(BudgetBusyError):
            await worker.reserved()
    assert len(sums.asked) == 1
    assert worker.counted.waits == 5
    worker.clock.advance(0.1)
    await worker.reserved()


async def test_call_of_ours_that_ends_lets_others_ask_again_at_once() -> None:
    worker, _ = _worker(_granted(), _busy(), _granted())
    made = await worker.reserved()
    with pytest.raises(BudgetBusyError):
        await worker.reserved()
    worker.budget.settle(made, None)
    await worker.reserved()


@pytest.mark.parametrize("answer", [_AWAY, _NOT_ASKED, [b"unseeded"]])
async def test_without_the_others_our_share_of_what_was_left_can_be_spent(answer: Any) -> None:  # noqa: ANN401 - an answer
    worker, sums = _worker(_granted(3), *[answer] * 9, share=0.5)
    first = await worker.reserved()  # of 10, others hold 2: our half of the rest is 4
    made = [await worker.reserved() for _ in range(3)]
    with pytest.raises(BudgetBusyError):
        await worker.reserved()
    for each in (first, *made):
        worker.budget.settle(each, cost(1))
    worker.clock.advance(1)
    with pytest.raises(BudgetBusyError):  # others may have left some of theirs
        await worker.reserved()
    assert worker.counted.unshared == 5
    may_be_held = [name for name, usd in sums.settled if usd == 0]
    assert bool(may_be_held) is (answer is _AWAY)  # else Redis has said, or was not asked


async def test_without_the_others_what_exceeds_the_limit_is_refused() -> None:
    worker, _ = _worker(_AWAY)
    worker.publish(9.5)
    with pytest.raises(OverBudgetError):
        await worker.reserved()


async def test_what_was_judged_alone_is_told_when_redis_is_back() -> None:
    worker, sums = _worker(_granted(), _AWAY, _AWAY, _granted(2), _granted(4))
    await worker.reserved()
    alone, over = await worker.reserved(), await worker.reserved()
    worker.budget.settle(over, cost(1))
    await worker.reserved()
    assert sums.held == [alone.attempt_id.bytes]
    await worker.reserved()
    assert sums.held == [alone.attempt_id.bytes]


async def test_new_epoch_is_told_of_every_call_under_way() -> None:
    worker, sums = _worker(_granted(), _granted(2), _granted(3, epoch=b"new"))
    made = [await worker.reserved() for _ in range(2)]
    assert sums.held == []
    await worker.reserved()
    assert sums.held == [each.attempt_id.bytes for each in reversed(made)]


async def test_without_redis_what_is_over_our_share_is_refused() -> None:
    worker = Worker(share=0.5, budgets=daily(4))
    made = [await worker.reserved() for _ in range(2)]
    with pytest.raises(BudgetBusyError):
        await worker.reserved()
    for each in made:
        worker.budget.settle(each, cost(1))
    with pytest.raises(OverBudgetError):
        await worker.reserved()
    worker.clock.advance(24 * 3_600)
    await worker.reserved()


async def test_refused_for_good_is_said_before_what_only_waits() -> None:
    limits = Budgets(
        overall=Allowance(daily_usd=Decimal(2), is_hard=True),
        providers={"mock": Allowance(daily_usd=Decimal("0.5"), is_hard=True)},
    )
    worker = Worker(budgets=limits)
    for _ in range(2):
        await worker.reserved(ProviderName.OPENAI)
    with pytest.raises(OverBudgetError, match="provider mock"):
        await worker.reserved()


async def test_empty_redis_is_told_what_was_spent_until_it_succeeds_once_at_a_time() -> None:
    worker, sums = _worker([b"unseeded"], [b"unseeded"], known={(Scope(), DAY): Decimal(7)})
    worker.known_fails, sums.seed_fails = [OSError("no broker")], [_AWAY]
    await worker.reserved()
    await worker.reserved()
    await worker.seeded()
    assert sums.seeded == [{(Scope(), DAY): Decimal(7)}]
    assert worker.seedings == 3
    assert [type(each) for each in worker.faults] == [OSError]
    await worker.budget.aclose()


async def test_seeding_is_given_up_at_the_end() -> None:
    worker, _ = _worker([b"unseeded"])
    worker.known_fails = [OSError("no broker")] * 1_000
    await worker.reserved()
    await worker.budget.aclose()
    assert worker.seedings <= 1


async def test_organisations_and_days_without_end_are_not_remembered() -> None:
    limit = Allowance(daily_usd=Decimal(1), is_hard=True)
    worker = Worker(budgets=Budgets(organizations={"*": limit}))
    for number in range(2_100):
        worker.budget._fence(str(number), ProviderName.MOCK)
    assert len(worker.budget._fences) <= 1_000


async def test_reservation_and_note_of_an_attempt_travel_together() -> None:
    redis = FakeRedis(answer=_answer_of_script, delay_s=0.001)
    link = redis.link(linger_s=0.002)
    outbox = Outbox(link)
    worker = Worker(RedisSums(link, outbox, key_prefix="t:", lifetime_s=60))
    presence = Presence(link, key_prefix="t:", clock=worker.clock, on_renewed=outbox.drain)
    outcomes = RedisOutcomes(link, presence, outbox, key_prefix="t:", ttl_s=60, held_at_most_s=60)
    claim = Claim(request_id=REQUEST.request_id, data_hash=b"h", token="ours")  # noqa: S106 - no password
    made = attempt()
    permission = worker.budget.reserve(REQUEST, made)
    assert await outcomes.begins(claim, made)
    await permission
    assert [len(batch) for batch in redis.batches] == [2]
    await link.aclose()


async def test_redis_that_has_not_heard_all_is_not_asked_for_a_reservation() -> None:
    redis = FakeRedis(answer=_answer_of_script)
    link = redis.link()
    outbox = Outbox(link)
    worker = Worker(RedisSums(link, outbox, key_prefix="t:", lifetime_s=60))
    outbox.keep(load_script("settle"), ["t:k"], "unheard")
    await worker.reserved()
    assert redis.batches == []
    assert worker.counted.unshared == 1
    await outbox.drain()
    await worker.reserved()
    assert worker.counted.unshared == 1
    await link.aclose()


def _answer_of_script(words: list[bytes]) -> object:
    return _granted() if words[1] == load_script("reserve").sha.encode() else 1
