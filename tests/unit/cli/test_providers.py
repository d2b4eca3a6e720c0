from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from llm_worker.cli.app import FAILED, WRONG_USE, cli
from llm_worker.contracts.vocabulary import ProviderName
from tests.support.environment import forget_settings

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

KEY = "sk-very-secret"
_OPENAI = ("--provider", "openai")
_GOOGLE = ("--provider", "google")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch, tmp_path)


@pytest.fixture
def _two_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def run(*words: str) -> Result:
    shown = CliRunner(env={"COLUMNS": "40"}).invoke(cli, ["providers", *words])
    assert KEY not in shown.output
    return shown


def listed(*words: str) -> dict[str, Any]:
    shown = run("list", "--json", *words)
    assert shown.exit_code == 0, shown.output
    document: dict[str, Any] = json.loads(shown.stdout)
    document["providers"] = {each["name"]: each for each in document["providers"]}
    return document


def state_of(provider: str) -> dict[str, Any]:
    state: dict[str, Any] = listed("--provider", provider)["providers"][provider]
    return state


def models(*words: str) -> dict[str, dict[str, Any]]:
    shown = run("list", "--models", "--json", *words)
    assert shown.exit_code == 0, shown.output
    return {each["model"]: each for each in json.loads(shown.stdout)}


@pytest.mark.usefixtures("_two_keys")
def test_list_says_who_is_asked_in_which_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__OPENAI__PRIORITY", "1")
    monkeypatch.setenv("LLM_WORKER_ROUTING__STRATEGY", "round_robin")

    document = listed()

    assert document["strategy"] == "round_robin"
    assert document["default_route"] == ["openai", "anthropic"]
    places = {name: each["places"] for name, each in document["providers"].items()}
    assert places["openai"] == [1]
    assert places["anthropic"] == [2]
    assert places["google"] == []


@pytest.mark.usefixtures("_two_keys")
def test_provider_that_stands_in_the_route_twice_has_two_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_WORKER_ROUTING__FALLBACK", "openai/gpt-6-sol,openai")

    shown = run("list", *_OPENAI)

    assert "priority: anthropic, then openai/gpt-6-sol, then openai" in shown.stdout
    assert state_of("openai")["places"] == [2, 3]


@pytest.mark.usefixtures("_two_keys")
def test_rules_that_come_before_the_default_route_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_WORKER_ROUTING__RULES", '[{"targets": "openai", "lane": "bulk"}]')

    assert "after the 1 of LLM_WORKER_ROUTING__RULES" in run("list", *_OPENAI).stdout
    assert listed(*_OPENAI)["rules"] == 1


@pytest.mark.usefixtures("_two_keys")
def test_list_gives_the_limits_that_a_worker_would_keep_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_WORKER_MAX_IN_FLIGHT", "100")
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__OPENAI__REQUESTS_PER_MINUTE", "600")
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__OPENAI__TIMEOUT_S", "12.5")
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__OPENAI__WEIGHT", "3")

    openai = state_of("openai")

    assert openai["max_in_flight"] == 75
    assert (openai["requests_per_minute"], openai["tokens_per_minute"]) == (600, None)
    assert (openai["timeout_s"], openai["weight"], openai["priority"]) == (12.5, 3, 100)
    [row] = [line for line in run("list", *_OPENAI).stdout.splitlines() if "12.5 s" in line]
    assert row.split() == ["openai", "75", "600", "-", "12.5", "s", "100", "3"]


@pytest.mark.usefixtures("_two_keys")
def test_price_of_the_default_model_is_decimal_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__OPENAI__DEFAULT_MODEL", "gpt-6-sol")

    openai = state_of("openai")

    assert openai["default_model"] == "gpt-6-sol"
    assert (openai["input_usd_per_mtok"], openai["output_usd_per_mtok"]) == ("2", "10")


