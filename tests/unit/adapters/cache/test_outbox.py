from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from llm_worker.adapters.cache.outbox import Outbox
from llm_worker.adapters.cache.script import load_script
from tests.support.fake_redis import FakeRedis

if TYPE_CHECKING:
    import pytest

    from llm_worker.adapters.cache.link import RedisLink

_SCRIPT = load_script("published")


def _kept(link: RedisLink, count: int) -> Outbox:
    outbox = Outbox(link)
    for number in range(count):
        outbox.keep(_SCRIPT, ["k"], str(number))
    return outbox


async def test_thousands_of_kept_calls_go_in_batches_that_end_in_time() -> None:
    redis = FakeRedis()
    outbox = _kept(redis.link(), 5_000)
    await outbox.drain()
    assert len(outbox) == 0
    assert [int(words[-1]) for batch in redis.batches for words in batch] == list(range(5_000))
    assert max(map(len, redis.batches)) <= 100


async def test_draining_stops_at_the_first_batch_that_redis_does_not_answer() -> None:
    redis = FakeRedis(delay_s=10)
    outbox = _kept(redis.link(budget_s=0.01), 300)
    await outbox.drain()
    assert len(outbox) == 300
    assert len(redis.batches) == 1


async def test_call_that_is_refused_each_time_keeps_no_other_back() -> None:
    redis = FakeRedis(answer=lambda words: ResponseError("no") if words[-1] == b"0" else 1)
    outbox = _kept(redis.link(), 150)
    await outbox.drain()
    await outbox.drain()
    assert len(outbox) == 1


async def test_drain_ends_soon_since_the_sign_of_life_waits_for_it() -> None:
    outbox = _kept(FakeRedis(delay_s=0.4).link(budget_s=1), 5_000)
    await outbox.drain()
    assert len(outbox) == 4_700
    await outbox.drain()
    assert len(outbox) == 4_400


async def test_last_drain_goes_on_for_a_while_as_long_as_redis_hears() -> None:
    outbox = _kept(FakeRedis(delay_s=0.4).link(budget_s=1), 5_000)
    await outbox.drain_all()
    assert 2_000 <= len(outbox) <= 2_700
    await outbox.drain_all()
    await outbox.drain_all()
    assert len(outbox) == 0
    away = FakeRedis(delay_s=10)
    deaf = _kept(away.link(budget_s=0.01), 300)
    await deaf.drain_all()
    assert (len(deaf), len(away.batches)) == (300, 1)


async def test_what_is_kept_is_bounded_in_bytes_and_calls_and_the_oldest_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A failed outcome holds its whole request."""
    redis = FakeRedis()
    outbox = _kept(redis.link(), 10_003)
    assert len(outbox) == 10_000
    monkeypatch.setattr("llm_worker.adapters.cache.outbox._BYTES_AT_MOST", 5_000)
    for letter in "abc":
        outbox.keep(_SCRIPT, ["k"], letter * 2_000)
    assert len(outbox) == 2
    await outbox.drain()
    assert [words[-1][:1] for batch in redis.batches for words in batch] == [b"b", b"c"]
