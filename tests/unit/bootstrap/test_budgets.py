from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from llm_worker.bootstrap import load_settings
from llm_worker.bootstrap.runtime.budgets import budgets_of
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.budgets import Allowance, Budgets, Limit, WhenOver
from llm_worker.domain.spend import Scope

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def budgets(**given: str) -> Budgets:
    names = {f"LLM_WORKER_BUDGET__{name.upper()}": value for name, value in given.items()}
    return budgets_of(load_settings(names).budget)


def test_without_settings_nothing_is_limited() -> None:
    assert budgets().limits(Scope(), "2026-11-23") == ()


def test_overall_limits_are_taken_over() -> None:
    given = budgets(
        daily_usd="5", monthly_usd="50", hard="true", when_over="next_target", spike_factor="2"
    )

    usual = (Decimal("0.5"), Decimal("0.8"), Decimal("1.0"))
    assert given.overall == Allowance(
        daily_usd=Decimal(5), monthly_usd=Decimal(50), is_hard=True, alert_shares=usual
    )
    assert (given.when_over, given.spike_factor) == (WhenOver.NEXT_TARGET, Decimal(2))


def test_entry_has_the_overall_hardness_and_shares_unless_it_has_its_own() -> None:
    given = budgets(
        hard="true",
        alert_shares="0.5",
        organizations='{"a": {"daily_usd": 1}, "*": {"hard": false, "alert_shares": ""}}',
    )

    assert given.organizations == {
        "a": Allowance(daily_usd=Decimal(1), is_hard=True, alert_shares=(Decimal("0.5"),)),
        "*": Allowance(is_hard=False, alert_shares=()),
    }


def test_provider_is_found_by_its_name_and_others_by_the_star() -> None:
    given = budgets(providers='{"openai": {"daily_usd": 1}, "*": {"daily_usd": 2}}')

    def daily(name: ProviderName) -> Decimal:
        limits: tuple[Limit, ...] = given.limits(Scope(provider=name), "2026-11-23")
        [limit] = limits
        return limit.limit_usd

    assert daily(ProviderName.OPENAI) == 1
    assert daily(ProviderName.GOOGLE) == 2
