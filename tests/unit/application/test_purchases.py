from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from llm_worker.application.bell import Bell
from llm_worker.application.ports import Turn
from llm_worker.application.purchases import Purchases, shared_failure
from llm_worker.application.slots import Grant
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.cached import CacheHit, CacheTier
from llm_worker.domain.errors import (
    DeadlinePassedError,
    PromptTooLongError,
    ProviderDownError,
    RefusedError,
)
from llm_worker.domain.outcome import Completed, Failed, LetGo
from llm_worker.domain.routing import Route
from llm_worker.domain.strategies import Strategy
from tests.support.builders import (
    TARGET,
    attempt_of,
    completion_of,
    failed_of,
    hit_of,
    request_of,
    verdict_of,
)
from tests.support.core import Core, arriving, resolve
from tests.support.fakes import FakeCache, FakeProvider

if TYPE_CHECKING:
    from llm_worker.application.purchases import Joined
    from llm_worker.domain.errors import ProviderError

_FOREVER_S = 10_000.0
_ROUTE = Route((TARGET,), Strategy.PRIORITY)
_REFUSED = RefusedError("the model refused")


@dataclass(slots=True)
class _Bench:
    """Purchases, and who joined them when."""

    cache: FakeCache = field(default_factory=FakeCache)
    purchases: Purchases = field(init=False)

    def __post_init__(self) -> None:
        self.purchases = Purchases(cache=self.cache, bell=Bell())

    def join(self, fingerprint: str = "f", within_s: float = _FOREVER_S) -> asyncio.Task[Joined]:
        until_s = _now_s() + within_s
        return asyncio.ensure_future(self.purchases.join(fingerprint, until_s))

    def is_empty(self) -> bool:
        return not self.purchases._under_way


def _now_s() -> float:
    return asyncio.get_running_loop().time()


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def bench() -> _Bench:
    return _Bench()


async def test_two_hundred_who_ask_the_same_at_once_buy_once(bench: _Bench) -> None:
    tasks = [bench.join() for _ in range(200)]
    await _settled()
    assert [task.result() for task in tasks if task.done()] == [Grant.GRANTED]
    verdict = verdict_of()
    bench.purchases.bought("f", verdict)
    answers = Counter(map(repr, await asyncio.gather(*tasks)))
    hit = CacheHit(verdict=verdict, tier=CacheTier.LOCAL)
    assert answers == {repr(Grant.GRANTED): 1, repr(hit): 199}
    assert (bench.cache.kept, bench.cache.looks) == ({"f": verdict}, ["f"])
    assert bench.is_empty()


async def test_those_who_ask_something_else_do_not_wait(bench: _Bench) -> None:
    assert await bench.join("f") is Grant.GRANTED
    assert await bench.join("g") is Grant.GRANTED


async def test_what_the_cache_has_is_given_to_all_and_nobody_buys(bench: _Bench) -> None:
    bench.cache.known = hit_of()
    assert await asyncio.gather(*[bench.join() for _ in range(3)]) == [hit_of()] * 3
    assert bench.is_empty()


async def test_leader_that_fails_for_itself_lets_the_next_one_buy(bench: _Bench) -> None:
    tasks = [bench.join() for _ in range(3)]
    await _settled()
    bench.purchases.failed("f", None)
    await _settled()
    assert [task.result() for task in tasks if task.done()] == [Grant.GRANTED] * 2
    assert bench.cache.passed_on == ["f"]
    bench.purchases.bought("f", verdict_of())
    assert isinstance(tasks[2].result() if tasks[2].done() else await tasks[2], CacheHit)
    assert bench.is_empty()


async def test_failure_that_would_be_everybodys_is_everybodys(bench: _Bench) -> None:
    tasks = [bench.join() for _ in range(3)]
    await _settled()
    bench.purchases.failed("f", _REFUSED)
    assert await asyncio.gather(*tasks) == [Grant.GRANTED, _REFUSED, _REFUSED]
    assert bench.cache.passed_on == ["f"]
    assert bench.is_empty()


async def test_failure_is_not_remembered_for_those_who_ask_later(bench: _Bench) -> None:
    await bench.join()
    bench.purchases.failed("f", _REFUSED)
    assert await bench.join() is Grant.GRANTED


async def test_deadline_of_one_who_waits_is_its_own(bench: _Bench) -> None:
    await bench.join(within_s=1)
    hurried, patient = bench.join(within_s=5), bench.join(within_s=100)
    assert await hurried is Grant.EXPIRED
    assert not patient.done()
    bench.purchases.bought("f", verdict_of())
    assert isinstance(await patient, CacheHit)


async def test_answer_that_comes_with_the_deadline_is_an_answer(bench: _Bench) -> None:
    await bench.join()
    follower = bench.join(within_s=5)
    await _settled()
    asyncio.get_running_loop().call_at(_now_s() + 5, bench.purchases.bought, "f", verdict_of())
    assert isinstance(await follower, CacheHit | Grant)
    await _settled()
    assert bench.is_empty()


