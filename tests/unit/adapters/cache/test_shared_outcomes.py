"""Outcomes while Redis is away, and when it comes back. Over real servers: tests/integration."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from llm_worker.adapters.cache.local_outcomes import LocalOutcomes
from llm_worker.adapters.cache.outbox import Outbox
from llm_worker.adapters.cache.packing import pack_records
from llm_worker.adapters.cache.presence import Presence
from llm_worker.adapters.cache.redis_outcomes import RedisOutcomes
from llm_worker.adapters.cache.shared_outcomes import SharedOutcomes
from llm_worker.domain.claim import Claim, Hindrance, KnownOutcome
from llm_worker.domain.delivery import Record
from tests.support.builders import attempt_of, completion_of, request_of
from tests.support.fake_link import FakeLink
from tests.support.fakes import ManualClock

_RECORDS = (Record(topic="t", key=b"k", value=b"v", headers=()),)
_ATTEMPT = attempt_of(completion_of()).attempt


@dataclass(slots=True)
class _Bench:
    link: FakeLink = field(
        default_factory=lambda: FakeLink(
            {"SET": [b"OK"], "EXISTS": [1], "claim": [[b"claimed"]], "note": [1], "keep": [1]}
        )
    )
    clock: ManualClock = field(default_factory=ManualClock)
    steps: list[str] = field(default_factory=list)
    presence: Presence = field(init=False)
    store: SharedOutcomes = field(init=False)

    def __post_init__(self) -> None:
        outbox = Outbox(self.link.link)
        self.presence = Presence(
            self.link.link, key_prefix="p:", clock=self.clock, on_renewed=outbox.drain
        )
        self.store = SharedOutcomes(
            LocalOutcomes(max_bytes=1_000_000, clock=self.clock),
            RedisOutcomes(
                self.link.link, self.presence, outbox, key_prefix="p:", ttl_s=60, held_at_most_s=360
            ),
            self,
        )

    def unshared(self, step: str) -> None:
        self.steps.append(step)

    async def claimed(self) -> Claim:
        claim = await self.store.claim(request_of())
        assert isinstance(claim, Claim)
        return claim


@pytest.fixture
def bench() -> _Bench:
    return _Bench()


async def test_with_redis_every_step_is_shared(bench: _Bench) -> None:
    claim = await bench.claimed()
    assert bench.store.are_claims_shared
    assert await bench.store.begins(claim, _ATTEMPT)
    assert await bench.store.keep(claim, _RECORDS)
    assert (bench.steps, bench.store.are_claims_shared) == ([], True)
    assert bench.link.names == ["claim", "note", "keep"]


async def test_without_redis_every_step_works_and_is_counted(bench: _Bench) -> None:
    bench.link.is_away = True
    request = request_of()
    claim = await bench.store.claim(request)
    assert isinstance(claim, Claim)
    assert await bench.store.begins(claim, _ATTEMPT)
    bench.store.ended(claim, _ATTEMPT, _RECORDS, is_paid=True)
    assert await bench.store.keep(claim, _RECORDS)
    bench.store.published(request)
    assert bench.steps == ["claim", "begin", "outcome"]
    known = await bench.store.claim(request)
    assert known == KnownOutcome(records=_RECORDS, published_for=request.delivery.record_id)


async def test_claim_and_outcome_are_asked_for_twice(bench: _Bench) -> None:
    bench.link.is_away = True
    claim = await bench.claimed()
    await bench.store.keep(claim, _RECORDS)
    assert bench.link.names == ["claim", "claim", "keep", "keep"]


async def test_claims_are_not_shared_while_redis_is_away(bench: _Bench) -> None:
    bench.link.is_away = True
    assert not bench.store.are_claims_shared


async def test_claim_that_was_made_without_redis_is_not_shared_until_it_ends(
    bench: _Bench,
) -> None:
    bench.link.is_away = True
    kept, released = await bench.claimed(), await bench.claimed()
    bench.link.is_away = False
    assert not bench.store.are_claims_shared
    await bench.store.keep(kept, _RECORDS)
    assert not bench.store.are_claims_shared
    bench.store.release(released, is_paid=False)
    assert bench.store.are_claims_shared


async def test_claim_that_was_made_without_redis_and_is_anothers_by_now_is_forgotten(
    bench: _Bench,
) -> None:
    bench.link.is_away, request = True, request_of()
    claim = await bench.store.claim(request)
    assert isinstance(claim, Claim)
    bench.link.is_away = False
    bench.link.answers |= {
        "note": [0],
        "claim": [[b"known", b"token", b"x:0", b"outcome", pack_records(_RECORDS)]],
        "EXISTS": [0],
    }
    bench.clock.advance(60)
    for _ in range(2):
        await bench.presence.renew()
        bench.clock.advance(11)
    assert not await bench.store.begins(claim, _ATTEMPT)
    assert isinstance(await bench.store.claim(request), KnownOutcome | Hindrance)
    assert bench.store.are_claims_shared


async def test_claim_that_was_made_without_redis_is_checked_before_it_buys(
    bench: _Bench,
) -> None:
    await bench.presence.renew()
    bench.link.is_away = True
    claim = await bench.claimed()
    bench.link.is_away = False
    bench.link.answers["note"] = [0]  # Redis has another's claim, or an outcome
    assert not await bench.store.begins(claim, _ATTEMPT)


async def test_call_is_not_made_before_redis_has_noted_it(bench: _Bench) -> None:
    claim = await bench.claimed()
    assert await bench.store.begins(claim, _ATTEMPT)
    assert bench.link.names[-1] == "note"


async def test_outcome_that_came_second_is_not_remembered(bench: _Bench) -> None:
    request = request_of()
    claim = await bench.store.claim(request)
    assert isinstance(claim, Claim)
    bench.link.answers["keep"] = [0]
    assert not await bench.store.keep(claim, _RECORDS)
    assert isinstance(await bench.store.claim(request), Claim)  # asked anew, and not from memory
    assert bench.link.names == ["claim", "keep", "claim"]


async def test_what_was_answered_here_is_answered_without_asking(bench: _Bench) -> None:
    request = request_of()
    claim = await bench.store.claim(request)
    assert isinstance(claim, Claim)
    await bench.store.keep(claim, _RECORDS)
    bench.link.asked.clear()
    assert await bench.store.claim(request) == KnownOutcome(records=_RECORDS)
    assert bench.link.asked == []


async def test_conflict_takes_the_id_from_nobody(bench: _Bench) -> None:
    right = request_of()
    wrong = replace(right, data_hash=b"other")
    bench.link.answers["claim"] = [[b"conflict"], [b"claimed"]]
    assert await bench.store.claim(wrong) is Hindrance.CONFLICT
    assert isinstance(await bench.store.claim(right), Claim)


async def test_one_that_is_held_elsewhere_is_not_claimed_here(bench: _Bench) -> None:
    bench.link.answers["claim"] = [[b"held", b"token", b"other:0"]]
    assert await bench.store.claim(request_of()) is Hindrance.HELD


async def test_outcome_in_a_form_that_nobody_can_read_is_not_bought_for_ever(
    bench: _Bench,
) -> None:
    # As the scripts answer when a newer worker has stored an outcome, and is gone.
    request = request_of()
    bench.link.answers |= {
        "claim": [
            [b"known", b"token", b"x:0", b"outcome", b"\x63\x00?", b"published", b"t/0/0"],
            [b"claimed"],
        ],
    }
    assert isinstance(await bench.store.claim(request), Claim)
    first, second = [words for name, words in bench.link.asked if name == "claim"]
    assert (first[-1], second[-1]) == ("", "1"), "what nobody can read is replaced"


async def test_what_was_paid_before_redis_came_back_is_not_forgotten(bench: _Bench) -> None:
    bench.link.is_away, request = True, request_of()
    claim = await bench.store.claim(request)
    assert isinstance(claim, Claim)
    bench.store.release(claim, is_paid=True)
    bench.link.is_away = False
    again = await bench.store.claim(request)
    assert isinstance(again, Claim)
    assert again.left_behind.is_paid
