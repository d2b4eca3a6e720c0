"""What is switched off is a null object: it answers, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_worker.application.ports import NoBudget, NoCache
from llm_worker.domain.routing import Route
from llm_worker.domain.strategies import Strategy
from tests.support.builders import TARGET, completion_of, request_of
from tests.support.fakes import FakeBudget, FakeCache

if TYPE_CHECKING:
    from llm_worker.application.ports import Budget, VerdictCache

_ROUTE = Route((TARGET,), Strategy.PRIORITY)


async def test_no_cache_finds_nothing_that_was_kept() -> None:
    cache: VerdictCache = NoCache()
    request = request_of()
    await cache.keep(request, _ROUTE, completion_of())
    assert await cache.find(request, _ROUTE) is None


@pytest.mark.parametrize("cache", [NoCache(), FakeCache()])
async def test_every_cache_may_be_empty(cache: VerdictCache) -> None:
    assert await cache.find(request_of(), _ROUTE) is None


@pytest.mark.parametrize("budget", [NoBudget(), FakeBudget()])
async def test_every_budget_takes_what_fits_and_its_release(budget: Budget) -> None:
    request = request_of()
    await budget.reserve(request, TARGET)
    await budget.settle(request, completion_of().billing)
    await budget.settle(request, None)
