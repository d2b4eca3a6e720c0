"""Two processes, and a Redis that has not heard, or has forgotten, what one of them said."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from llm_worker.application.ports import Turn
from llm_worker.domain.cached import CacheHit, CacheTier
from llm_worker.domain.claim import Claim, Hindrance, KnownOutcome
from llm_worker.domain.delivery import Record
from tests.support.builders import attempt_of, completion_of, request_of, verdict_of
from tests.support.stores import claim_at, claiming_later, die, sent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from llm_worker.domain.claim import Claiming
    from llm_worker.domain.request import ComparisonRequest
    from tests.support.stores import Process

_ATTEMPT = attempt_of(completion_of()).attempt
_RECORDS = (Record(topic="t", key=b"k", value=b"first", headers=(("h", None),)),)
_OTHERS = (Record(topic="t", key=b"k", value=b"second", headers=()),)


async def test_flush_lets_nobody_take_over_from_one_that_is_alive(
    two: tuple[Process, Process],
) -> None:
    # Its sign of life is forgotten too, until it renews it.
    one, other = two
    request = request_of()
    claim = await claim_at(one, request)
    await one.flush()
    assert await one.outcomes.begins(claim, _ATTEMPT)
    await sent(one)
    assert await claiming_later(other, request) is Hindrance.HELD


@asynccontextmanager
async def _cut(process: Process) -> AsyncIterator[None]:
    """Lose what a process says, as with one batch that Redis did not answer in time."""
    process.link.is_cut = True
    yield
    process.link.is_cut = False


async def _until_not_held(two: Sequence[Process], request: ComparisonRequest) -> Claiming:
    """Both live on for half a minute; give what the second one sees at the latest then."""
    one, other = two
    claiming: Claiming = Hindrance.HELD
    for _ in range(6):
        claiming = await claiming_later(other, request)
        if claiming is not Hindrance.HELD:
            break
        await one.live_on(5)
        await other.live_on(5)
        await one.outcomes.claim(request_of())
    return claiming


async def test_claim_whose_return_redis_did_not_hear_is_not_held_on(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    request = request_of()
    claim = await claim_at(one, request)
    async with _cut(one):
        one.outcomes.release(claim, is_paid=False)
    assert isinstance(await _until_not_held((one, other), request), Claim)


async def test_outcome_that_redis_did_not_hear_of_is_told_when_it_is_back(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    request = request_of()
    claim = await claim_at(one, request)
    async with _cut(one):
        await one.outcomes.keep(claim, _RECORDS)
    assert one.seen.unshared_steps == ["outcome"]
    one.outcomes.published(request)
    known = await _until_not_held((one, other), request)
    assert isinstance(known, KnownOutcome)
    assert known.records == _RECORDS


async def test_outcome_whose_publication_redis_did_not_hear_of_is_not_held_on(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    request = request_of()
    await one.outcomes.keep(await claim_at(one, request), _RECORDS)
    async with _cut(one):
        one.outcomes.published(request)
    assert isinstance(await _until_not_held((one, other), request), KnownOutcome)


async def test_question_is_bought_by_one_and_found_by_the_other(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    assert await one.verdicts.find("f") is Turn.BUY
    assert await other.verdicts.find("f") is Turn.LOOK_AGAIN
    one.verdicts.keep("f", verdict_of())
    await sent(one)
    assert await other.verdicts.find("f") == CacheHit(verdict=verdict_of(), tier=CacheTier.REDIS)
    assert await other.verdicts.find("f") == CacheHit(verdict=verdict_of(), tier=CacheTier.LOCAL)


async def test_turn_to_buy_goes_to_the_next_when_it_is_passed_on_or_its_owner_is_gone(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    assert await one.verdicts.find("f") is Turn.BUY
    one.verdicts.pass_on("f")
    await sent(one)
    assert await other.verdicts.find("f") is Turn.BUY
    assert await one.verdicts.find("f") is Turn.LOOK_AGAIN
    await die(other)
    one.clock.advance(0.3)
    assert await one.verdicts.find("f") is Turn.BUY


async def test_turn_whose_end_redis_did_not_hear_of_is_not_waited_for_on(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    await one.verdicts.find("f")
    async with _cut(one):
        one.verdicts.keep("f", verdict_of())
    turn: CacheHit | Turn = Turn.LOOK_AGAIN
    for _ in range(6):
        turn = await other.verdicts.find("f")
        if turn is not Turn.LOOK_AGAIN:
            break
        await one.live_on(5)
        await other.live_on(5)
        await one.verdicts.find("g")
    assert turn is not Turn.LOOK_AGAIN
