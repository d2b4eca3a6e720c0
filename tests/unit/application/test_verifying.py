from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from llm_worker.adapters.kafka.spend_codec import SpendCodec
from llm_worker.application.verifying import verify
from llm_worker.domain.spend import EVERYTHING, AccountKey
from tests.support.accountant import Accountant, FakeTopics
from tests.support.builders import TOPICS
from tests.support.spend import COSTS, DAY, DAY_MS, REQUESTS, completion_value, cost_of, uid

if TYPE_CHECKING:
    from collections.abc import Container

    from llm_worker.domain.ledger import Account
    from llm_worker.domain.verification import Drift

_KEY = AccountKey(EVERYTHING, DAY, COSTS)


@dataclass(slots=True)
class _Topics(FakeTopics):
    """Gives a wrong total as often as it is told to."""

    wrong_reads: int = 0
    reads_s: list[float] = field(default_factory=list)

    @override
    async def accounts(self, months: Container[str] | None = None) -> dict[AccountKey, Account]:
        found = await FakeTopics.accounts(self, months)
        self.reads_s.append(asyncio.get_running_loop().time())
        if len(self.reads_s) <= self.wrong_reads:
            found[_KEY] = replace(found[_KEY], cost_usd=Decimal(9))
        return found


async def _topics(*, wrong_reads: int = 0) -> _Topics:
    """What an accountant has added up, with all that may lie between."""
    topics = _Topics()
    topics.append(cost_of(uid(1), usd=None, outcome="unknown"))
    topics.append(b"unreadable")
    topics.append(cost_of(uid(1), usd=0.5))
    topics.append(cost_of(uid(1), usd=0.5))
    topics.append(cost_of(at="2026-11-24T00:00:00Z", usd=0.25))
    topics.append(completion_value(), REQUESTS)
    accountant = Accountant(topics)
    await accountant.accounting.book([*topics.pulled(), *topics.pulled(source=REQUESTS)])
    topics.reads_s.clear()
    topics.wrong_reads = wrong_reads
    return topics


async def _verify(topics: FakeTopics) -> list[Drift]:
    return await verify(topics, SpendCodec(TOPICS), horizon_ms=DAY_MS)


async def test_totals_that_are_right_are_read_once_and_nothing_is_said() -> None:
    topics = await _topics()
    assert await _verify(topics) == []
    assert len(topics.reads_s) == 1


async def test_nothing_published_is_nothing_wrong() -> None:
    topics = FakeTopics()
    topics.append(cost_of())
    assert await _verify(topics) == []


@pytest.mark.parametrize("wrong_reads", [1, 2])
async def test_difference_that_goes_away_is_not_reported(wrong_reads: int) -> None:
    topics = await _topics(wrong_reads=wrong_reads)
    assert await _verify(topics) == []
    assert len(topics.reads_s) == wrong_reads + 1


async def test_difference_that_stays_is_reported_after_three_looks_with_time_between() -> None:
    topics = await _topics(wrong_reads=99)
    [drift] = await _verify(topics)
    assert (drift.key, drift.published.cost_usd) == (_KEY, Decimal(9))
    assert drift.recomputed.cost_usd == Decimal("0.5")
    first_s, second_s, third_s = topics.reads_s
    assert second_s - first_s == third_s - second_s == 2


async def test_events_that_came_after_the_published_totals_are_left_out() -> None:
    topics = await _topics()
    topics.append(cost_of(usd=100))
    topics.append(completion_value(), REQUESTS)
    assert await _verify(topics) == []


async def test_what_retention_has_removed_is_not_reported_as_a_difference() -> None:
    topics = await _topics()
    topics.first_offsets = {COSTS: 3, REQUESTS: 1}
    assert await _verify(topics) == []


async def test_another_partitions_offsets_say_nothing_of_ours() -> None:
    topics = await _topics()
    for _ in range(9):
        topics.append(completion_value(), REQUESTS)
    assert await _verify(topics) == []
