from __future__ import annotations

from decimal import Decimal

from llm_worker.domain.ledger import Account
from llm_worker.domain.spend import EVERYTHING, AccountKey, Scope, Source
from llm_worker.domain.spend_view import SpendView
from tests.support.spend import CELL, COSTS, DAY, MORE_COSTS, REQUESTS


def _key(period: str = DAY, source: Source = COSTS, scope: Scope = EVERYTHING) -> AccountKey:
    return AccountKey(scope, period, source)


def _account(usd: str = "1", last_offset: int = 0, requests: int = 0) -> Account:
    return Account(cost_usd=Decimal(usd), last_offset=last_offset, requests=requests)


def _view(*accounts: tuple[AccountKey, Account]) -> SpendView:
    view = SpendView()
    for key, account in accounts:
        view.put(key, account)
    return view


def _periods(view: SpendView, *periods: str) -> list[str]:
    return [period for period in periods if list(view.totals(period))]


def test_nothing_is_spent_at_first() -> None:
    view = SpendView()
    assert view.total(EVERYTHING, DAY) == Account()
    assert f"{view.cost_usd(EVERYTHING, DAY):f}" == "0"
    assert not view.has_other_sources([])


def test_total_is_the_sum_over_source_partitions_and_topics() -> None:
    view = _view(
        (_key(), _account("0.1")),
        (_key(source=MORE_COSTS), _account("0.2")),
        (_key(source=REQUESTS), _account("0", requests=3)),
        (_key(period="2026-11-22"), _account("50")),
        (_key(scope=CELL), _account("70")),
    )
    assert view.total(EVERYTHING, DAY) == Account(cost_usd=Decimal("0.3"), requests=3)
    assert view.cost_usd(EVERYTHING, DAY) == Decimal("0.3")


def test_account_that_is_published_again_takes_the_place_of_the_old_one() -> None:
    view = _view((_key(), _account("1")), (_key(), _account("3", last_offset=5)))
    assert view.cost_usd(EVERYTHING, DAY) == Decimal(3)


def test_account_that_includes_less_than_the_one_before_it_is_stale() -> None:
    view = _view((_key(), _account("3", last_offset=5)), (_key(), _account("1", last_offset=4)))
    assert view.cost_usd(EVERYTHING, DAY) == Decimal(3)
    view.put(_key(), None)
    view.put(_key(), _account("1", last_offset=4))
    assert view.cost_usd(EVERYTHING, DAY) == Decimal(1)


def test_account_that_is_taken_away_counts_no_longer() -> None:
    view = _view((_key(), _account("1")), (_key(source=MORE_COSTS), _account("2")))
    view.put(_key(), None)
    view.put(_key(period="2026-11-01"), None)
    assert view.cost_usd(EVERYTHING, DAY) == Decimal(2)


def test_cost_without_the_source_partitions_that_are_known_otherwise() -> None:
    view = _view((_key(), _account("1")), (_key(source=MORE_COSTS), _account("2")))
    assert view.cost_usd(EVERYTHING, DAY, without=[COSTS]) == Decimal(2)
    assert view.cost_usd(EVERYTHING, DAY, without=[COSTS, MORE_COSTS]) == Decimal(0)


def test_other_sources_are_those_that_are_not_known() -> None:
    view = _view((_key(), _account()), (_key(source=MORE_COSTS), _account()))
    assert view.has_other_sources([COSTS])
    assert not view.has_other_sources([COSTS, MORE_COSTS])


def test_every_scope_of_a_period_has_its_total() -> None:
    view = _view(
        (_key(), _account("1")),
        (_key(source=MORE_COSTS), _account("2")),
        (_key(scope=CELL), _account("4")),
        (_key(period="2026-11"), _account("9")),
    )
    totals = {scope: account.cost_usd for scope, account in view.totals(DAY)}
    assert totals == {EVERYTHING: Decimal(3), CELL: Decimal(4)}


def test_months_before_one_are_forgotten_with_their_days() -> None:
    periods = ("2026-11", "2026-11-30", "2026-12", "2026-12-31", "2027-01", "2027-01-01")
    view = _view(*((_key(period), _account()) for period in periods))
    view.forget_before("2026-12")
    assert _periods(view, *periods) == ["2026-12", "2026-12-31", "2027-01", "2027-01-01"]


def test_account_of_a_far_future_pushes_nothing_out() -> None:
    view = _view((_key("2026-11"), _account()), (_key("2099-01"), _account()))
    view.put(_key("2099-02"), _account())
    assert _periods(view, "2026-11") == ["2026-11"]


def test_month_before_the_newest_is_there_for_late_events_and_for_the_week_before() -> None:
    view = _view((_key("2026-12-31"), _account("1")), (_key("2027-01-01"), _account("2")))
    view.put(_key("2026-12-31"), _account("5"))
    assert view.cost_usd(EVERYTHING, "2026-12-31") == Decimal(5)
    assert view.cost_usd(EVERYTHING, "2027-01-01") == Decimal(2)
