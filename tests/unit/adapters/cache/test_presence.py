from __future__ import annotations

import pytest

from llm_worker.adapters.cache.link import CacheAwayError
from llm_worker.adapters.cache.presence import LEASE_S, Presence
from tests.support.fake_link import FakeLink
from tests.support.fakes import ManualClock

_MOMENT_S = 0.3
"""Longer than an answer is believed."""


async def _nothing_to_do() -> None:
    pass


class _Bench:
    def __init__(self) -> None:
        self.link = FakeLink({"SET": [b"OK"], "EXISTS": [0], "GET": [b"1"]})
        self.clock = ManualClock()
        self.presence = Presence(
            self.link.link, key_prefix="p:", clock=self.clock, on_renewed=_nothing_to_do
        )

    async def come_and_stay(self) -> None:
        """Renew for more than a lease."""
        for _ in range(8):
            await self.presence.renew()
            self.clock.advance(LEASE_S / 4)
        await self.presence.renew()


@pytest.fixture
def bench() -> _Bench:
    return _Bench()


async def test_renewal_sets_a_key_of_our_own_that_outlives_the_lease_not_at_all(
    bench: _Bench,
) -> None:
    await bench.presence.renew()
    [(name, words)] = bench.link.asked
    assert (name, words[0]) == ("SET", f"p:alive:{bench.presence.owner}")
    assert words[-2:] == ("PX", LEASE_S * 1000)


async def test_no_two_processes_have_one_name() -> None:
    assert _Bench().presence.owner != _Bench().presence.owner


async def test_who_takes_leave_is_gone_at_once(bench: _Bench) -> None:
    await bench.presence.renew()
    await bench.presence.leave()
    assert bench.link.asked[-1] == ("DEL", (f"p:alive:{bench.presence.owner}",))


async def test_leaving_while_redis_is_away_is_no_error(bench: _Bench) -> None:
    bench.link.is_away = True
    await bench.presence.leave()


async def test_whoever_has_a_key_is_alive_and_who_has_none_is_gone(bench: _Bench) -> None:
    await bench.come_and_stay()
    bench.link.answers["EXISTS"] = [1, 0]
    assert await bench.presence.is_alive("a")
    assert not await bench.presence.is_alive("b")
    assert ("EXISTS", ("p:alive:b",)) in bench.link.asked


async def test_claim_of_our_own_is_nobodys_and_that_takes_no_question(bench: _Bench) -> None:
    assert not await bench.presence.is_alive(bench.presence.owner)
    assert bench.link.asked == []


async def test_one_that_just_came_believes_in_everybody_for_one_lease(bench: _Bench) -> None:
    assert await bench.presence.is_alive("a")
    await bench.presence.renew()
    bench.clock.advance(LEASE_S - 0.01)
    assert await bench.presence.is_alive("a")
    bench.clock.advance(_MOMENT_S)
    assert not await bench.presence.is_alive("a")


async def test_one_that_was_cut_off_for_a_lease_believes_in_everybody_for_one_more(
    bench: _Bench,
) -> None:
    await bench.come_and_stay()
    assert not await bench.presence.is_alive("a")
    bench.clock.advance(LEASE_S)
    await bench.presence.renew()
    assert await bench.presence.is_alive("a")
    bench.clock.advance(LEASE_S)
    assert not await bench.presence.is_alive("a")


async def test_one_whose_own_sign_redis_has_forgotten_believes_in_everybody_for_one_lease(
    bench: _Bench,
) -> None:
    await bench.come_and_stay()
    bench.link.answers["GET"] = [None, b"1"]
    assert await bench.presence.is_alive("a")
    bench.clock.advance(LEASE_S - 0.01)
    assert await bench.presence.is_alive("a")
    bench.clock.advance(_MOMENT_S)
    assert not await bench.presence.is_alive("a")


async def test_answer_is_believed_for_a_moment_and_then_asked_again(bench: _Bench) -> None:
    await bench.come_and_stay()
    bench.link.answers["EXISTS"] = [1, 0]
    asked = len(bench.link.asked)
    assert await bench.presence.is_alive("a")
    assert await bench.presence.is_alive("a")
    assert len(bench.link.asked) == asked + 2
    bench.clock.advance(_MOMENT_S)
    assert not await bench.presence.is_alive("a")


async def test_question_that_is_not_answered_is_said_and_remembered_as_nothing(
    bench: _Bench,
) -> None:
    await bench.come_and_stay()
    bench.link.is_away = True
    with pytest.raises(CacheAwayError):
        await bench.presence.is_alive("a")
    bench.link.is_away = False
    assert not await bench.presence.is_alive("a")


async def test_memory_of_others_is_bounded(bench: _Bench) -> None:
    await bench.come_and_stay()
    for number in range(500):
        await bench.presence.is_alive(str(number))
    assert len(bench.presence._seen) <= 200
