from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.adapters.kafka.spend_codec import SpendCodec
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.domain import journal as journal_module
from llm_worker.domain.journal import Journal, SeenIds, placed_entry
from tests.support.builders import TOPICS
from tests.support.spend import (
    DAY_MS,
    FAILURES,
    cost_of,
    entry_of,
    failure_value,
    lost_of,
    placed_of,
    record_of,
    uid,
)

if TYPE_CHECKING:
    from llm_worker.domain.delivery import PlacedRecord
    from llm_worker.domain.journal import Placed


def test_id_is_known_by_its_lowest_offset() -> None:
    seen = SeenIds(1_000)
    assert [seen.note(uid(1), offset, 0) for offset in (3, 5, 9)] == [3, 3, 3]


def test_id_is_known_for_as_long_as_the_horizon() -> None:
    seen = SeenIds(1_000)
    seen.note(uid(1), 0, 0)
    assert seen.note(uid(1), 1, 999) == 0


def test_id_that_is_older_than_the_horizon_is_forgotten() -> None:
    seen = SeenIds(1_000)
    seen.note(uid(1), 0, 0)
    seen.note(uid(2), 1, 20)
    seen.note(uid(3), 2, 1_020)
    assert seen.note(uid(1), 3, 1_020) == 3


def test_id_that_is_just_as_old_as_the_horizon_is_known_and_so_are_those_after_it() -> None:
    seen = SeenIds(1_000)
    for offset, at_ms in enumerate((0, 20, 25, 1_020)):
        seen.note(uid(offset), offset, at_ms)
    assert [seen.note(uid(number), 9, 1_020) for number in (1, 2, 3)] == [1, 2, 3]


def test_clock_that_goes_back_a_little_makes_no_id_forgotten_too_soon() -> None:
    seen = SeenIds(1_000)
    for offset, at_ms in enumerate((50, 45, 1_045)):
        seen.note(uid(offset), offset, at_ms)
    assert seen.note(uid(0), 9, 1_045) == 0


@pytest.mark.parametrize("cut", [1, 2, 8, 23])
def test_id_that_others_make_up_between_them_is_none_of_theirs(cut: int) -> None:
    """All in one bucket: the end of one, its offset and the beginning of the next are one more."""
    seen, step = SeenIds(1_000), 1 << 64
    first, second = UUID(int=7 * step), UUID(int=7 * step + (1 << 100))
    assert [seen.note(first, 0, 0), seen.note(second, 1, 0)] == [0, 1]
    between = UUID(bytes=(first.bytes + bytes(8) + second.bytes)[cut : cut + 16])
    assert seen.note(between, 2, 0) == 2
    assert [seen.note(each, 9, 0) for each in (first, second, between)] == [0, 1, 2]


def test_ids_of_one_bucket_are_forgotten_and_the_rest_of_it_is_not() -> None:
    seen = SeenIds(1_000)
    for offset, at_ms in enumerate((0, 0, 0, 500, 500, 1_500)):
        seen.note(UUID(int=offset << 64), offset, at_ms)
    assert len(seen) == 3
    assert [seen.note(UUID(int=each << 64), 9, 1_500) for each in (0, 2, 3, 4)] == [9, 9, 3, 4]


def test_ids_are_forgotten_so_that_memory_does_not_grow_for_ever() -> None:
    seen = SeenIds(1_000)
    for number in range(10_000):
        seen.note(uid(number), number, number)
    assert 1_000 <= len(seen) <= 1_050


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3_000)), max_size=60))
def test_id_repeated_within_the_horizon_is_known_whatever_the_records_times(
    records: list[tuple[int, int]],
) -> None:
    """Times of one partition may run backwards: its producers have clocks of their own."""
    seen, newest_ms, last = SeenIds(1_000), 0, dict[int, tuple[int, int]]()
    for offset, (number, at_ms) in enumerate(records):
        newest_ms = max(newest_ms, at_ms)
        lowest = seen.note(uid(number), offset, at_ms)
        if number in last and last[number][1] > newest_ms - 1_000:
            assert lowest == last[number][0]
        if lowest == offset:
            last[number] = (offset, at_ms)


def test_new_event_replaces_nothing_and_a_repeated_one_adds_nothing() -> None:
    journal, entry = Journal(DAY_MS), entry_of()
    assert journal.note(placed_of(0, entry)) == ()
    assert journal.note(placed_of(1, entry)) is None


