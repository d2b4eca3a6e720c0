"""Which target gets the work, by each strategy."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.strategies import Strategy
from tests.support.builders import completion_of
from tests.support.core import Core, arriving, resolve
from tests.support.fakes import FakeProvider


@pytest.fixture
def first() -> FakeProvider:
    return FakeProvider(completion_of(), name=ProviderName.ANTHROPIC, default_model="claude")


@pytest.fixture
def second() -> FakeProvider:
    return FakeProvider(completion_of(), name=ProviderName.OPENAI, default_model="gpt")


@pytest.fixture
def core(first: FakeProvider, second: FakeProvider) -> Core:
    return Core(provider=first, others=[second])


async def test_round_robin_is_even(core: Core, first: FakeProvider, second: FakeProvider) -> None:
    core.strategy = Strategy.ROUND_ROBIN
    orchestrator = core.orchestrator()
    for _ in range(10):
        await resolve(orchestrator, arriving())
    assert (len(first.calls), len(second.calls)) == (5, 5)
    gaps = [later[1].target != earlier[1].target for earlier, later in pairwise(first.calls)]
    assert not any(gaps)


async def test_least_cost_goes_to_the_cheapest_for_the_size(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    core.strategy = Strategy.LEAST_COST
    first.models.usd_per_token, second.models.usd_per_token = None, first.models.usd_per_token
    await resolve(core.orchestrator(), arriving())
    assert (len(first.calls), len(second.calls)) == (0, 1)


async def test_least_latency_goes_to_the_fastest_and_looks_at_the_others_now_and_then(
    core: Core, first: FakeProvider, second: FakeProvider
) -> None:
    core.strategy, first.takes_s, second.takes_s = Strategy.LEAST_LATENCY, 2.0, 0.5
    orchestrator = core.orchestrator()
    for _ in range(400):
        await resolve(orchestrator, arriving())
        await asyncio.sleep(0.5)
    assert 5 <= len(first.calls) <= 8
    first.takes_s = 0.1
    second.calls.clear()
    for _ in range(400):
        await resolve(orchestrator, arriving())
        await asyncio.sleep(0.5)
    assert len(second.calls) < 250