def test_default_model_without_a_price_is_unknown_and_never_0(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__OPENAI__DEFAULT_MODEL", "gpt-99-nova")
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__OPENAI__MODELS", "gpt-99-nova")

    assert state_of("openai")["input_usd_per_mtok"] is None
    [row] = [line for line in run("list", *_OPENAI).stdout.splitlines() if "gpt-99-nova" in line]
    assert row.split() == ["openai", "gpt-99-nova", "unknown", "unknown", "ready", "1"]


@pytest.mark.usefixtures("_two_keys")
def test_provider_that_is_not_usable_says_what_to_set() -> None:
    google, hosted = state_of("google"), state_of("self_hosted")
    assert (google["enabled"], google["configured"]) == (False, False)
    assert google["remedy"] == "set LLM_WORKER_PROVIDERS__GOOGLE__API_KEY"
    assert "SELF_HOSTED__BASE_URL and LLM_WORKER" in hosted["remedy"]
    assert (hosted["default_model"], hosted["input_usd_per_mtok"]) == (None, None)
    assert state_of("openai")["remedy"] is None
    shown = run("list", *_GOOGLE).stdout
    assert "to use google: set LLM_WORKER_PROVIDERS__GOOGLE__API_KEY\n" in shown


@pytest.mark.usefixtures("_two_keys")
def test_enabled_provider_without_key_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__GOOGLE__ENABLED", "true")

    google = state_of("google")

    assert (google["enabled"], google["configured"]) == (True, False)
    assert "  left out " in run("list", *_GOOGLE).stdout


@pytest.mark.usefixtures("_two_keys")
def test_provider_that_is_switched_off_is_not_told_to_get_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__OPENAI__ENABLED", "false")

    openai = state_of("openai")

    assert openai["remedy"] == "set LLM_WORKER_PROVIDERS__OPENAI__ENABLED=true"


@pytest.mark.usefixtures("_two_keys")
def test_mock_that_stands_in_for_all_is_why_they_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_WORKER_USE_MOCK_LLM", "true")

    document = listed(*_OPENAI)

    assert document["default_route"] == ["mock"]
    assert document["providers"]["openai"]["remedy"] == "unset LLM_WORKER_USE_MOCK_LLM"


def test_list_without_any_provider_works_and_tells_the_fault_on_stderr() -> None:
    shown = run("list", *_OPENAI)

    assert shown.exit_code == 0
    assert "fault no provider is enabled: set one's key" in shown.stderr
    assert "none while there are faults" in shown.stdout
    assert listed(*_OPENAI)["default_route"] is None


@pytest.mark.usefixtures("_two_keys")
def test_all_faults_are_told_and_the_rest_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_WORKER_ROUTING__FALLBACK", "acme")
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__OPENAI__MAX_IN_FLIGHT", "-1")

    shown = run("list", "--json")

    assert shown.exit_code == 0
    assert "acme names no provider" in shown.stderr
    assert "LLM_WORKER_PROVIDERS__OPENAI__MAX_IN_FLIGHT" in shown.stderr
    states = {each["name"]: each for each in json.loads(shown.stdout)["providers"]}
    assert states.keys() == {name.value for name in ProviderName}
    assert states["openai"]["max_in_flight"] == 375


def test_settings_that_cannot_be_read_are_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_WORKER_CONFIG", "gone.toml")

    shown = run("list")

    assert (shown.exit_code, shown.stdout) == (WRONG_USE, "")
    assert "gone.toml is no file" in shown.stderr


def test_unknown_setting_is_told_beside_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__OPENAI__MAX_IN_FLIHGT", "1")

    shown = run("list")

    assert shown.exit_code == 0
    assert "MAX_IN_FLIGHT?" in shown.stderr


def test_one_provider_can_be_asked_for() -> None:
    assert listed(*_GOOGLE)["providers"].keys() == {"google"}
    assert all(each["provider"] == "google" for each in models(*_GOOGLE).values())


def test_models_say_price_default_and_deprecation() -> None:
    known = models("--provider", "anthropic")

    haiku = known["claude-haiku-5-5"]
    assert haiku == {
        "provider": "anthropic",
        "model": "claude-haiku-5-5",
        "input_usd_per_mtok": haiku["input_usd_per_mtok"],
        "output_usd_per_mtok": haiku["output_usd_per_mtok"],
        "cache_read_usd_per_mtok": haiku["cache_read_usd_per_mtok"],
        "cache_write_usd_per_mtok": haiku["cache_write_usd_per_mtok"],
        "default": True,
        "deprecated": False,
    }
    assert all(Decimal(price) > 0 for name, price in haiku.items() if name.endswith("_mtok"))
    assert [model for model, each in known.items() if each["default"]] == ["claude-haiku-5-5"]


def test_deprecated_model_is_marked() -> None:
    deprecated = {model for model, each in models(*_GOOGLE).items() if each["deprecated"]}
    rows = run("list", "--models", *_GOOGLE).stdout.splitlines()

    assert deprecated
    assert {row.split()[1] for row in rows if row.rstrip().endswith("deprecated")} == deprecated


def test_model_without_a_price_is_unknown_in_words_and_null_for_a_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__ANTHROPIC__MODELS", "claude-99")

    model = models("--provider", "anthropic")["claude-99"]
    assert {price for name, price in model.items() if name.endswith("_mtok")} == {None}
    shown = run("list", "--models", "--provider", "anthropic").stdout
    [row] = [line for line in shown.splitlines() if "claude-99" in line]
    assert row.split() == ["anthropic", "claude-99", *["unknown"] * 4]


def test_cache_without_a_price_of_its_own_is_priced_as_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__MOCK__INPUT_USD_PER_MTOK", "0.25")

    [row] = run("list", "--models", "--provider", "mock").stdout.splitlines()[1:]

    assert row.split() == ["mock", "mock-judge-1", "0.25", "0", *["as", "input"] * 2, "default"]


def test_table_of_many_models_is_complete_with_a_line_each_where_nobody_looks() -> None:
    _, *rows = run("list", "--models", "--provider", "openrouter").stdout.splitlines()

    names = [row.split()[1] for row in rows]
    assert names == list(models("--provider", "openrouter"))
    assert len(names) > 900
    assert max(map(len, names)) > 40


def test_provider_that_is_not_configured_is_not_tested() -> None:
    shown = run("test", "openai")

    assert (shown.exit_code, shown.stdout) == (WRONG_USE, "")
    assert "openai is not configured: set LLM_WORKER_PROVIDERS__OPENAI__API_KEY" in shown.stderr


def test_help_of_the_test_says_that_it_spends_money() -> None:
    assert "It spends money: a fraction of a cent" in " ".join(run("test", "--help").stdout.split())


def test_trial_says_what_came_back_and_what_it_cost() -> None:
    shown = run("test", "mock", "--model", "judge-2")

    assert (shown.exit_code, shown.stderr) == (0, "")
    facts = dict(line.split("  ", 1) for line in shown.stdout.splitlines())
    assert facts["verdict"].strip().startswith("Essay ")
    assert facts["judged by"].strip() == "mock, judge-2"
    assert facts["cost"].strip() == "USD 0"


def test_trial_without_a_verdict_is_one_line_with_its_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__MOCK__ERROR_RATE", "0")
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__MOCK__MALFORMED_RATE", "1")

    shown = run("test", "mock")

    assert (shown.exit_code, shown.stdout) == (FAILED, "")
    assert shown.stderr.startswith("INVALID_RESPONSE: the mock answered with no verdict")
    assert shown.stderr.endswith("(cost USD 0)\n")
