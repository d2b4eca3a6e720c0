"""Two processes and one Redis: who may buy, who waits, what is told of the one that is gone."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from llm_worker.domain.claim import NOTHING_LEFT, Claim, Hindrance, KnownOutcome, LeftBehind
from llm_worker.domain.delivery import Record
from tests.support.builders import attempt_of, completion_of, delivery_of, request_of
from tests.support.stores import claim_at, claiming_later, die, process_on, sent

if TYPE_CHECKING:
    from llm_worker.adapters.cache.connect import RedisAddress
    from tests.support.stores import Process

_ATTEMPT = attempt_of(completion_of()).attempt
_RECORDS = (Record(topic="t", key=b"k", value=b"first", headers=(("h", None),)),)
_OTHERS = (Record(topic="t", key=b"k", value=b"second", headers=()),)


async def test_what_one_buys_the_other_waits_for_and_then_gets(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    request = request_of()
    claim = await claim_at(one, request)
    assert await one.outcomes.begins(claim, _ATTEMPT)
    assert await other.outcomes.claim(request) is Hindrance.HELD
    assert await one.outcomes.keep(claim, _RECORDS)
    assert await claiming_later(other, request) is Hindrance.HELD  # it is being published
    one.outcomes.published(request)
    await sent(one)
    assert await claiming_later(other, request) == KnownOutcome(
        records=_RECORDS, published_for=request.delivery.record_id
    )


async def test_of_many_who_claim_at_once_one_may_buy(redis_address: RedisAddress) -> None:
    async with AsyncExitStack() as stack:
        prefix, request = f"many-{uuid4().hex}:", request_of()
        processes = [
            await stack.enter_async_context(process_on(redis_address, prefix=prefix))
            for _ in range(8)
        ]
        claimings = await asyncio.gather(*(each.outcomes.claim(request) for each in processes))
        assert sum(isinstance(each, Claim) for each in claimings) == 1
        assert sum(each is Hindrance.HELD for each in claimings) == 7


async def test_claim_of_one_that_is_gone_is_taken_over_with_its_attempt(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    request = request_of()
    claim = await claim_at(one, request)
    await one.outcomes.begins(claim, _ATTEMPT)
    assert await other.outcomes.claim(request) is Hindrance.HELD
    await die(one)
    taken = await claiming_later(other, request)
    assert isinstance(taken, Claim)
    assert taken.left_behind.attempt == _ATTEMPT
    assert (taken.left_behind.records, taken.left_behind.is_paid) == ((), True)


async def test_claim_that_nothing_was_bought_under_leaves_nothing_behind(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    request = request_of()
    await claim_at(one, request)
    await die(one)
    assert (await claim_at(other, request)).left_behind == NOTHING_LEFT


def _told(number: int, size_bytes: int = 300) -> tuple[Record, ...]:
    value = f"{number} ".encode() + bytes(range(256)) * (size_bytes // 256)
    return (Record(topic="t", key=b"k", value=value, headers=()),)


@pytest.mark.parametrize("size_bytes", [0, 4_096])
async def test_attempts_that_are_known_to_have_failed_are_told_in_their_order(
    two: tuple[Process, Process], size_bytes: int
) -> None:
    one, other = two
    request = request_of()
    claim = await claim_at(one, request)
    for number in range(12):
        attempt = replace(_ATTEMPT, number=number)
        await one.outcomes.begins(claim, attempt)
        one.outcomes.ended(claim, attempt, _told(number, size_bytes), is_paid=number == 2)
    await die(one)
    left = (await claim_at(other, request)).left_behind
    assert (left.attempt, left.is_paid) == (None, True)
    assert left.records == tuple(_told(number, size_bytes)[0] for number in range(12))


async def test_end_that_arrives_after_the_next_beginning_does_not_hide_it(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    request = request_of()
    claim = await claim_at(one, request)
    await one.outcomes.begins(claim, _ATTEMPT)
    following = replace(_ATTEMPT, attempt_id=uuid4(), number=2)
    await one.outcomes.begins(claim, following)
    one.outcomes.ended(claim, _ATTEMPT, _told(1), is_paid=False)
    await die(one)
    left = (await claim_at(other, request)).left_behind
    assert (left.attempt, left.records) == (following, _told(1))


async def test_free_failures_leave_nothing_paid(two: tuple[Process, Process]) -> None:
    one, other = two
    request = request_of()
    claim = await claim_at(one, request)
    await one.outcomes.begins(claim, _ATTEMPT)
    one.outcomes.ended(claim, _ATTEMPT, _told(1), is_paid=False)
    await die(one)
    left = (await claim_at(other, request)).left_behind
    assert (left.attempt, left.records, left.is_paid) == (None, _told(1), False)


async def test_note_that_is_taken_back_leaves_nothing(two: tuple[Process, Process]) -> None:
    one, other = two
    request = request_of()
    claim = await claim_at(one, request)
    await one.outcomes.begins(claim, _ATTEMPT)
    one.outcomes.ended(claim, _ATTEMPT, (), is_paid=False)
    await sent(one)
    fields = await one.link.command("HKEYS", f"{one.prefix}request:{request.request_id}")
    assert not [name for name in fields if name.startswith(b"told:")]
    await die(one)
    assert (await claim_at(other, request)).left_behind == NOTHING_LEFT


async def test_first_outcome_wins(two: tuple[Process, Process]) -> None:
    one, other = two
    request = request_of()
    frozen = await claim_at(one, request)
    await one.outcomes.begins(frozen, _ATTEMPT)
    await die(one)
    taken = await claim_at(other, request)
    assert await other.outcomes.keep(taken, _OTHERS)
    assert not await one.outcomes.keep(frozen, _RECORDS)
    other.outcomes.published(request)
    await sent(other)
    await one.live_on()
    known = await one.outcomes.claim(request)
    assert isinstance(known, KnownOutcome)
    assert known.records == _OTHERS


async def test_one_that_thaws_and_is_quicker_wins_too(two: tuple[Process, Process]) -> None:
    one, other = two
    request = request_of()
    frozen = await claim_at(one, request)
    await die(one)
    taken = await claim_at(other, request)
    assert await one.outcomes.keep(frozen, _RECORDS)
    assert not await other.outcomes.keep(taken, _OTHERS)


async def test_token_that_was_taken_over_may_not_begin(two: tuple[Process, Process]) -> None:
    one, other = two
    request = request_of()
    frozen = await claim_at(one, request)
    await die(one)
    taken = await claim_at(other, request)
    assert not await one.outcomes.begins(frozen, _ATTEMPT)
    assert await other.outcomes.begins(taken, _ATTEMPT)
    one.outcomes.ended(frozen, _ATTEMPT, _told(1), is_paid=True)
    one.outcomes.release(frozen, is_paid=True)
    await sent(one)
    assert await claiming_later(one, request) is Hindrance.HELD
    assert await other.outcomes.keep(taken, _OTHERS)


async def test_claim_that_is_given_back_is_taken_by_the_other_at_once(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    request = request_of()
    claim = await claim_at(one, request)
    await one.outcomes.begins(claim, _ATTEMPT)
    one.outcomes.ended(claim, _ATTEMPT, _told(1), is_paid=True)
    one.outcomes.release(claim, is_paid=True)
    await sent(one)
    left = (await claim_at(other, request)).left_behind
    assert (left.attempt, left.records, left.is_paid) == (None, (), True)


async def test_what_was_paid_is_known_after_three_deaths(redis_address: RedisAddress) -> None:
    async with AsyncExitStack() as stack:
        prefix, request = f"three-{uuid4().hex}:", request_of()
        first, second, third = [
            await stack.enter_async_context(process_on(redis_address, prefix=prefix))
            for _ in range(3)
        ]
        await first.outcomes.begins(await claim_at(first, request), _ATTEMPT)
        await die(first)
        taken = await claim_at(second, request)
        assert taken.left_behind.is_paid
        again = replace(_ATTEMPT, attempt_id=uuid4())
        await second.outcomes.begins(taken, again)
        second.outcomes.ended(taken, again, _told(1), is_paid=taken.left_behind.is_paid)
        await sent(second)
        await die(second)
        assert (await claim_at(third, request)).left_behind.is_paid


async def test_unpublished_outcome_of_one_that_is_gone_is_known(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    request = request_of()
    await one.outcomes.keep(await claim_at(one, request), _RECORDS)
    assert await other.outcomes.claim(request) is Hindrance.HELD
    await die(one)
    assert await claiming_later(other, request) == KnownOutcome(records=_RECORDS)


async def test_flush_between_claim_and_outcome_loses_nothing(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    request = request_of()
    claim = await claim_at(one, request)
    await one.flush()
    assert await one.outcomes.begins(claim, _ATTEMPT)
    await one.live_on()
    assert await other.outcomes.claim(request) is Hindrance.HELD  # the note has made it anew
    await one.flush()
    assert await one.outcomes.keep(claim, _RECORDS)
    one.outcomes.published(request)
    await sent(one)
    known = await claiming_later(other, request)
    assert isinstance(known, KnownOutcome)
    assert known.records == _RECORDS


async def test_outcome_survives_a_flush_in_the_memory_of_who_made_it(
    two: tuple[Process, Process],
) -> None:
    one, _ = two
    request = request_of()
    await one.outcomes.keep(await claim_at(one, request), _RECORDS)
    await one.flush()
    assert await one.outcomes.claim(request) == KnownOutcome(records=_RECORDS)


async def test_id_that_one_claimed_or_answered_is_taken_for_other_data_at_the_other(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    claimed, answered = request_of(), request_of()
    await claim_at(one, claimed)
    await one.outcomes.keep(await claim_at(one, answered), _RECORDS)
    for request in (claimed, answered):
        wrong = replace(request, data_hash=b"other")
        assert await other.outcomes.claim(wrong) is Hindrance.CONFLICT


async def test_conflict_at_one_does_not_take_the_id_from_the_request_it_belongs_to(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    request = request_of()
    await one.outcomes.keep(await claim_at(one, request), _RECORDS)
    one.outcomes.published(request)
    await sent(one)
    wrong = replace(request, data_hash=b"other")
    assert await other.outcomes.claim(wrong) is Hindrance.CONFLICT
    assert isinstance(await other.outcomes.claim(request), KnownOutcome)


async def test_record_for_which_it_was_published_is_the_last_one(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    request = request_of()
    await one.outcomes.keep(await claim_at(one, request), _RECORDS)
    one.outcomes.published(request)
    again = replace(request, delivery=delivery_of(offset=99))
    one.outcomes.published(again)
    await sent(one)
    known = await other.outcomes.claim(again)
    assert known == KnownOutcome(records=_RECORDS, published_for=again.delivery.record_id)


async def test_end_that_redis_did_not_hear_is_told_when_it_is_back(
    two: tuple[Process, Process],
) -> None:
    """It was billed, and whoever takes over must say so."""
    one, other = two
    request = request_of()
    claim = await claim_at(one, request)
    assert await one.outcomes.begins(claim, _ATTEMPT)
    one.link.is_cut = True
    one.outcomes.ended(claim, _ATTEMPT, _told(1), is_paid=True)
    one.link.is_cut = False
    await one.presence.renew()
    await sent(one)
    await die(one)
    taken = await claim_at(other, request)
    assert taken.left_behind == LeftBehind(attempt=None, records=_told(1), is_paid=True)


async def test_end_that_is_heard_late_claims_nothing_anew(two: tuple[Process, Process]) -> None:
    one, other = two
    request = request_of()
    claim = await claim_at(one, request)
    one.link.is_cut = True
    one.outcomes.ended(claim, _ATTEMPT, _told(1), is_paid=True)
    one.link.is_cut = False
    await other.flush()
    await one.presence.renew()
    await sent(one)
    assert isinstance(await other.outcomes.claim(request), Claim)
