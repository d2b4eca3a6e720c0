from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.cache.outbox import Outbox
from llm_worker.adapters.cache.packing import pack_verdict
from llm_worker.adapters.cache.presence import LEASE_S, Presence
from llm_worker.adapters.cache.verdicts import LocalVerdicts, SharedVerdicts
from llm_worker.application.ports import Turn
from llm_worker.domain.cached import CacheHit, CacheTier
from tests.support.builders import completion_of, verdict_of
from tests.support.fake_link import FakeLink
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from llm_worker.domain.cached import CachedVerdict

_VERDICT = verdict_of(completion_of(cost_usd=Decimal("0.25")))
_PACKED = pack_verdict(_VERDICT)


@dataclass(slots=True)
class Seen:
    """What was counted."""

    asked: list[tuple[str, bool]] = field(default_factory=list)
    evicted: int = 0

    def cache_asked(self, tier: CacheTier, *, is_hit: bool) -> None:
        self.asked.append((tier, is_hit))

    def cache_evicted(self) -> None:
        self.evicted += 1


class _Bench:
    def __init__(self) -> None:
        self.seen, self.clock = Seen(), ManualClock()
        self.local = LocalVerdicts(
            max_bytes=100_000, max_entries=3, ttl_s=300, clock=self.clock, observer=self.seen
        )
        self.link = FakeLink({"SET": [b"OK"], "EXISTS": [0], "GET": [b"1"], "look_up": [[b"buy"]]})
        outbox = Outbox(self.link.link)
        self.presence = Presence(
            self.link.link, key_prefix="p:", clock=self.clock, on_renewed=outbox.drain
        )
        self.shared = SharedVerdicts(
            self.local,
            self.link.link,
            self.presence,
            outbox,
            key_prefix="p:",
            ttl_s=86_400,
            bought_within_s=3_600,
            observer=self.seen,
        )

    async def stay(self) -> None:
        await self.presence.renew()
        self.clock.advance(LEASE_S / 4)
        for _ in range(4):
            await self.presence.renew()
            self.clock.advance(LEASE_S / 4)
        self.link.asked.clear()


@pytest.fixture
def bench() -> _Bench:
    return _Bench()


def _is_hit(found: CacheHit | Turn, tier: CacheTier, verdict: CachedVerdict = _VERDICT) -> bool:
    return found == CacheHit(verdict=verdict, tier=tier)


async def test_local_looks_are_counted(bench: _Bench) -> None:
    bench.local.keep("f", _VERDICT)
    assert _is_hit(await bench.local.find("f"), CacheTier.LOCAL)
    assert await bench.local.find("g") is Turn.BUY
    assert bench.seen.asked == [("local", True), ("local", False)]


async def test_local_tier_is_bounded_by_entries_and_counts_what_it_drops(bench: _Bench) -> None:
    for fingerprint in "abcd":
        bench.local.keep(fingerprint, _VERDICT)
    assert (len(bench.local), bench.seen.evicted) == (3, 1)
    assert bench.local.look("a") is None


async def test_local_sizes_are_those_of_the_bytes_and_more(bench: _Bench) -> None:
    bench.local.keep("a", _VERDICT)
    small = bench.local.size_bytes
    assert small > len(_PACKED)
    words = " ".join(str(number) for number in range(3_000))
    long = verdict_of(completion_of(justification=words))
    bench.local.keep("b", long)
    assert bench.local.size_bytes >= 2 * small + len(pack_verdict(long)) - len(_PACKED)


async def test_local_verdicts_grow_old(bench: _Bench) -> None:
    bench.local.keep("f", _VERDICT)
    bench.clock.advance(300)
    assert bench.local.look("f") is None


async def test_local_hit_asks_nobody(bench: _Bench) -> None:
    bench.shared.keep("f", _VERDICT)
    assert _is_hit(await bench.shared.find("f"), CacheTier.LOCAL)
    assert bench.link.names == ["end_turn"]


async def test_redis_hit_is_remembered_here(bench: _Bench) -> None:
    bench.link.answers["look_up"] = [[b"found", _PACKED]]
    assert _is_hit(await bench.shared.find("f"), CacheTier.REDIS)
    assert _is_hit(await bench.shared.find("f"), CacheTier.LOCAL)
    assert bench.link.names == ["look_up"]
    assert 3_600_000 in bench.link.asked[0][1]  # how long a purchase may take
    assert bench.seen.asked == [("local", False), ("redis", True), ("local", True)]