async def test_drain_sends_all_who_wait_away_and_not_who_buys(bench: _Bench) -> None:
    tasks = [bench.join() for _ in range(3)]
    await _settled()
    bench.purchases.let_go()
    assert await asyncio.gather(*tasks) == [Grant.GRANTED, Grant.LET_GO, Grant.LET_GO]
    assert await bench.join() is Grant.LET_GO
    bench.purchases.reopen()
    again = bench.join()
    await _settled()
    assert not again.done()
    bench.purchases.bought("f", verdict_of())
    assert isinstance(await again, CacheHit)
    assert bench.is_empty()


async def test_purchase_of_another_process_is_waited_for_until_it_is_there(
    bench: _Bench,
) -> None:
    bench.cache.turns, bench.cache.known = [Turn.LOOK_AGAIN] * 3, hit_of()
    tasks = [bench.join() for _ in range(2)]
    assert await asyncio.gather(*tasks) == [hit_of()] * 2
    assert len(bench.cache.looks) == 4
    assert bench.is_empty()


async def test_purchase_that_another_process_passes_on_is_made_here(bench: _Bench) -> None:
    bench.cache.turns = [Turn.LOOK_AGAIN] * 3
    first, second = bench.join(), bench.join()
    assert await first is Grant.GRANTED
    await _settled()
    assert not second.done()
    bench.purchases.bought("f", verdict_of())
    assert isinstance(await second, CacheHit)


async def test_looks_at_another_process_grow_rarer_but_not_rarer_than_one_a_second(
    bench: _Bench,
) -> None:
    bench.cache.turns, began_s = [Turn.LOOK_AGAIN] * 100, _now_s()
    assert await bench.join() is Grant.GRANTED
    assert 90 < _now_s() - began_s <= 100


async def test_one_whose_deadline_ends_while_it_looks_leaves_the_looking_to_the_next(
    bench: _Bench,
) -> None:
    bench.cache.turns, began_s = [Turn.LOOK_AGAIN] * 20, _now_s()
    hurried, patient = bench.join(within_s=2), bench.join(within_s=100)
    assert await hurried is Grant.EXPIRED
    assert _now_s() == began_s + 2
    assert await patient is Grant.GRANTED
    bench.purchases.failed("f", None)
    assert bench.is_empty()


async def test_drain_ends_the_looking_too(bench: _Bench) -> None:
    bench.cache.turns = [Turn.LOOK_AGAIN] * 100
    tasks = [bench.join() for _ in range(2)]
    await _settled()
    bench.purchases.let_go()
    assert await asyncio.gather(*tasks) == [Grant.LET_GO] * 2
    assert bench.is_empty()


async def test_cancelled_leader_leaves_the_looking_to_the_next(bench: _Bench) -> None:
    bench.cache.turns = [Turn.LOOK_AGAIN] * 3
    leader, follower = bench.join(), bench.join()
    await _settled()
    leader.cancel()
    assert await follower is Grant.GRANTED
    assert leader.cancelled()


async def test_cancelled_follower_disturbs_nobody(bench: _Bench) -> None:
    await bench.join()
    cancelled, other = bench.join(), bench.join()
    await _settled()
    cancelled.cancel()
    await _settled()
    bench.purchases.bought("f", verdict_of())
    assert isinstance(await other, CacheHit)
    assert cancelled.cancelled()
    assert bench.is_empty()


async def test_cache_with_a_defect_leaves_nobody_waiting(bench: _Bench) -> None:
    bench.cache.defect = ZeroDivisionError()
    leader, follower = bench.join(), bench.join()
    ended = await asyncio.gather(leader, follower, return_exceptions=True)
    assert [type(each) for each in ended] == [ZeroDivisionError] * 2
    assert bench.is_empty()


async def test_verdict_that_nobody_waits_for_is_kept(bench: _Bench) -> None:
    bench.purchases.keep("f", verdict_of())
    assert bench.cache.kept == {"f": verdict_of()}
    assert bench.is_empty()


@pytest.mark.parametrize(
    ("errors", "is_shared"),
    [
        ([_REFUSED], True),
        ([PromptTooLongError("long"), _REFUSED], True),
        ([ProviderDownError("503"), _REFUSED], False),
        ([ProviderDownError("503")], False),
    ],
)
def test_only_failures_of_the_question_are_everybodys(
    errors: list[ProviderError], *, is_shared: bool
) -> None:
    failed = failed_of(request_of(), errors[-1], *map(attempt_of, errors))
    assert shared_failure(failed, _ROUTE) is (errors[-1] if is_shared else None)


def test_deadlines_and_drains_are_nobody_elses() -> None:
    assert shared_failure(failed_of(request_of(), DeadlinePassedError("late")), _ROUTE) is None
    assert shared_failure(LetGo(), _ROUTE) is None
    assert shared_failure(None, _ROUTE) is None


async def test_targets_that_the_leader_had_no_time_for_are_tried_by_the_next() -> None:
    # It was refused by the first target alone: the second might have answered.
    core = Core(provider=FakeProvider(_REFUSED, name=ProviderName.ANTHROPIC, takes_s=4.0))
    core.others = [FakeProvider(completion_of(), name=ProviderName.OPENAI)]
    orchestrator = core.orchestrator()
    hurried = arriving(cache_mode="use", within_s=4.0)
    patient = arriving(cache_mode="use", within_s=100.0)
    endings = await asyncio.gather(
        *(resolve(orchestrator, request) for request in (hurried, patient))
    )
    assert [type(ending) for ending in endings] == [Failed, Completed]
