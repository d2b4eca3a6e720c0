"""What every outcome store promises. Add an implementation to STORES, and it is held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from llm_worker.adapters.cache.local import LocalOutcomes
from llm_worker.application.ports import KnownOutcome
from llm_worker.domain.delivery import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_worker.application.ports import OutcomeStore

STORES: dict[str, Callable[[], OutcomeStore]] = {
    "local": lambda: LocalOutcomes(max_bytes=1_000_000),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> OutcomeStore:
    return STORES[request.param]()


def _record(value: bytes | None = b'{"a":1}') -> Record:
    headers = (("correlation_id", b"k"), ("odd", b"\xff\x00"), ("odd", None))
    return Record(topic="huleedu.cj", key=b"\x00k", value=value, headers=headers, is_own=False)


async def test_request_that_never_came_is_unknown(store: OutcomeStore) -> None:
    assert await store.find(uuid4()) is None


async def test_request_that_has_not_ended_is_known_by_its_content(store: OutcomeStore) -> None:
    request_id = uuid4()
    await store.keep(request_id, b"hash", None)
    assert await store.find(request_id) == KnownOutcome(data_hash=b"hash", records=None)


async def test_events_come_back_byte_for_byte_in_their_order(store: OutcomeStore) -> None:
    request_id, records = uuid4(), (_record(), _record(None), _record(b""))
    await store.keep(request_id, b"hash", None)
    await store.keep(request_id, b"hash", records)
    known = await store.find(request_id)
    assert known == KnownOutcome(data_hash=b"hash", records=records)


async def test_outcome_without_events_is_an_outcome(store: OutcomeStore) -> None:
    request_id = uuid4()
    await store.keep(request_id, b"hash", ())
    assert await store.find(request_id) == KnownOutcome(data_hash=b"hash", records=())


async def test_requests_do_not_know_of_each_other(store: OutcomeStore) -> None:
    one, other = uuid4(), uuid4()
    await store.keep(one, b"1", (_record(),))
    await store.keep(other, b"2", None)
    found_one, found_other = await store.find(one), await store.find(other)
    assert found_one is not None
    assert found_other is not None
    assert (found_one.data_hash, found_other.data_hash) == (b"1", b"2")
