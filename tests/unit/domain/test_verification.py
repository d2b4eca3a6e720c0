from __future__ import annotations

from copy import deepcopy
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.domain.journal import Journal
from llm_worker.domain.ledger import Account, Ledger
from llm_worker.domain.spend import EVERYTHING, AccountKey, recent_since
from llm_worker.domain.verification import Recomputation
from tests.support.spend import (
    CELL,
    COSTS,
    DAY,
    DAY_MS,
    NOW_MS,
    REQUESTS,
    entry_of,
    placed_of,
)
from tests.support.spend_stories import Story, stories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_worker.domain.spend import Entry

    Accounts = Mapping[AccountKey, Account]

_AMOUNTS = [
    each.name for each in fields(Account) if each.name not in {"last_offset", "alerts_raised"}
]
_ENTRIES = [
    entry_of(day=day, tokens={"total_tokens": 3}, cost_usd=Decimal("0.1"))
    for day in (DAY, DAY, "2026-11-24", "2026-12-01")
]


def _published(entries: Sequence[Entry]) -> dict[AccountKey, Account]:
    ledger, journal = Ledger({}), Journal(DAY_MS)
    for offset, entry in enumerate(entries):
        placed = placed_of(offset, entry)
        replaced = journal.note(placed)
        if replaced is not None:
            ledger.post(COSTS, placed, replaced)
    return deepcopy(dict(ledger))


def _drifts(
    published: Accounts,
    entries: Sequence[Entry],
    *,
    first: int = 0,
    written_ms: Sequence[int] = (),
) -> dict[AccountKey, tuple[Account, Account]]:
    """What differs when the records below `first` have been removed."""
    recomputation = Recomputation(published, horizon_ms=DAY_MS)
    for offset, entry in list(enumerate(entries))[first:]:
        if recomputation.is_wanted(COSTS, offset):
            at_ms = written_ms[offset] if written_ms else NOW_MS + offset
            recomputation.add(COSTS, offset, at_ms, entry)
    return {drift.key: (drift.published, drift.recomputed) for drift in recomputation.drifts()}


def _changed(account: Account, amount: str, by: int) -> Account:
    value = getattr(account, amount)
    if isinstance(value, dict):
        return replace(account, tokens={**value, "total_tokens": value.get("total_tokens", 0) + by})
    return replace(account, **{amount: value + by})


@settings(deadline=None)
@given(stories(), st.data())
def test_any_number_that_is_changed_is_found_and_no_other(
    story: Story, data: st.DataObject
) -> None:
    entries = [purchase.entry(is_lost=is_lost) for purchase, is_lost in story]
    published = _published(entries)
    assert not _drifts(published, entries)
    key = data.draw(st.sampled_from(list(published)))
    by = data.draw(st.integers(-5, 5).filter(bool))
    told = _changed(published[key], data.draw(st.sampled_from(_AMOUNTS)), by)
    assert _drifts({**published, key: told}, entries) == {key: (told, published[key])}


@pytest.mark.parametrize("key", list(_published(_ENTRIES)))
@pytest.mark.parametrize("amount", _AMOUNTS)
def test_number_is_found_on_every_day_and_in_every_month_from_the_first(
    key: AccountKey, amount: str
) -> None:
    published = _published(_ENTRIES)
    assert not _drifts(published, _ENTRIES)
    published[key] = _changed(published[key], amount, 1)
    assert list(_drifts(published, _ENTRIES)) == [key]


def test_account_that_is_missing_is_found() -> None:
    published = _published(_ENTRIES)
    key = AccountKey(EVERYTHING, DAY, COSTS)
    account = published.pop(key)
    assert _drifts(published, _ENTRIES) == {key: (Account(), account)}


def test_account_that_nothing_adds_up_to_is_found() -> None:
    published, key = _published(_ENTRIES), AccountKey(CELL, "2026-11-25", COSTS)
    published[key] = Account(requests=1, last_offset=0)
    assert list(_drifts(published, _ENTRIES)) == [key]


def test_account_without_an_amount_is_as_good_as_none() -> None:
    published, key = _published(_ENTRIES), AccountKey(CELL, "2026-11-25", COSTS)
    published[key] = Account(last_offset=0, tokens={"total_tokens": 0})
    assert not _drifts(published, _ENTRIES)


def test_events_that_the_published_totals_do_not_reach_yet_are_left_out() -> None:
    recomputation = Recomputation(_published(_ENTRIES[:2]), horizon_ms=DAY_MS)
    assert [recomputation.is_wanted(COSTS, offset) for offset in range(4)] == [
        True,
        True,
        False,
        False,
    ]
    assert not recomputation.is_wanted(REQUESTS, 0)
    assert not _drifts(_published(_ENTRIES[:2]), _ENTRIES)


def test_half_published_batch_differs_where_it_is_not_published() -> None:
    before, after = _published(_ENTRIES[:1]), _published(_ENTRIES[:2])
    key = AccountKey(EVERYTHING, DAY, COSTS)
    assert list(_drifts({**after, key: before[key]}, _ENTRIES)) == [key]


def test_days_and_months_whose_beginning_is_removed_are_ignored() -> None:
    published = _published(_ENTRIES)
    assert not _drifts(published, _ENTRIES, first=1)
    wrong = {key: _changed(account, "requests", 1) for key, account in published.items()}
    found = {key.period for key in _drifts(wrong, _ENTRIES, first=1)}
    assert found == {"2026-11-24", "2026-12-01", "2026-12"}


def test_late_event_at_the_edge_of_what_is_removed_accuses_nobody() -> None:
    """Published on the 23rd like the one before it, which is gone; it happened on the 22nd."""
    entries = [entry_of(), entry_of(day="2026-11-22"), entry_of(day="2026-11-24")]
    assert not _drifts(_published(entries), entries, first=1)


def test_nothing_is_said_of_a_topic_whose_events_are_all_removed() -> None:
    assert not _drifts(_published(_ENTRIES), _ENTRIES, first=len(_ENTRIES))


@settings(deadline=None)
@given(stories(), st.data())
def test_retention_alone_never_looks_like_drift(story: Story, data: st.DataObject) -> None:
    """An attempt is told on the day on which it ends or later; that it is lost, at any time."""
    told = sorted(story, key=lambda each: each[0].day)
    purchases = [
        (replace(each, lost_day=min(each.lost_day, each.day)), lost) for each, lost in told
    ]
    entries = [purchase.entry(is_lost=is_lost) for purchase, is_lost in purchases]
    written_ms = [_noon_ms(purchase.day) for purchase, _ in purchases]
    first = data.draw(st.integers(0, len(entries)))
    assert not _drifts(_published(entries), entries, first=first, written_ms=written_ms)


def _noon_ms(day: str) -> int:
    return int(datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "since"),
    [
        (datetime(2026, 11, 29, 5, 30, 59, 7, tzinfo=UTC), datetime(2026, 9, 29, tzinfo=UTC)),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2025, 11, 29, tzinfo=UTC)),
    ],
)
def test_last_month_is_read_whole_with_the_days_before_it_that_ids_may_come_from(
    now: datetime, since: datetime
) -> None:
    assert recent_since(now, horizon_ms=86_400_000) == since
    assert recent_since(now) == since + timedelta(days=1)
