from __future__ import annotations

from decimal import Decimal

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.ledger import Account, Ledger, total_of
from llm_worker.domain.spend import EVERYTHING, AccountKey, Scope
from tests.support.spend import (
    CELL,
    COSTS,
    DAY,
    MORE_COSTS,
    entry_of,
    lost_of,
    placed_of,
    uid,
)

_CENT = Decimal("0.01")


def _key(scope: Scope = CELL, period: str = DAY) -> AccountKey:
    return AccountKey(scope, period, COSTS)


def _account(ledger: Ledger, scope: Scope = CELL, period: str = DAY) -> Account:
    account = ledger.account(_key(scope, period))
    assert account is not None
    return account


def test_event_is_added_to_its_cell_and_every_scope_of_it_on_its_day_and_in_its_month() -> None:
    ledger = Ledger({})
    assert ledger.post(COSTS, placed_of(4))
    scopes = (CELL, EVERYTHING, Scope(provider=ProviderName.OPENAI), Scope(organization="school"))
    keys = {_key(scope, period) for scope in scopes for period in (DAY, "2026-11")}
    assert dict(ledger).keys() == ledger.changed().keys() == keys
    assert {account.cost_usd for _, account in ledger} == {_CENT}
    assert {account.last_offset for _, account in ledger} == {4}
    assert len(ledger) == 8


def test_all_that_an_event_tells_is_added_up() -> None:
    ledger = Ledger({})
    for offset in range(2):
        entry = entry_of(
            requests=1,
            failures=2,
            cache_hits=3,
            tokens={"prompt_tokens": 4, "total_tokens": 5},
            cost_usd=Decimal("0.1"),
            unknown_costs=6,
            savings_usd=Decimal("0.2"),
        )
        ledger.post(COSTS, placed_of(offset, entry))
    assert _account(ledger) == Account(
        requests=2,
        failures=4,
        cache_hits=6,
        tokens={"prompt_tokens": 8, "total_tokens": 10},
        cost_usd=Decimal("0.2"),
        unknown_costs=12,
        savings_usd=Decimal("0.4"),
        last_offset=1,
    )


def test_sums_are_exact_where_floating_point_would_not_be() -> None:
    ledger = Ledger({})
    for offset in range(1_000):
        ledger.post(COSTS, placed_of(offset, entry_of(cost_usd=Decimal("0.000000075"))))
    assert _account(ledger).cost_usd == Decimal("0.000075")


def test_event_at_or_below_an_accounts_last_offset_is_skipped() -> None:
    ledger = Ledger({})
    ledger.post(COSTS, placed_of(4))
    ledger.published()
    assert not ledger.post(COSTS, placed_of(4))
    assert not ledger.post(COSTS, placed_of(3))
    assert not ledger.changed()
    assert _account(ledger).cost_usd == _CENT


def test_event_is_added_to_the_accounts_that_do_not_include_it_and_to_no_other() -> None:
    """What a crash leaves that had published a part of the accounts."""
    published = Account(cost_usd=_CENT, last_offset=4)
    ledger = Ledger({_key(): published})
    assert ledger.post(COSTS, placed_of(4))
    assert _account(ledger) == published
    assert _account(ledger, EVERYTHING).cost_usd == _CENT
    assert _key() not in ledger.changed()


def test_offsets_of_one_source_partition_say_nothing_of_another() -> None:
    ledger = Ledger({})
    ledger.post(COSTS, placed_of(100))
    assert ledger.post(MORE_COSTS, placed_of(0))
    assert len(ledger) == 16


def test_late_event_goes_to_its_own_day_and_month() -> None:
    ledger = Ledger({})
    ledger.post(COSTS, placed_of(0, entry_of(day="2027-01-01")))
    ledger.post(COSTS, placed_of(1, entry_of(day="2026-12-31")))
    for period in ("2026-12-31", "2026-12", "2027-01-01", "2027-01"):
        assert _account(ledger, period=period).cost_usd == _CENT
    assert ledger.changed() == dict(ledger), "both events', until it is published"


