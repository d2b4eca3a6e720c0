"""The data path beside other processes: who buys, and who waits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from llm_worker.application.ports import BudgetBusyError
from llm_worker.domain.claim import Hindrance, KnownOutcome
from llm_worker.domain.delivery import Record
from llm_worker.domain.errors import OverBudgetError, ProviderTimeoutError
from llm_worker.domain.outcome import Attempt, Completed, Failed, LetGo, Rejected, Replayed
from llm_worker.domain.verdict import Billing
from tests.support.builders import NOW, RESULT_TOPIC, TARGET, delivery_of, hit_of
from tests.support.claims import COST_TOPIC, ClaimsBench
from tests.support.wire import data_of, error_code_of

_OVER = OverBudgetError("the daily limit leaves no room")
_STARTED = "huleedu.llm_provider.request_started.v1"
_FAILURE = "huleedu.llm_provider.failure.v1"
_RECORDS = tuple(
    Record(topic=topic, key=b"k", value=topic.encode(), headers=(("h", None),))
    for topic in (_STARTED, COST_TOPIC, RESULT_TOPIC)
)
_LOST = Attempt(attempt_id=UUID(int=5), number=1, target=TARGET, started_at=NOW)


@pytest.fixture
def bench() -> ClaimsBench:
    return ClaimsBench()


def _known(published_for: str | None = None) -> KnownOutcome:
    return KnownOutcome(records=_RECORDS, published_for=published_for)


async def test_request_that_another_process_buys_is_waited_for_and_answered_in_its_bytes(
    bench: ClaimsBench,
) -> None:
    bench.store.claimings = [*[Hindrance.HELD] * 5, _known()]
    assert isinstance(await bench.handle(), Replayed)
    assert bench.core.publisher.held == list(_RECORDS)
    assert bench.core.provider.calls == []
    assert bench.store.steps == [*["claim"] * 6, "published"]


async def test_looks_at_anothers_claim_grow_rarer_but_not_rarer_than_one_a_second(
    bench: ClaimsBench,
) -> None:
    bench.store.claimings = [*[Hindrance.HELD] * 50, _known()]
    loop, began_s = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    await bench.handle()
    assert 40 < loop.time() - began_s <= 50


async def test_drain_gives_back_what_another_process_buys(bench: ClaimsBench) -> None:
    bench.store.claimings = [Hindrance.HELD] * 99
    task = asyncio.ensure_future(bench.handle())
    await asyncio.sleep(3)
    bench.pipeline.let_go()
    assert await task == LetGo()
    assert (bench.core.publisher.sent, bench.store.released) == ([], [])
    assert await bench.handle() == LetGo()
    bench.pipeline.reopen()
    bench.store.claimings = [Hindrance.HELD, _known()]
    assert isinstance(await bench.handle(), Replayed)


async def test_what_was_published_for_this_very_record_is_not_published_again(
    bench: ClaimsBench,
) -> None:
    bench.store.claimings = [_known(delivery_of().record_id)]
    assert isinstance(await bench.handle(), Replayed)
    assert bench.core.publisher.sent == []


async def test_what_may_not_have_been_published_is_published_again(bench: ClaimsBench) -> None:
    bench.store.claimings = [_known(None)]
    assert isinstance(await bench.handle(), Replayed)
    assert bench.core.publisher.held == list(_RECORDS)
    assert bench.store.steps == ["claim", "published"]


async def test_request_that_is_sent_again_gets_its_result_and_its_costs_are_not_told_twice(
    bench: ClaimsBench,
) -> None:
    """Days later the accountant does not know their ids any more."""
    bench.store.claimings = [_known(delivery_of(offset=1).record_id)]
    assert isinstance(await bench.handle(), Replayed)
    assert bench.core.publisher.held == [_RECORDS[-1]]
    assert bench.store.steps == ["claim", "published"]


async def test_claim_that_is_lost_before_the_call_buys_nothing_and_is_looked_up_again(
    bench: ClaimsBench,
) -> None:
    bench.store.claimings = [bench.claim(), Hindrance.HELD, _known()]
    bench.store.begin_answers = [False]
    assert isinstance(await bench.handle(), Replayed)
    assert bench.core.provider.calls == []
    assert bench.core.publisher.held == list(_RECORDS)
    assert bench.store.released == []  # it is not ours to give


async def test_reservation_of_a_lost_claim_is_released(bench: ClaimsBench) -> None:
    bench.store.claimings = [bench.claim(), _known()]
    bench.store.begin_answers = [False]
    await bench.handle()
    assert bench.core.budget.settled == [None]


@pytest.mark.parametrize("error", [_OVER, BudgetBusyError("set aside for others")])
async def test_note_of_an_attempt_that_the_budget_refuses_is_taken_back_and_not_announced(
    bench: ClaimsBench, error: Exception
) -> None:
    refusals = [error]
    bench.core.budget.refuse = lambda _attempt: refusals.pop() if refusals else None
    ending = await bench.handle()
    assert bench.store.steps[:3] == ["claim", "begins", "ended"]
    assert bench.store.noted[0] == ((), False)
    if error is _OVER:
        assert isinstance(ending, Failed)
        assert _STARTED not in bench.core.publisher.topics_held()
    else:
        assert isinstance(ending, Completed)
        assert bench.core.publisher.topics_held().count(_STARTED) == 1


async def test_note_is_taken_back_when_the_permission_is_given_up(bench: ClaimsBench) -> None:
    bench.core.budget.refuse = lambda _attempt: asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await bench.handle()
    assert bench.store.steps == ["claim", "begins", "ended"]
    assert bench.core.budget.settled == [None]


async def test_claim_that_is_lost_between_attempts_tells_the_first_one(bench: ClaimsBench) -> None:
    bench.core.attempts_at_most, bench.pipeline = 2, bench.core.pipeline()
    bench.core.provider.answer = ProviderTimeoutError("late", billing=Billing())
    bench.pipeline = replace(
        bench.pipeline, orchestrator=replace(bench.pipeline.orchestrator, attempts_at_most=2)
    )
    bench.store.claimings = [bench.claim(), _known()]
    bench.store.begin_answers = [True, False]
    assert isinstance(await bench.handle(), Replayed)
    assert len(bench.core.provider.calls) == 1
    own = bench.core.publisher.topics_held()[: -len(_RECORDS)]
    assert own == [_STARTED, _FAILURE, COST_TOPIC]


async def test_verdict_that_came_second_is_thrown_away_and_told_as_superseded(
    bench: ClaimsBench,
) -> None:
    bench.store.claimings = [bench.claim(), _known()]
    bench.store.keep_answers = [False]
    assert isinstance(await bench.handle(), Replayed)
    held = bench.core.publisher.held
    assert [record.topic for record in held] == [_STARTED, COST_TOPIC, *[r.topic for r in _RECORDS]]
    said = data_of(held[1].value)
    assert (said["outcome"], said["cost_estimate_usd"]) == ("superseded", 0.001)
    assert held[2:] == list(_RECORDS)
    [thrown_away] = bench.core.telemetry.thrown_away
    assert thrown_away.request_id == bench.request.request_id


async def test_hit_that_came_second_tells_nothing_of_its_own(bench: ClaimsBench) -> None:
    bench.core.cache.known = hit_of()
    bench.store.claimings = [bench.claim(), _known()]
    bench.store.keep_answers = [False]
    assert isinstance(await bench.handle(), Replayed)
    assert bench.core.publisher.held == list(_RECORDS)


async def test_other_data_under_a_known_id_is_refused_and_claims_nothing(
    bench: ClaimsBench,
) -> None:
    bench.store.claimings = [Hindrance.CONFLICT]
    assert isinstance(await bench.handle(), Rejected)
    assert bench.store.steps == ["claim"]
    assert error_code_of(bench.core.publisher.held[-1].value) == "VALIDATION_ERROR"


async def test_calls_may_be_handed_over_exactly_where_claims_are_shared(bench: ClaimsBench) -> None:
    assert not bench.pipeline.may_hand_over
    bench.store.are_claims_shared = True
    assert bench.pipeline.may_hand_over


async def test_same_question_under_another_id_is_another_claim_and_one_purchase(
    bench: ClaimsBench,
) -> None:
    bench.core.provider.takes_s = 1.0
    other = delivery_of(bench.body | {"event_id": str(uuid4())})
    endings = await asyncio.gather(
        bench.handle(),
        bench.pipeline.handle(replace(other, received_s=bench.delivery.received_s)),
    )
    assert [type(ending) for ending in endings] == [Completed, Completed]
    assert len(bench.core.provider.calls) == 1
    assert [cost["outcome"] for cost in bench.costs()] == ["success", "cached"]
