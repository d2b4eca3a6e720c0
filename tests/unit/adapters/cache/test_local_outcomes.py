from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.cache.local_outcomes import LocalOutcomes
from llm_worker.domain.claim import Claim, Hindrance, KnownOutcome
from llm_worker.domain.delivery import Record
from tests.support.builders import attempt_of, completion_of, delivery_of, request_of
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from llm_worker.domain.request import ComparisonRequest


@pytest.fixture
def outcomes() -> LocalOutcomes:
    return LocalOutcomes(max_bytes=50_000, clock=ManualClock())


def _records(size_bytes: int = 10) -> tuple[Record, ...]:
    return (Record(topic="t", key=b"k", value=b"x" * size_bytes, headers=()),)


async def _keep(outcomes: LocalOutcomes, size_bytes: int) -> ComparisonRequest:
    request = request_of()
    claim = await outcomes.claim(request)
    assert isinstance(claim, Claim)
    assert await outcomes.keep(claim, _records(size_bytes))
    return request


async def test_what_never_came_is_unknown_and_may_be_bought(outcomes: LocalOutcomes) -> None:
    request = request_of()
    assert outcomes.look(request) is None
    claim = await outcomes.claim(request)
    assert isinstance(claim, Claim)
    assert (claim.request_id, claim.data_hash) == (request.request_id, request.data_hash)
    assert await outcomes.begins(claim, attempt_of(completion_of()).attempt)


async def test_looking_claims_nothing(outcomes: LocalOutcomes) -> None:
    outcomes.look(request_of())
    assert outcomes.size_bytes == 0


async def test_id_that_is_claimed_is_taken_for_other_data(outcomes: LocalOutcomes) -> None:
    request = request_of()
    await outcomes.claim(request)
    other = replace(request, data_hash=b"other")
    assert await outcomes.claim(other) is Hindrance.CONFLICT
    assert isinstance(await outcomes.claim(request), Claim)


async def test_nobody_else_sees_its_claims(outcomes: LocalOutcomes) -> None:
    await _keep(outcomes, 10)
    assert not outcomes.are_claims_shared


async def test_published_is_noted_for_the_record_it_was_published_for(
    outcomes: LocalOutcomes,
) -> None:
    request = await _keep(outcomes, 10)
    assert await outcomes.claim(request) == KnownOutcome(records=_records())
    outcomes.published(replace(request, delivery=delivery_of(offset=12)))
    known = await outcomes.claim(request)
    assert isinstance(known, KnownOutcome)
    assert known.published_for == delivery_of(offset=12).record_id


async def test_published_without_an_outcome_is_nothing(outcomes: LocalOutcomes) -> None:
    request = request_of()
    outcomes.published(request)
    await outcomes.claim(request)
    outcomes.published(request)
    assert isinstance(await outcomes.claim(request), Claim)


@pytest.mark.parametrize("is_paid", [True, False])
async def test_claim_that_is_given_back_leaves_its_data_and_whether_it_was_paid(
    outcomes: LocalOutcomes, *, is_paid: bool
) -> None:
    request = request_of()
    claim = await outcomes.claim(request)
    assert isinstance(claim, Claim)
    outcomes.release(claim, is_paid=is_paid)
    again = await outcomes.claim(request)
    assert isinstance(again, Claim)
    assert again.left_behind.is_paid is is_paid
    assert await outcomes.claim(replace(request, data_hash=b"other")) is Hindrance.CONFLICT


async def test_memory_is_bounded_and_the_least_recently_used_go_first(
    outcomes: LocalOutcomes,
) -> None:
    first, second = await _keep(outcomes, 20_000), await _keep(outcomes, 20_000)
    outcomes.look(first)
    third = await _keep(outcomes, 20_000)
    assert outcomes.look(second) is None
    assert outcomes.look(first) is not None
    assert outcomes.look(third) is not None
    assert outcomes.size_bytes <= 50_000


async def test_outcome_that_is_larger_than_the_memory_is_not_remembered(
    outcomes: LocalOutcomes,
) -> None:
    request = await _keep(outcomes, 60_000)
    assert (outcomes.look(request), outcomes.size_bytes) == (None, 0)


async def test_requests_without_events_are_bounded_too(outcomes: LocalOutcomes) -> None:
    for _ in range(200):
        await outcomes.claim(request_of())
    assert 40_000 < outcomes.size_bytes <= 50_000


async def test_size_follows_what_is_kept_again(outcomes: LocalOutcomes) -> None:
    request = request_of()
    claim = await outcomes.claim(request)
    assert isinstance(claim, Claim)
    small = outcomes.size_bytes
    await outcomes.keep(claim, _records(30_000))
    assert outcomes.size_bytes == small + 30_000
    outcomes.release(claim, is_paid=False)
    assert outcomes.size_bytes == small