def test_replaced_event_is_taken_back_on_its_own_day() -> None:
    ledger, lost = Ledger({}), lost_of(uid(1), day="2026-12-31")
    ledger.post(COSTS, placed_of(0, lost))
    ledger.post(COSTS, placed_of(1, entry_of(uid(1), day="2027-01-01")), (lost,))
    before, after = (_account(ledger, period=day) for day in ("2026-12-31", "2027-01-01"))
    assert (before.unknown_costs, before.cost_usd, before.last_offset) == (0, Decimal(0), 1)
    assert (after.unknown_costs, after.cost_usd, after.last_offset) == (0, _CENT, 1)


def test_event_and_the_one_it_replaces_may_belong_to_one_account() -> None:
    ledger, lost = Ledger({}), lost_of(uid(1))
    ledger.post(COSTS, placed_of(0, lost))
    ledger.post(COSTS, placed_of(1, entry_of(uid(1))), (lost,))
    assert (_account(ledger).unknown_costs, _account(ledger).cost_usd) == (0, _CENT)


def test_what_is_published_has_not_changed_until_it_is_added_to() -> None:
    ledger = Ledger({})
    ledger.post(COSTS, placed_of(0))
    ledger.published()
    assert not ledger.changed()
    ledger.mark_changed(_key())
    ledger.mark_changed(_key(period="1999-01"))
    assert ledger.changed() == {_key(): _account(ledger)}


def test_alerts_are_noted_in_their_account_in_the_order_in_which_they_were_raised() -> None:
    ledger = Ledger({_key(): Account(last_offset=3, alerts_raised=("5",))})
    ledger.note_alert(_key(), "10")
    assert _account(ledger).alerts_raised == ("5", "10")
    assert ledger.changed() == {_key(): _account(ledger)}


def test_alert_may_be_the_first_that_an_account_hears_of() -> None:
    """Who judges a limit adds up what others have; its own partition may have nothing yet."""
    ledger = Ledger({})
    ledger.note_alert(_key(), "10")
    assert _account(ledger) == Account(alerts_raised=("10",))
    assert ledger.changed() == {_key(): _account(ledger)}
    assert not ledger.includes(COSTS)


def test_ledger_includes_a_partition_once_an_event_of_it_is_added() -> None:
    ledger = Ledger({})
    assert not ledger.includes(COSTS)
    ledger.post(COSTS, placed_of(0))
    assert ledger.includes(COSTS)
    assert not ledger.includes(MORE_COSTS)


def test_total_leaves_out_offsets_and_alerts() -> None:
    accounts = [
        Account(requests=number, last_offset=9, alerts_raised=("5",), tokens={"total_tokens": 1})
        for number in (1, 2)
    ]
    assert total_of(accounts) == Account(requests=3, tokens={"total_tokens": 2})
    assert total_of([]) == Account()


def test_account_that_is_read_does_not_take_the_place_of_one_that_is_here() -> None:
    ledger = Ledger({})
    ledger.post(COSTS, placed_of(4))
    ledger.take({_key(): Account(last_offset=3), _key(period="2026-11-22"): Account(last_offset=2)})
    assert _account(ledger).last_offset == 4
    assert _account(ledger, period="2026-11-22").last_offset == 2


def test_month_that_is_forgotten_is_begun_anew() -> None:
    ledger = Ledger({})
    ledger.post(COSTS, placed_of(0, entry_of(day="2026-10-31")))
    ledger.post(COSTS, placed_of(1))
    ledger.published()
    ledger.forget_before("2026-11")
    assert {key.period for key, _ in ledger} == {DAY, "2026-11"}
    ledger.post(COSTS, placed_of(2, entry_of(day="2026-10-31")))
    assert _account(ledger, period="2026-10-31").cost_usd == _CENT
    assert _account(ledger).last_offset == 1


def test_account_that_is_still_to_be_published_is_not_forgotten() -> None:
    ledger = Ledger({})
    ledger.post(COSTS, placed_of(0))
    ledger.forget_before("2026-12")
    ledger.post(COSTS, placed_of(1))
    assert _account(ledger).cost_usd == 2 * _CENT
    assert ledger.changed()[_key()] is _account(ledger)
