"""What every outcome store promises. Add an implementation to `store`, and it is held to it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.cache.local_outcomes import LocalOutcomes
from llm_worker.dev.leashed import free_ports
from llm_worker.domain.claim import NOTHING_LEFT, Claim, Hindrance, KnownOutcome
from llm_worker.domain.delivery import Record
from tests.support.builders import attempt_of, completion_of, delivery_of, request_of
from tests.support.fake_outcomes import FakeOutcomes
from tests.support.fakes import ManualClock
from tests.support.stores import process_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llm_worker.application.ports import OutcomeStore
    from llm_worker.dev.cache import EmbeddedCache
    from llm_worker.domain.request import ComparisonRequest

_KINDS = ["local", "shared", "shared without Redis", "fake"]
_ATTEMPT = attempt_of(completion_of()).attempt


@pytest.fixture(params=_KINDS)
async def store(
    request: pytest.FixtureRequest, cache_server: EmbeddedCache
) -> AsyncIterator[OutcomeStore]:
    async with _store_of(request.param, cache_server) as store:
        yield store


@asynccontextmanager
async def _store_of(kind: str, cache_server: EmbeddedCache) -> AsyncIterator[OutcomeStore]:
    if kind == "local":
        yield LocalOutcomes(max_bytes=1_000_000, clock=ManualClock())
    elif kind == "fake":
        yield FakeOutcomes()
    else:
        nobody = f"redis://127.0.0.1:{free_ports(1)[0]}/0"
        async with process_on(cache_server.url if kind == "shared" else nobody) as process:
            yield process.outcomes


def _record(value: bytes | None = b'{"a":1}') -> Record:
    headers = (("correlation_id", b"k"), ("odd", b"\xff\x00"), ("odd", None))
    return Record(topic="huleedu.cj", key=b"\x00k", value=value, headers=headers, is_own=False)


async def _claim(store: OutcomeStore, request: ComparisonRequest) -> Claim:
    claim = await store.claim(request)
    assert isinstance(claim, Claim)
    return claim


async def _known(store: OutcomeStore, request: ComparisonRequest) -> KnownOutcome:
    known = await store.claim(request)
    assert isinstance(known, KnownOutcome)
    return known


async def test_request_that_never_came_may_be_bought_and_nothing_was_left_behind(
    store: OutcomeStore,
) -> None:
    request = request_of()
    claim = await _claim(store, request)
    assert (claim.request_id, claim.data_hash) == (request.request_id, request.data_hash)
    assert claim.left_behind == NOTHING_LEFT
    assert await store.begins(claim, _ATTEMPT)


async def test_events_come_back_byte_for_byte_in_their_order(store: OutcomeStore) -> None:
    request, records = request_of(), (_record(), _record(None), _record(b""), _record())
    assert await store.keep(await _claim(store, request), records)
    assert await _known(store, request) == KnownOutcome(records=records)


async def test_outcome_without_events_is_an_outcome(store: OutcomeStore) -> None:
    request = request_of()
    await store.keep(await _claim(store, request), ())
    assert (await _known(store, request)).records == ()


async def test_outcome_says_which_record_it_was_published_for(store: OutcomeStore) -> None:
    request = replace(request_of(), delivery=delivery_of(offset=41))
    await store.keep(await _claim(store, request), (_record(),))
    store.published(request)
    known = await _known(store, replace(request, delivery=delivery_of(offset=42)))
    assert known == KnownOutcome(records=(_record(),), published_for=request.delivery.record_id)


async def test_whoever_kept_an_outcome_may_correct_it(store: OutcomeStore) -> None:
    request = request_of()
    claim = await _claim(store, request)
    assert await store.keep(claim, (_record(b"refused"),))
    assert await store.keep(claim, (_record(b"taken"),))
    assert (await _known(store, request)).records == (_record(b"taken"),)


async def test_other_data_under_the_id_of_a_known_outcome_is_a_conflict(
    store: OutcomeStore,
) -> None:
    request = request_of()
    await store.keep(await _claim(store, request), (_record(),))
    assert await store.claim(replace(request, data_hash=b"other")) is Hindrance.CONFLICT
    assert (await _known(store, request)).records == (_record(),)


async def test_other_data_under_the_id_of_a_claim_or_of_a_released_one_is_a_conflict(
    store: OutcomeStore,
) -> None:
    request = request_of()
    claim, other = await _claim(store, request), replace(request, data_hash=b"other")
    assert await store.claim(other) is Hindrance.CONFLICT
    store.release(claim, is_paid=False)
    assert await store.claim(other) is Hindrance.CONFLICT


async def test_claim_that_is_given_back_can_be_taken_again(store: OutcomeStore) -> None:
    request = request_of()
    store.release(await _claim(store, request), is_paid=False)
    assert (await _claim(store, request)).left_behind == NOTHING_LEFT


async def test_claim_that_is_given_back_tells_the_next_one_that_it_was_paid(
    store: OutcomeStore,
) -> None:
    request = request_of()
    claim = await _claim(store, request)
    assert await store.begins(claim, _ATTEMPT)
    store.ended(claim, _ATTEMPT, (_record(),), is_paid=True)
    store.release(claim, is_paid=True)
    left = (await _claim(store, request)).left_behind
    assert (left.attempt, left.records, left.is_paid) == (None, (), True)


async def test_failed_attempts_stand_in_the_way_of_nothing(store: OutcomeStore) -> None:
    request = request_of()
    claim = await _claim(store, request)
    for _ in range(3):
        assert await store.begins(claim, _ATTEMPT)
        store.ended(claim, _ATTEMPT, (_record(),), is_paid=False)
    assert await store.keep(claim, (_record(b"all of them"),))
    assert (await _known(store, request)).records == (_record(b"all of them"),)


async def test_publishing_what_has_no_outcome_is_no_outcome(store: OutcomeStore) -> None:
    request = request_of()
    store.published(request)
    claim = await _claim(store, request)
    store.published(request)
    store.release(claim, is_paid=False)
    assert isinstance(await store.claim(request), Claim)


async def test_requests_do_not_know_of_each_other(store: OutcomeStore) -> None:
    one, other = request_of(), request_of()
    await store.keep(await _claim(store, one), (_record(b"1"),))
    assert isinstance(await store.claim(other), Claim)
    assert (await _known(store, one)).records == (_record(b"1"),)


@pytest.mark.parametrize("kind", _KINDS)
async def test_claims_are_shared_only_where_another_process_can_see_them(
    kind: str, cache_server: EmbeddedCache
) -> None:
    async with _store_of(kind, cache_server) as store:
        await store.claim(request_of())
        assert store.are_claims_shared is (kind == "shared")
