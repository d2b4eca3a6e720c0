"""The settings that can be changed at run time: which they are, and what is a value for them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.budgets import WhenOver
from llm_worker.domain.strategies import Strategy
from llm_worker.settings import (
    AllowanceSettings,
    SettingsError,
    as_json,
    load_settings,
    overlaid,
    parsed,
    require_runtime,
    runtime_variables,
    value_of,
)

if TYPE_CHECKING:
    from pathlib import Path

_SECRET = "sk-hunter2"  # noqa: S105 - of nothing
_ORGANIZATIONS = '{"a": {"daily_usd": 5, "alert_shares": "0.9"}}'
_ALLOWANCE = AllowanceSettings(daily_usd=Decimal(5), alert_shares=(Decimal("0.9"),))

VALUES: dict[str, tuple[str, Any, Any]] = {
    **{f"providers.{name}.enabled": ("yes", True, True) for name in ProviderName},
    "routing.strategy": ("Round_Robin", Strategy.ROUND_ROBIN, "round_robin"),
    "retry.attempts": ("7", 7, 7),
    "retry.backoff_s": ("1.5", 1.5, 1.5),
    "retry.backoff_max_s": ("30", 30.0, 30.0),
    "breaker.failure_threshold": ("3", 3, 3),
    "breaker.recovery_timeout_s": ("10", 10.0, 10.0),
    "budget.daily_usd": ("0.0000001", Decimal("0.0000001"), "0.0000001"),
    "budget.monthly_usd": ("", None, None),
    "budget.alert_shares": ("0.5,1", (Decimal("0.5"), Decimal(1)), ["0.5", "1"]),
    "budget.hard": ("true", True, True),
    "budget.organizations": (
        _ORGANIZATIONS,
        {"a": _ALLOWANCE},
        {"a": {"daily_usd": "5", "alert_shares": ["0.9"]}},
    ),
    "budget.providers": ("", {}, {}),
    "budget.when_over": ("next_target", WhenOver.NEXT_TARGET, "next_target"),
    "budget.spike_factor": ("2.5", Decimal("2.5"), "2.5"),
    "max_in_flight": ("20", 20, 20),
    "log.level": ("debug", "DEBUG", "DEBUG"),
}
"""By name: as the environment has it, as the worker does, as JSON does."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_these_settings_and_no_others_can_be_changed() -> None:
    assert set(runtime_variables()) == VALUES.keys()


@pytest.mark.parametrize("name", VALUES)
def test_value_is_read_as_the_environments_is(name: str) -> None:
    text, value, _ = VALUES[name]
    variable = runtime_variables()[name].name

    assert parsed(name, text) == value
    assert value_of(load_settings({variable: text}), name) == value


@pytest.mark.parametrize("name", VALUES)
def test_value_goes_through_json_and_comes_back_as_it_was(name: str) -> None:
    _, value, document = VALUES[name]

    assert as_json(name, value) == document
    assert parsed(name, json.loads(json.dumps(document))) == value


@pytest.mark.parametrize("name", VALUES)
def test_value_is_laid_over_its_own_setting_alone(name: str) -> None:
    own = load_settings({"OPENAI_API_KEY": _SECRET, "LLM_WORKER_BUDGET__DAILY_USD": "5"})
    _, value, _ = VALUES[name]

    changed = overlaid(own, {name: value})

    assert value_of(changed, name) == value
    assert overlaid(changed, {name: value_of(own, name)}) == own
    assert changed.providers.openai.api_key == own.providers.openai.api_key


@pytest.mark.parametrize("name", VALUES)
def test_default_of_every_setting_is_a_value_for_it(name: str) -> None:
    default = value_of(load_settings({}), name)

    assert parsed(name, as_json(name, default)) == default


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("providers.openai.enabled", "perhaps", "valid boolean"),
        ("routing.strategy", "cheapest", "'priority', 'round_robin'"),
        ("retry.attempts", "0", "greater than or equal to 1"),
        ("retry.attempts", 21, "less than or equal to 20"),
        ("retry.attempts", True, "is true or false: give a number"),
        ("retry.backoff_s", 0, "greater than 0"),
        ("retry.backoff_s", True, "is true or false: give a number"),
        ("retry.backoff_max_s", "inf", "finite"),
        ("breaker.failure_threshold", "1.5", "valid integer"),
        ("breaker.recovery_timeout_s", None, "valid number"),
        ("budget.hard", _SECRET, "valid boolean"),
        ("budget.daily_usd", _SECRET, "is no plain decimal"),
        ("max_in_flight", 1, "greater than or equal to 2"),
        ("log.level", "loud", "'DEBUG', 'INFO'"),
    ],
)
def test_what_is_no_value_is_refused_with_the_setting_and_its_meaning(
    name: str, value: object, words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        parsed(name, value)

    said = str(caught.value)
    assert said.startswith(f"LLM_WORKER_{name.replace('.', '__').upper()}: ")
    assert words in said
    assert f"It means: {runtime_variables()[name].meaning}" in said
    assert _SECRET not in said


def test_fault_inside_a_value_names_its_place() -> None:
    with pytest.raises(SettingsError, match=r"^LLM_WORKER_BUDGET__ORGANIZATIONS, a, hard: "):
        parsed("budget.organizations", {"a": {"hard": "x"}})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("budget.daily", r"budget\.daily is no runtime setting: did you mean budget\.daily_usd\?"),
        ("LLM_WORKER_BUDGET__HARD", r"did you mean budget\.hard\?"),
        ("providers.acme.enabled", r"did you mean providers\.\w+\.enabled\?"),
        ("", "is no runtime setting"),
        (
            "kafka.bootstrap_servers",
            r"cannot be changed at run time: set LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS \(or KAFKA_",
        ),
    ],
)
def test_what_cannot_be_changed_is_refused_with_what_to_do(name: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        require_runtime(name)
