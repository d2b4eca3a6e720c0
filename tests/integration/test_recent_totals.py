"""The recent part of the published totals, found on a broker by when they were written."""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.kafka.spend_codec import read_account
from llm_worker.bootstrap.spend import feed as feed_module
from llm_worker.bootstrap.spend.feed import SpendFeed
from llm_worker.bootstrap.spend.reading import TopicHistory
from llm_worker.domain.ledger import Account
from llm_worker.domain.spend import EVERYTHING, AccountKey, month_of
from tests.support.fakes import ManualClock
from tests.support.spend import COSTS, DAY_MS
from tests.support.usage import state_records
from tests.support.worker import Installation

if TYPE_CHECKING:
    from pathlib import Path

    from llm_worker.dev.kafka import EmbeddedKafka

_DAYS = ("2025-02-28", "2026-09-30", "2026-10-01", "2026-11-23")
"""Each with a total that was written on it."""


@pytest.fixture
async def installation(kafka: EmbeddedKafka, tmp_path: Path) -> Installation:
    installation = await Installation(kafka.bootstrap_servers, tmp_path).create()
    async with installation.producer() as producer:
        for number, day in enumerate(_DAYS, 1):
            key, account = _key(day), Account(cost_usd=Decimal(number), last_offset=number)
            for record in state_records({key: account}, installation.topics):
                await producer.send_and_wait(
                    record.topic, record.value, record.key, timestamp_ms=_ms(day)
                )
    return installation


def _key(day: str) -> AccountKey:
    return AccountKey(EVERYTHING, day, COSTS)


def _at(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T10:00:00Z")


def _ms(day: str) -> int:
    return int(_at(day).timestamp() * 1000)


async def test_totals_are_read_since_when_they_are_recent_and_earlier_ones_when_asked_for(
    installation: Installation,
) -> None:
    history = TopicHistory(installation.options, installation.topics, horizon_ms=DAY_MS)

    recent = await history.recent_accounts(_at("2026-11-24"))
    assert (recent.as_of, recent.since) == ("2026-11", "2026-10")
    assert recent.accounts.keys() == {*map(_key, _DAYS[1:])}, "from two days before October on"

    silent = await history.recent_accounts(_at("2027-12-31"))
    assert silent == recent, "nothing was added up since"

    earlier = await history.accounts({month_of(_DAYS[0]), month_of(_DAYS[2])})
    assert earlier.keys() == {_key(_DAYS[0]), _key(_DAYS[2])}
    assert (await history.accounts()).keys() == {*map(_key, _DAYS)}
    assert (await history.known_costs(_at(_DAYS[-1]))) == {(EVERYTHING, _DAYS[-1]): Decimal(4)}


@pytest.mark.parametrize(
    ("day", "seen"), [("2026-11-24", _DAYS[2:]), ("2026-10-31", _DAYS[1:]), ("2027-12-31", ())]
)
async def test_every_process_follows_the_totals_of_this_month_and_the_last(
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    day: str,
    seen: tuple[str, ...],
) -> None:
    taken = []

    def noted(key: bytes | None, value: bytes | None) -> tuple[AccountKey, Account | None] | None:
        read = read_account(key, value)
        taken.append(read[0].period if read else "")
        return read

    monkeypatch.setattr(feed_module, "read_account", noted)
    feed = SpendFeed(installation.options, installation.topics, ManualClock(_at(day)))
    async with asyncio.TaskGroup() as group:
        following = group.create_task(feed.follow())
        assert await feed.read()
        following.cancel()
    assert tuple(each for each in _DAYS if feed.view.total(EVERYTHING, each).cost_usd) == seen
    assert _DAYS[0] not in taken
