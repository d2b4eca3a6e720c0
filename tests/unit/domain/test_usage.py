from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.ledger import Account, Ledger, total_of
from llm_worker.domain.spend import EVERYTHING, Entry, Scope
from llm_worker.domain.spend_view import SpendView
from llm_worker.domain.usage import Dimension, in_numbers, usage_by, usage_report
from tests.support.spend import CELL, COSTS, DAY, REQUESTS, entry_of, placed_of, uid

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPENAI, _GOOGLE = ProviderName.OPENAI, ProviderName.GOOGLE
_entries = st.lists(
    st.builds(
        entry_of,
        st.integers(0, 10**9).map(uid),
        cell=st.builds(
            Scope,
            st.sampled_from(["", "school", "college"]),
            st.sampled_from([_OPENAI, _GOOGLE]),
            st.sampled_from(["a", "b"]),
            st.sampled_from(["normal", "bulk"]),
        ),
        day=st.sampled_from([DAY, "2026-11-22"]),
        cost_usd=st.decimals(0, 10, places=9),
        savings_usd=st.decimals(0, 10, places=3),
        unknown_costs=st.integers(0, 1),
        cache_hits=st.integers(0, 1),
        requests=st.integers(0, 1),
        failures=st.integers(0, 1),
        tokens=st.dictionaries(st.sampled_from(["total_tokens", "x"]), st.integers(0, 99)),
    ),
    max_size=20,
)


def _view(entries: Sequence[Entry]) -> SpendView:
    ledger, view = Ledger({}), SpendView()
    for offset, entry in enumerate(entries):
        ledger.post(REQUESTS if offset % 3 else COSTS, placed_of(offset, entry))
    for key, account in ledger:
        view.put(key, account)
    return view


def _spent(usd: str, **cell: object) -> Entry:
    return entry_of(cell=CELL._replace(**cell), cost_usd=Decimal(usd))  # type: ignore[arg-type]


@settings(deadline=None)
@given(_entries, st.lists(st.sampled_from(Dimension), unique=True))
def test_groups_add_up_to_the_total_whatever_they_are_grouped_by(
    entries: list[Entry], by: list[Dimension]
) -> None:
    view = _view(entries)
    for period in (DAY, "2026-11-22", "2026-11"):
        lines = usage_by(view, period, by)
        assert in_numbers(total_of(line.total for line in lines)) == in_numbers(
            view.total(EVERYTHING, period)
        )
        assert len({line.names for line in lines}) == len(lines)
        assert all(len(line.names) == len(by) for line in lines)


def test_most_expensive_group_comes_first_and_equal_ones_by_name() -> None:
    entries = [_spent("1", model="c"), _spent("1", model="b"), _spent("2", model="z")]
    lines = usage_by(_view(entries), DAY, [Dimension.MODEL])
    assert [line.names for line in lines] == [("z",), ("b",), ("c",)]


def test_names_come_in_the_order_that_was_asked_for() -> None:
    entries = [_spent("1", organization=""), _spent("2", provider=_GOOGLE, lane="bulk")]
    lines = usage_by(
        _view(entries), DAY, [Dimension.LANE, Dimension.ORGANIZATION, Dimension.PROVIDER]
    )
    assert [line.names for line in lines] == [
        ("bulk", "school", "google"),
        ("normal", "", "openai"),
    ]


def test_without_a_dimension_there_is_one_group_of_all() -> None:
    [line] = usage_by(_view([_spent("1"), _spent("2", model="b")]), DAY, [])
    assert (line.names, line.total.cost_usd) == ((), Decimal(3))


def test_money_is_decimal_text_with_every_digit() -> None:
    account = Account(cost_usd=Decimal("1E-7") + Decimal(100), savings_usd=Decimal("1E+3"))
    assert in_numbers(account)["cost_usd"] == "100.0000001"
    assert in_numbers(account)["savings_usd"] == "1000"
    assert in_numbers(Account(cost_usd=Decimal("1E-12")))["cost_usd"] == "0.000000000001"
    assert in_numbers(Account())["cost_usd"] == "0"


def test_total_is_written_down_under_its_names() -> None:
    account = Account(requests=5, failures=1, cache_hits=2, tokens={"total_tokens": 9})
    account = replace(account, unknown_costs=3, cost_usd=Decimal("0.5"), savings_usd=Decimal(1))
    assert in_numbers(account) == {
        "requests": 5,
        "failures": 1,
        "cache_hits": 2,
        "tokens": {"total_tokens": 9},
        "cost_usd": "0.5",
        "unknown_costs": 3,
        "savings_usd": "1",
    }


def test_report_tells_today_and_this_month_in_utc() -> None:
    entries = [entry_of(day="2026-12-31"), entry_of(day="2027-01-01", cost_usd=Decimal("0.5"))]
    view = _view(entries)
    last_second = usage_report(view, datetime(2026, 12, 31, 23, 59, 59, 999_999, UTC))
    first_second = usage_report(view, datetime(2027, 1, 1, tzinfo=UTC))
    for report, today, usd in (
        (last_second, "2026-12-31", "0.01"),
        (first_second, "2027-01-01", "0.5"),
    ):
        assert (report["today"]["period"], report["month"]["period"]) == (today, today[:7])
        assert report["today"]["total"]["cost_usd"] == usd
        assert report["month"]["total"]["cost_usd"] == usd


def test_report_breaks_spend_down_by_every_dimension() -> None:
    today = usage_report(_view([_spent("1")]), datetime(2026, 11, 23, tzinfo=UTC))["today"]
    assert {name: list(groups) for name, groups in today.items() if name.startswith("by_")} == {
        "by_provider": ["openai"],
        "by_model": ["gpt-5"],
        "by_organization": ["school"],
        "by_lane": ["normal"],
    }
    assert today["by_model"]["gpt-5"] == today["total"]