async def test_verdict_and_its_purchase_have_one_hash_tag(bench: _Bench) -> None:
    await bench.shared.find("f")
    [(_, words)] = bench.link.asked
    assert words[:2] == ("p:verdict:{f}", "p:buying:{f}")


async def test_what_nobody_has_is_bought_by_whoever_asked(bench: _Bench) -> None:
    assert await bench.shared.find("f") is Turn.BUY
    assert bench.seen.asked == [("local", False), ("redis", False)]


async def test_what_a_living_process_buys_is_looked_for_again(bench: _Bench) -> None:
    await bench.stay()
    bench.link.answers |= {"look_up": [[b"held", b"other"]], "EXISTS": [1]}
    assert await bench.shared.find("f") is Turn.LOOK_AGAIN


async def test_turn_of_a_process_that_is_gone_is_taken_over(bench: _Bench) -> None:
    await bench.stay()
    bench.link.answers |= {"look_up": [[b"held", b"other"], [b"buy"]], "EXISTS": [0]}
    assert await bench.shared.find("f") is Turn.BUY
    assert bench.link.names == ["look_up", "EXISTS", "GET", "look_up"]
    assert bench.link.asked[-1][1][-1] == b"other"


async def test_turn_that_somebody_else_took_over_first_is_looked_at_anew(bench: _Bench) -> None:
    await bench.stay()
    bench.link.answers |= {
        "look_up": [[b"held", b"other"], [b"held", b"quicker"]],
        "EXISTS": [0, 1],
    }
    assert await bench.shared.find("f") is Turn.LOOK_AGAIN


async def test_without_redis_whoever_asks_buys(bench: _Bench) -> None:
    bench.link.is_away = True
    assert await bench.shared.find("f") is Turn.BUY
    bench.shared.keep("f", _VERDICT)
    assert _is_hit(await bench.shared.find("f"), CacheTier.LOCAL)


async def test_who_lives_is_not_known_for_a_moment_and_so_it_is_looked_for_again(
    bench: _Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.link.answers["look_up"] = [[b"held", b"other:0"]]
    monkeypatch.setattr(bench.presence, "_link", FakeLink(is_away=True).link)
    assert await bench.shared.find("f") is Turn.LOOK_AGAIN


@pytest.mark.parametrize(
    "packed", [b"", b"\x63\x00odd", b"\x01\x00\x05", _PACKED.replace(b"\xa4mock", b"\xa4nova")]
)
async def test_verdict_that_cannot_be_read_is_a_miss(bench: _Bench, packed: bytes) -> None:
    bench.link.answers["look_up"] = [[b"found", packed]]
    assert await bench.shared.find("f") is Turn.BUY
    assert bench.seen.asked == [("local", False), ("redis", False)]
    assert bench.local.look("f") is None


async def test_turn_of_our_own_that_nobody_uses_is_taken_over(bench: _Bench) -> None:
    await bench.stay()
    left = bench.presence.new_token().encode()
    bench.link.answers |= {"look_up": [[b"held", left], [b"buy"]], "EXISTS": [1]}
    assert await bench.shared.find("f") is Turn.BUY
    assert bench.link.names == ["look_up", "look_up"]
    assert bench.link.asked[-1][1][-1] == left


async def test_turn_is_ended_once_and_by_its_own_name(bench: _Bench) -> None:
    """Heard late, the end of the first turn must not be that of the second."""
    turns = []
    for _ in range(2):
        assert await bench.shared.find("f") is Turn.BUY
        bench.shared.pass_on("f")
        bench.shared.pass_on("f")
    for name, words in bench.link.asked:
        turns.append((name, words[2]))
    first, second = turns[0][1], turns[2][1]
    assert first != second
    assert turns == [
        ("look_up", first), ("end_turn", first), ("look_up", second), ("end_turn", second),
    ]  # fmt: skip


async def test_keeping_and_passing_on_end_the_turn_without_waiting(bench: _Bench) -> None:
    for fingerprint in "fg":
        bench.shared.look_ahead(fingerprint)
    _of_f, _of_g = (words[2] for _, words in bench.link.asked)
    bench.link.asked.clear()
    bench.shared.keep("f", _VERDICT)
    bench.shared.pass_on("g")
    assert bench.link.asked == [
        (
            "end_turn",
            ("p:verdict:{f}", "p:buying:{f}", _of_f, 86_400_000, _PACKED),
        ),
        ("end_turn", ("p:verdict:{g}", "p:buying:{g}", _of_g, 86_400_000, b"")),
    ]
