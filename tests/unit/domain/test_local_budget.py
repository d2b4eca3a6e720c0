from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llm_worker.domain.local_budget import LocalBudget, Room
from llm_worker.domain.spend import EVERYTHING

_DAY = (EVERYTHING, "2026-11-23")
_OTHER_DAY = (EVERYTHING, "2026-11-24")


def _judge(own: LocalBudget, amount: int, *, floor: int = 0, share: float = 1.0) -> Room:
    return own.judge(_DAY, 100, amount, floor, share)


def test_what_fits_is_judged_by_the_limit_alone_where_nothing_was_spent() -> None:
    own = LocalBudget()
    assert _judge(own, 100) is Room.FITS
    assert _judge(own, 101) is Room.SPENT


def test_what_was_published_when_we_came_is_spent_and_the_rest_is_shared() -> None:
    own = LocalBudget()
    assert _judge(own, 40, floor=20, share=0.5) is Room.FITS
    assert _judge(own, 41, floor=20, share=0.5) is Room.SHARE_SPENT
    assert _judge(own, 80, floor=20, share=0.5) is Room.SHARE_SPENT
    assert _judge(own, 81, floor=20, share=0.5) is Room.SPENT


def test_own_calls_under_way_make_others_wait() -> None:
    own = LocalBudget()
    own.hold([_DAY], 20)
    own.hold([_DAY], 40)
    assert _judge(own, 40) is Room.FITS
    assert _judge(own, 41) is Room.BUSY
    assert _judge(own, 100) is Room.BUSY
    assert _judge(own, 101) is Room.SPENT
    own.settle([_DAY], 0, 0, is_shared=False)
    assert _judge(own, 41) is Room.BUSY
    own.settle([_DAY], 60, 10, is_shared=False)
    assert own._sums[_DAY].outstanding == 0
    assert _judge(own, 41) is Room.FITS


def test_own_spend_is_not_counted_again_when_it_is_published() -> None:
    own = LocalBudget()
    assert _judge(own, 50, share=0.5) is Room.FITS
    own.hold([_DAY], 50)
    own.settle([_DAY], 50, 30, is_shared=False)
    assert _judge(own, 20, floor=30, share=0.5) is Room.FITS
    assert _judge(own, 21, floor=30, share=0.5) is Room.SHARE_SPENT


def test_what_others_are_known_to_have_spent_meanwhile_counts() -> None:
    own = LocalBudget()
    assert _judge(own, 100) is Room.FITS
    assert _judge(own, 21, floor=80) is Room.SPENT
    assert _judge(own, 20, floor=80) is Room.FITS


def test_what_was_heard_of_others_last_counts_without_our_own_part() -> None:
    own = LocalBudget()
    own.hold([_DAY], 10)
    own.share([_DAY], 10)
    own.heard(_DAY, 50, 0)
    assert _judge(own, 50) is Room.FITS
    assert _judge(own, 51) is Room.BUSY
    assert _judge(own, 61) is Room.SPENT


def test_what_others_had_set_aside_is_no_reason_to_refuse_for_good() -> None:
    own = LocalBudget()
    own.heard(_DAY, 20, 70)
    assert _judge(own, 10) is Room.FITS
    assert _judge(own, 40) is Room.SHARE_SPENT
    assert _judge(own, 81) is Room.SPENT


def test_own_call_that_ends_after_the_last_word_is_not_forgotten() -> None:
    own = LocalBudget()
    own.hold([_DAY], 10)
    own.share([_DAY], 10)
    own.heard(_DAY, 50, 0)
    own.settle([_DAY], 10, 8, is_shared=True)
    assert _judge(own, 52) is Room.FITS
    assert _judge(own, 53) is Room.SPENT


def test_sums_that_have_forgotten_us_are_heard_as_they_are() -> None:
    own = LocalBudget()
    own.hold([_DAY], 10)
    own.share([_DAY], 10)
    own.unshare()
    own.heard(_DAY, 50, 0)
    assert _judge(own, 40) is Room.FITS
    assert _judge(own, 41) is Room.BUSY


def test_part_of_the_sums_that_was_settled_is_ours_no_more() -> None:
    own = LocalBudget()
    for amount in (10, 20):
        own.hold([_DAY], amount)
        own.share([_DAY], amount)
    own.settle([_DAY], 10, 0, is_shared=True)
    own.heard(_DAY, 0, 50)
    assert _judge(own, 50) is Room.FITS
    assert _judge(own, 51) is Room.BUSY