def test_event_that_is_delivered_again_is_no_repetition() -> None:
    journal, entry = Journal(DAY_MS), entry_of()
    answers = [journal.note(placed_of(0, entry)) for _ in range(3)]
    assert answers == [(), (), ()]


def test_event_that_knows_the_cost_replaces_the_one_that_did_not() -> None:
    journal, lost = Journal(DAY_MS), lost_of(uid(1))
    journal.note(placed_of(0, lost))
    assert journal.note(placed_of(1, entry_of(uid(1)))) == (lost,)


def test_event_that_does_not_know_the_cost_adds_nothing_to_one_that_does() -> None:
    journal = Journal(DAY_MS)
    journal.note(placed_of(0, entry_of(uid(1))))
    assert journal.note(placed_of(1, lost_of(uid(1)))) is None
    assert journal.note(placed_of(2, entry_of(uid(1)))) is None


def test_lost_attempt_that_is_told_twice_is_lost_once_and_may_be_replaced_still() -> None:
    journal, lost = Journal(DAY_MS), lost_of(uid(1))
    journal.note(placed_of(0, lost))
    assert journal.note(placed_of(1, lost)) is None
    assert journal.note(placed_of(2, entry_of(uid(1)))) == (lost,)


def test_event_is_replaced_once_and_by_the_same_one_whenever_that_is_delivered_again() -> None:
    journal, lost, known = Journal(DAY_MS), lost_of(uid(1)), entry_of(uid(1))
    journal.note(placed_of(0, lost))
    journal.note(placed_of(1, known))
    assert journal.note(placed_of(2, known)) is None
    assert journal.note(placed_of(0, lost)) == ()
    assert journal.note(placed_of(2, known)) is None
    assert journal.note(placed_of(1, known)) == (lost,)
    assert journal.note(placed_of(2, known)) is None


def test_lost_attempt_beyond_the_horizon_is_replaced_by_nothing_that_comes_later() -> None:
    """Neither at once nor by the repetition of what came: that would be counted twice."""
    journal = Journal(1_000)
    journal.note(placed_of(0, lost_of(uid(1)), at_ms=0))
    journal.note(placed_of(1, at_ms=50))
    journal.note(placed_of(2, at_ms=2_000))
    known = entry_of(uid(1), cost_usd=Decimal(1))
    assert journal.note(placed_of(3, known, at_ms=2_000)) == ()
    assert journal.note(placed_of(4, known, at_ms=2_000)) is None


def test_id_that_was_forgotten_begins_anew_as_lost_and_is_replaced_once_more() -> None:
    journal, known = Journal(1_000), entry_of(uid(1))
    first, second = lost_of(uid(1), day="2026-11-22"), lost_of(uid(1))
    journal.note(placed_of(0, first, at_ms=0))
    assert journal.note(placed_of(1, known, at_ms=0)) == (first,)
    journal.note(placed_of(2, at_ms=50))
    journal.note(placed_of(3, at_ms=2_000))
    assert journal.note(placed_of(4, second, at_ms=2_000)) == ()
    assert journal.note(placed_of(5, known, at_ms=2_000)) == (second,)


def _placed(record: PlacedRecord) -> Placed | None:
    event = SpendCodec(TOPICS).event(record)
    assert isinstance(event, EventEnvelope)
    return placed_entry(record, event)


def test_event_adds_its_entry_at_the_place_of_its_record_or_nothing() -> None:
    record = record_of(cost_of(uid(1), usd=0.5), offset=7, at_ms=9)
    placed = _placed(record)
    assert placed is not None
    assert (placed.offset, placed.at_ms) == (7, 9)
    assert (placed.entry.event_id, placed.entry.cost_usd) == (uid(1), Decimal("0.5"))
    attempt = record_of(failure_value(), source=FAILURES)
    assert _placed(attempt) is None


def test_only_so_many_lost_attempts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_PROVISIONAL_AT_MOST", 2)
    journal, lost = Journal(DAY_MS), [lost_of(uid(number)) for number in range(3)]
    for offset, each in enumerate(lost):
        journal.note(placed_of(offset, each))
    answers = [journal.note(placed_of(3 + n, entry_of(uid(n)))) for n in range(3)]
    assert answers == [None, (lost[1],), (lost[2],)]
