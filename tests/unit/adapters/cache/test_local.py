from __future__ import annotations

from uuid import uuid4

from llm_worker.adapters.cache.local import LocalOutcomes
from llm_worker.domain.delivery import Record


def _records(size_bytes: int) -> tuple[Record, ...]:
    return (Record(topic="t", key=b"k", value=b"x" * size_bytes, headers=()),)


async def test_memory_is_bounded_and_the_least_recently_used_go_first() -> None:
    outcomes = LocalOutcomes(max_bytes=50_000)
    first, second, third = uuid4(), uuid4(), uuid4()
    await outcomes.keep(first, b"", _records(20_000))
    await outcomes.keep(second, b"", _records(20_000))
    await outcomes.find(first)
    await outcomes.keep(third, b"", _records(20_000))
    assert await outcomes.find(second) is None
    assert await outcomes.find(first) is not None
    assert await outcomes.find(third) is not None
    assert outcomes.size_bytes <= 50_000


async def test_size_follows_what_is_kept_again_and_what_goes() -> None:
    outcomes = LocalOutcomes(max_bytes=50_000)
    request_id = uuid4()
    await outcomes.keep(request_id, b"", None)
    small = outcomes.size_bytes
    assert small > 0
    await outcomes.keep(request_id, b"", _records(30_000))
    await outcomes.keep(request_id, b"", None)
    assert outcomes.size_bytes == small


async def test_outcome_that_is_larger_than_the_memory_is_not_remembered() -> None:
    outcomes = LocalOutcomes(max_bytes=50_000)
    request_id = uuid4()
    await outcomes.keep(request_id, b"", _records(60_000))
    assert await outcomes.find(request_id) is None
    assert outcomes.size_bytes == 0


async def test_requests_without_events_are_bounded_too() -> None:
    outcomes = LocalOutcomes(max_bytes=10_000)
    for _ in range(1_000):
        await outcomes.keep(uuid4(), b"", None)
    assert outcomes.size_bytes <= 10_000