def test_sums_that_do_not_have_our_part_yet_are_no_room_on_top() -> None:
    own = LocalBudget()
    own.hold([_DAY], 10)
    own.share([_DAY], 10)
    own.heard(_DAY, 0, 0)
    assert _judge(own, 90) is Room.FITS
    assert _judge(own, 91) is Room.BUSY


def test_all_that_is_spent_alone_counts_until_the_sums_are_heard_again() -> None:
    own = LocalBudget()
    assert _judge(own, 100) is Room.FITS
    for _ in range(2):
        own.hold([_DAY], 20)
        own.settle([_DAY], 20, 20, is_shared=False)
    assert _judge(own, 60) is Room.FITS
    assert _judge(own, 61) is Room.SPENT
    own.heard(_DAY, 70, 0)
    assert _judge(own, 30) is Room.FITS
    assert _judge(own, 31) is Room.SPENT


def test_what_is_left_is_divided_anew_when_somebody_comes_or_goes() -> None:
    own = LocalBudget()
    assert _judge(own, 60) is Room.FITS
    own.hold([_DAY], 60)
    own.settle([_DAY], 60, 60, is_shared=False)
    assert _judge(own, 20, share=0.5) is Room.FITS
    assert _judge(own, 21, share=0.5) is Room.SHARE_SPENT
    assert _judge(own, 1, floor=100, share=1.0) is Room.SPENT


def test_other_days_are_forgotten_but_not_what_is_still_set_aside() -> None:
    own = LocalBudget()
    own.hold([_DAY, _OTHER_DAY], 7)
    own.heard(_DAY, 90, 0)
    own.heard(_OTHER_DAY, 90, 0)
    own.forget_all_but({_OTHER_DAY[1]})
    assert own._sums[_DAY].outstanding == 7
    assert own.judge(_DAY, 100, 93, 0, 1.0) is Room.FITS
    assert own.judge(_DAY, 100, 100, 0, 0.5) is Room.SHARE_SPENT
    assert own.judge(_OTHER_DAY, 100, 4, 0, 1.0) is Room.BUSY


def test_all_that_is_shared_is_our_part_of_what_is_heard() -> None:
    own = LocalBudget()
    for amount in (10, 20):
        own.hold([_DAY], amount)
        own.share([_DAY], amount)
    own.heard(_DAY, 0, 50)
    assert _judge(own, 50) is Room.FITS
    assert _judge(own, 51) is Room.BUSY


def test_judging_goes_on_as_before_where_other_days_are_forgotten() -> None:
    own = LocalBudget()
    assert _judge(own, 50, share=0.5) is Room.FITS
    own.hold([_DAY], 10)
    own.share([_DAY], 10)
    own.settle([_DAY], 10, 10, is_shared=False)
    own.forget_all_but({_DAY[1]})
    assert _judge(own, 40, share=0.5) is Room.FITS
    assert _judge(own, 41, share=0.5) is Room.SHARE_SPENT
    assert _judge(own, 91, share=0.5) is Room.SPENT
    own.heard(_DAY, 0, 50)
    assert _judge(own, 60) is Room.FITS
    assert _judge(own, 61) is Room.SHARE_SPENT


def test_day_that_was_forgotten_is_judged_anew() -> None:
    own = LocalBudget()
    assert _judge(own, 100, floor=60) is Room.SPENT
    own.hold([_DAY], 10)
    own.settle([_DAY], 10, 10, is_shared=False)
    own.forget_all_but({_OTHER_DAY[1]})
    assert _judge(own, 100) is Room.FITS
    assert _judge(own, 101) is Room.SPENT


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 2), st.integers(1, 40), st.floats(0, 1)),
        max_size=60,
    ),
    st.integers(0, 100),
)
def test_processes_that_cannot_ask_each_other_stay_within_the_limit_together(
    steps: list[tuple[bool, int, int, float]], known: int
) -> None:
    processes = [LocalBudget() for _ in range(3)]
    for each in processes:
        each.heard(_DAY, known, 0)
    held: list[tuple[LocalBudget, int]] = []
    spent = known
    for is_reserving, who, amount, part in steps:
        own = processes[who]
        if is_reserving:
            if _judge(own, amount, share=1 / 3) is Room.FITS:
                own.hold([_DAY], amount)
                held.append((own, amount))
        elif held:
            own, estimate = held.pop()
            cost = int(estimate * part)
            own.settle([_DAY], estimate, cost, is_shared=False)
            spent += cost
        assert spent + sum(amount for _, amount in held) <= 100
