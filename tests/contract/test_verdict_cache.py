"""What every verdict cache promises. Add an implementation to `cache`, and it is held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from llm_worker.application.ports import Turn
from llm_worker.dev.leashed import free_ports
from llm_worker.domain.cached import CacheHit
from tests.support.builders import completion_of, verdict_of
from tests.support.fakes import FakeCache, ManualClock
from tests.support.stores import Seen, local_verdicts, process_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llm_worker.application.ports import VerdictCache
    from llm_worker.dev.cache import EmbeddedCache


@pytest.fixture(params=["local", "shared", "shared without Redis", "fake"])
async def cache(
    request: pytest.FixtureRequest, cache_server: EmbeddedCache
) -> AsyncIterator[VerdictCache]:
    if request.param == "local":
        yield local_verdicts(Seen(), ManualClock())
    elif request.param == "fake":
        yield FakeCache(remembers=True)
    else:
        nobody = f"redis://127.0.0.1:{free_ports(1)[0]}/0"
        url = cache_server.url if request.param == "shared" else nobody
        async with process_on(url) as process:
            yield process.verdicts


@pytest.fixture
def fingerprint() -> str:
    return uuid4().hex


async def test_what_was_never_bought_is_to_be_bought(cache: VerdictCache, fingerprint: str) -> None:
    assert await cache.find(fingerprint) is Turn.BUY


async def test_verdict_comes_back_as_it_was_with_who_paid(
    cache: VerdictCache, fingerprint: str
) -> None:
    verdict = verdict_of(
        completion_of(cost_usd=None, justification="Ünïcode, and a lot of it. " * 200),
        bought_by=UUID(int=9),
        organization_id="o",
    )
    await cache.find(fingerprint)
    cache.keep(fingerprint, verdict)
    found = await cache.find(fingerprint)
    assert isinstance(found, CacheHit)
    assert found.verdict == verdict


async def test_verdict_that_was_kept_without_a_turn_is_found_too(
    cache: VerdictCache, fingerprint: str
) -> None:
    cache.keep(fingerprint, verdict_of())
    assert isinstance(await cache.find(fingerprint), CacheHit)


async def test_last_verdict_wins(cache: VerdictCache, fingerprint: str) -> None:
    cache.keep(fingerprint, verdict_of(bought_by=UUID(int=1)))
    cache.keep(fingerprint, verdict_of(bought_by=UUID(int=2)))
    found = await cache.find(fingerprint)
    assert isinstance(found, CacheHit)
    assert found.verdict.bought_by == UUID(int=2)


async def test_turn_that_is_passed_on_is_taken_by_the_next(
    cache: VerdictCache, fingerprint: str
) -> None:
    assert await cache.find(fingerprint) is Turn.BUY
    cache.pass_on(fingerprint)
    assert await cache.find(fingerprint) is Turn.BUY


async def test_passing_on_forgets_no_verdict(cache: VerdictCache, fingerprint: str) -> None:
    cache.keep(fingerprint, verdict_of())
    cache.pass_on(fingerprint)
    assert isinstance(await cache.find(fingerprint), CacheHit)


async def test_questions_do_not_know_of_each_other(cache: VerdictCache, fingerprint: str) -> None:
    cache.keep(fingerprint, verdict_of())
    assert await cache.find(uuid4().hex) is Turn.BUY
