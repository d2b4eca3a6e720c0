from __future__ import annotations

from decimal import Decimal

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.budgets import EVERY_OTHER, Allowance, Budgets, Limit
from llm_worker.domain.spend import EVERYTHING, Scope
from tests.support.spend import CELL, DAY

_SHARES = (Decimal("0.5"), Decimal(1))


def _of(limits: tuple[Limit, ...]) -> list[tuple[str, Decimal]]:
    return [(limit.period, limit.limit_usd) for limit in limits]


def test_scope_has_a_limit_for_the_day_and_one_for_its_month() -> None:
    allowance = Allowance(
        daily_usd=Decimal(1), monthly_usd=Decimal(20), is_hard=True, alert_shares=_SHARES
    )
    day, month = Budgets(overall=allowance).limits(EVERYTHING, DAY)
    assert day == Limit(
        scope=EVERYTHING, period=DAY, limit_usd=Decimal(1), is_hard=True, alert_shares=_SHARES
    )
    assert (month.period, month.limit_usd) == ("2026-11", Decimal(20))


def test_limit_of_zero_is_a_limit_and_none_is_not() -> None:
    budgets = Budgets(overall=Allowance(daily_usd=Decimal(0)))
    assert _of(budgets.limits(EVERYTHING, DAY)) == [(DAY, Decimal(0))]


def test_nothing_is_limited_at_first() -> None:
    scopes = (EVERYTHING, Scope(organization="school"), Scope(provider=ProviderName.OPENAI))
    assert [Budgets().limits(scope, DAY) for scope in scopes] == [(), (), ()]


def test_each_organisation_and_provider_has_its_own_allowance_and_every_other_the_stars() -> None:
    budgets = Budgets(
        organizations={
            "school": Allowance(daily_usd=Decimal(1)),
            EVERY_OTHER: Allowance(daily_usd=Decimal(2)),
        },
        providers={
            "openai": Allowance(daily_usd=Decimal(3)),
            EVERY_OTHER: Allowance(daily_usd=Decimal(4)),
        },
    )
    expected = {
        Scope(organization="school"): 1,
        Scope(organization="college"): 2,
        Scope(organization="openai"): 2,
        Scope(provider=ProviderName.OPENAI): 3,
        Scope(provider=ProviderName.MOCK): 4,
    }
    for scope, usd in expected.items():
        assert _of(budgets.limits(scope, DAY)) == [(DAY, Decimal(usd))]
    assert budgets.limits(EVERYTHING, DAY) == ()


def test_allowance_without_limits_frees_an_organisation_from_the_stars() -> None:
    budgets = Budgets(
        organizations={"school": Allowance(), EVERY_OTHER: Allowance(daily_usd=Decimal(2))}
    )
    assert budgets.limits(Scope(organization="school"), DAY) == ()


def test_call_must_fit_into_every_hard_limit_of_its_cell() -> None:
    budgets = Budgets(
        overall=Allowance(daily_usd=Decimal(9), is_hard=True),
        organizations={"school": Allowance(monthly_usd=Decimal(5), is_hard=True)},
        providers={EVERY_OTHER: Allowance(daily_usd=Decimal(3))},
    )
    found = [(limit.scope, limit.period) for limit in budgets.hard_limits(CELL, DAY)]
    assert found == [(EVERYTHING, DAY), (Scope(organization="school"), "2026-11")]


def test_hard_allowance_without_an_amount_refuses_nothing() -> None:
    budgets = Budgets(overall=Allowance(is_hard=True))
    assert list(budgets.hard_limits(CELL, DAY)) == []
