"""The settings of budgets and of the accountant."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from llm_worker.domain.budgets import WhenOver
from llm_worker.settings import (
    AllowanceSettings,
    BudgetSettings,
    SettingsError,
    load_settings,
)

if TYPE_CHECKING:
    from pathlib import Path

_SECRET = "sk-hunter2"  # noqa: S105 - of nothing


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def budget(**given: str) -> BudgetSettings:
    return load_settings({f"LLM_WORKER_BUDGET__{n.upper()}": v for n, v in given.items()}).budget


def fault(**given: str) -> str:
    with pytest.raises(SettingsError) as caught:
        budget(**given)
    assert _SECRET not in str(caught.value)
    return str(caught.value)


def test_nothing_given_limits_nothing_and_tells_the_usual_shares() -> None:
    assert budget() == BudgetSettings(
        daily_usd=None,
        monthly_usd=None,
        alert_shares=(Decimal("0.5"), Decimal("0.8"), Decimal(1)),
        hard=False,
        organizations={},
        providers={},
        when_over=WhenOver.REFUSE,
        spike_factor=Decimal(3),
    )


def test_everything_can_be_given_as_text() -> None:
    given = budget(
        daily_usd="12.50",
        monthly_usd=" 300 ",
        alert_shares="0.9, 1.5",
        hard="true",
        organizations='{"school-1": {"daily_usd": "0.10", "hard": true}, "*": {"monthly_usd": 7}}',
        providers='{"openai": {"alert_shares": "0.7"}, "*": {}}',
        when_over="NEXT_TARGET",
        spike_factor="2.5",
    )

    assert (given.daily_usd, given.monthly_usd) == (Decimal("12.50"), Decimal(300))
    assert given.alert_shares == (Decimal("0.9"), Decimal("1.5"))
    assert given.hard is True
    assert given.organizations == {
        "school-1": AllowanceSettings(daily_usd=Decimal("0.10"), hard=True),
        "*": AllowanceSettings(monthly_usd=Decimal(7)),
    }
    assert given.providers["openai"].alert_shares == (Decimal("0.7"),)
    assert given.when_over is WhenOver.NEXT_TARGET
    assert given.spike_factor == Decimal("2.5")


def test_what_is_empty_is_none() -> None:
    given = budget(daily_usd="", monthly_usd="", alert_shares="", organizations="", providers="")

    assert (given.daily_usd, given.monthly_usd, given.alert_shares) == (None, None, ())
    assert (given.organizations, given.providers) == ({}, {})


def test_limit_of_0_and_no_spikes_are_allowed() -> None:
    given = budget(daily_usd="0", spike_factor="0")

    assert (given.daily_usd, given.spike_factor) == (Decimal(0), Decimal(0))


def test_toml_has_numbers_lists_and_tables(directory: Path) -> None:
    (directory / "llm-worker.toml").write_text(
        "[budget]\ndaily_usd = 25\nmonthly_usd = 99.9\nalert_shares = [0.5, 1]\n"
        '[budget.organizations."*"]\ndaily_usd = "0.10"\n'
        "[budget.organizations.school-1]\nhard = true\nalert_shares = [0.9]\n"
        "[budget.providers.google]\nmonthly_usd = 5\n"
    )

    given = budget()

    assert (given.daily_usd, given.monthly_usd) == (Decimal(25), Decimal("99.9"))
    assert given.alert_shares == (Decimal("0.5"), Decimal(1))
    assert given.organizations == {
        "*": AllowanceSettings(daily_usd=Decimal("0.10")),
        "school-1": AllowanceSettings(hard=True, alert_shares=(Decimal("0.9"),)),
    }
    assert given.providers == {"google": AllowanceSettings(monthly_usd=Decimal(5))}


def test_environment_replaces_a_table_of_the_toml_file(directory: Path) -> None:
    (directory / "llm-worker.toml").write_text("[budget.organizations.a]\ndaily_usd = 1\n")

    assert budget(organizations='{"b": {}}').organizations == {"b": AllowanceSettings()}


def test_fault_in_a_table_of_the_toml_file_names_where_it_is(directory: Path) -> None:
    (directory / "llm-worker.toml").write_text("[budget.organizations.a]\ndayly_usd = 1\n")

    assert fault().startswith("LLM_WORKER_BUDGET__ORGANIZATIONS, a, dayly_usd: Extra inputs")


@pytest.mark.parametrize("number", ["-1", "1e3", "1_000", "5 USD", "nan", "inf", "1,5", _SECRET])
@pytest.mark.parametrize("name", ["daily_usd", "monthly_usd", "spike_factor"])
def test_money_is_plain_decimal_text(name: str, number: str) -> None:
    said = fault(**{name: number})

    assert said.startswith(f"LLM_WORKER_BUDGET__{name.upper()}: is no plain decimal: write it like")
    assert "Runtime:" not in said


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("daily_usd", "1000000000.01", "less than or equal to 1000000000"),
        ("alert_shares", "0.5,0", "greater than 0"),
        ("alert_shares", "10.1", "less than or equal to 10"),
        ("alert_shares", _SECRET, "is no plain decimal"),
        ("spike_factor", "1", "must be above 1, or 0"),
        ("spike_factor", "0.5", "must be above 1, or 0"),
        ("hard", _SECRET, "valid boolean"),
        ("when_over", _SECRET, "'refuse' or 'next_target'"),
        ("organizations", _SECRET, "is no JSON"),
        ("organizations", "[1]", "valid dictionary"),
        ("organizations", '{"": {}}', "has an empty name"),
        ("providers", '{"acme": {}}', "'acme' is no provider: use one of anthropic, "),
    ],
)
def test_value_that_cannot_be_used_is_told_with_its_variable_and_what_it_means(
    name: str, value: str, words: str
) -> None:
    said = fault(**{name: value})

    assert said.startswith(f"LLM_WORKER_BUDGET__{name.upper()}: ")
    assert words in said
    assert "It means: " in said


@pytest.mark.parametrize("name", ["ORGANIZATIONS", "PROVIDERS"])
@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('"sk-hunter2"', ": Input should be a valid dictionary"),
        ('{"daily_usd": "sk-hunter2"}', ", daily_usd: is no plain decimal"),
        ('{"daily_usd": -1}', ", daily_usd: Input should be greater than or equal to 0"),
        ('{"daily_usd": true}', ", daily_usd: is true or false: give a number"),
        ('{"alert_shares": [11]}', ", alert_shares, 0: Input should be less than"),
    ],
)
def test_fault_of_an_entry_names_the_entry(name: str, entry: str, words: str) -> None:
    said = fault(**{name: f'{{"openai": {entry}}}'})

    assert said.startswith(f"LLM_WORKER_BUDGET__{name}, openai{words}")


def test_all_faults_are_told_at_once() -> None:
    said = fault(daily_usd="x", organizations='{"a": {"hard": "x"}}', providers='{"acme": {}}')

    assert len(said.splitlines()) == 3


def test_accountant_has_defaults_and_a_port_of_its_own() -> None:
    settings = load_settings({})
    accountant = settings.accountant

    assert (accountant.window_s, accountant.horizon_s) == (60, 86_400)
    assert accountant.verify_interval_s == 86_400
    assert (settings.web.port, settings.web.accountant_port) == (8080, 8081)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACCOUNTANT__WINDOW_S", "0"),
        ("ACCOUNTANT__WINDOW_S", "3601"),
        ("ACCOUNTANT__HORIZON_S", "59"),
        ("ACCOUNTANT__VERIFY_INTERVAL_S", "-1"),
        ("WEB__ACCOUNTANT_PORT", "65536"),
    ],
)
def test_accountant_refuses_what_is_out_of_range(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"LLM_WORKER_{name}"):
        load_settings({f"LLM_WORKER_{name}": value})
