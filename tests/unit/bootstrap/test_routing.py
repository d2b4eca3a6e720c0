"""What the settings of providers and routing make of a worker, and which of them are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_worker.bootstrap.providers.configured import (
    build_provider,
    default_model,
    is_configured,
    is_enabled,
    limits_of,
    models_of,
    usable_providers,
)
from llm_worker.bootstrap.providers.routing import provider_warnings, routing_of
from llm_worker.bootstrap.worker.app import load_worker_settings
from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.routing import Place
from llm_worker.domain.strategies import Strategy
from llm_worker.settings import SettingsError, load_settings
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from pathlib import Path

_ANTHROPIC, _OPENAI, _GOOGLE = ProviderName.ANTHROPIC, ProviderName.OPENAI, ProviderName.GOOGLE
_MOCK, _SELF_HOSTED = ProviderName.MOCK, ProviderName.SELF_HOSTED
_KEYS = {"ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "o", "GEMINI_API_KEY": "g"}
_WITH_MOCK = {"LLM_WORKER_PROVIDERS__MOCK__ENABLED": "true"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _faults(**given: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_worker_settings(given)
    return str(caught.value)


def test_provider_with_a_key_is_usable_and_the_mock_only_when_it_is_asked_for() -> None:
    assert usable_providers(load_settings(_KEYS)) == (_ANTHROPIC, _OPENAI, _GOOGLE)
    assert _MOCK in usable_providers(load_settings(_KEYS | _WITH_MOCK))


def test_provider_can_be_switched_off_in_spite_of_its_key() -> None:
    settings = load_settings(_KEYS | {"LLM_WORKER_PROVIDERS__OPENAI__ENABLED": "false"})
    assert not is_enabled(settings, _OPENAI)
    assert is_configured(settings, _OPENAI)
    assert _OPENAI not in usable_providers(settings)


def test_stand_in_takes_the_place_of_everybody() -> None:
    settings = load_worker_settings(
        _KEYS | {"USE_MOCK_LLM": "true", "LLM_WORKER_ROUTING__FALLBACK": "openai"}
    )
    assert usable_providers(settings) == (_MOCK,)
    assert routing_of(settings).places == (Place(provider=_MOCK),)


def test_self_hosted_server_needs_its_address_and_its_model() -> None:
    prefix = "LLM_WORKER_PROVIDERS__SELF_HOSTED__"
    address = {f"{prefix}BASE_URL": "http://gpu:8000/v1"}
    assert usable_providers(load_settings(address)) == ()
    settings = load_settings(address | {f"{prefix}DEFAULT_MODEL": "m", f"{prefix}MODELS": "n,o"})
    assert usable_providers(settings) == (_SELF_HOSTED,)
    models = models_of(settings, _SELF_HOSTED, ManualClock())
    assert [models.knows(name) for name in ("m", "n", "o", "p")] == [True, True, True, False]


def test_default_route_goes_by_priority_and_never_to_the_mock_by_surprise() -> None:
    settings = load_worker_settings(
        _KEYS
        | _WITH_MOCK
        | {
            "LLM_WORKER_PROVIDERS__GOOGLE__PRIORITY": "1",
            "LLM_WORKER_PROVIDERS__MOCK__PRIORITY": "0",
        }
    )
    providers = [place.provider for place in routing_of(settings).places]
    assert providers == [_GOOGLE, _ANTHROPIC, _OPENAI]


def test_default_provider_comes_first_and_the_rest_follows() -> None:
    settings = load_worker_settings(_KEYS | {"LLM_WORKER_ROUTING__DEFAULT_PROVIDER": "openai"})
    providers = [place.provider for place in routing_of(settings).places]
    assert providers == [_OPENAI, _ANTHROPIC, _GOOGLE]


def test_fallback_is_as_it_is_named_and_may_be_nobody() -> None:
    first = {"LLM_WORKER_ROUTING__DEFAULT_PROVIDER": "openai"}
    named = _KEYS | first | {"LLM_WORKER_ROUTING__FALLBACK": "google/gemini-2.5-flash, openai"}
    assert routing_of(load_worker_settings(named)).places == (
        Place(provider=_OPENAI),
        Place(provider=_GOOGLE, model="gemini-2.5-flash"),
    )
    nobody = _KEYS | first | {"LLM_WORKER_ROUTING__FALLBACK": ""}
    assert routing_of(load_worker_settings(nobody)).places == (Place(provider=_OPENAI),)


def test_rules_are_read_from_json_and_from_toml(tmp_path: Path) -> None:
    (tmp_path / "llm-worker.toml").write_text(
        '[[routing.rules]]\ntargets = ["openai"]\nlane = "bulk"\nstrategy = "least_cost"\n'
        'organization = "school-*"\nmax_bytes = 9000\n'
    )
    [rule] = routing_of(load_worker_settings(_KEYS)).rules
    assert (rule.places, rule.lane) == ((Place(provider=_OPENAI),), Lane.BULK)
    assert (rule.strategy, rule.organization) == (Strategy.LEAST_COST, "school-*")
    assert (rule.min_bytes, rule.max_bytes) == (0, 9000)
    json = '[{"targets": "google", "model": "gemini-*"}]'
    [rule] = routing_of(load_worker_settings(_KEYS | {"LLM_WORKER_ROUTING__RULES": json})).rules
    assert (rule.places, rule.model) == ((Place(provider=_GOOGLE),), "gemini-*")


def test_one_among_many_may_not_take_every_call_and_an_only_one_may() -> None:
    calls = {"LLM_WORKER_MAX_IN_FLIGHT": "100"}
    assert limits_of(load_settings(_KEYS | calls), _OPENAI).max_in_flight == 75
    alone = load_settings({"OPENAI_API_KEY": "o"} | calls)
    assert limits_of(alone, _OPENAI).max_in_flight == 100
    own = load_settings(_KEYS | {"LLM_WORKER_PROVIDERS__OPENAI__MAX_IN_FLIGHT": "3"})
    assert limits_of(own, _OPENAI).max_in_flight == 3


def test_missing_key_is_a_warning_where_another_provider_can_be_asked() -> None:
    settings = load_worker_settings(
        {"OPENAI_API_KEY": "o", "LLM_WORKER_PROVIDERS__GOOGLE__ENABLED": "true"}
    )
    [words] = provider_warnings(settings)
    assert words == ("provider google is left out: set LLM_WORKER_PROVIDERS__GOOGLE__API_KEY")


def test_missing_key_of_the_only_provider_is_an_error() -> None:
    faults = _faults(LLM_WORKER_PROVIDERS__GOOGLE__ENABLED="true")
    assert "set LLM_WORKER_PROVIDERS__GOOGLE__API_KEY" in faults


def test_worker_without_any_provider_is_refused_and_told_what_to_set() -> None:
    faults = _faults()
    assert "no provider is enabled" in faults
    assert "ANTHROPIC_API_KEY" in faults
    assert "LLM_WORKER_USE_MOCK_LLM=true" in faults


def test_all_faults_are_told_at_once_each_with_its_setting_and_the_remedy() -> None:
    faults = _faults(
        OPENAI_API_KEY="hunter2",
        LLM_WORKER_PROVIDERS__OPENAI__MAX_IN_FLIGHT="-1",
        LLM_WORKER_PROVIDERS__OPENAI__REQUESTS_PER_MINUTE="0",
        LLM_WORKER_PROVIDERS__OPENAI__TIMEOUT_S="100",
        LLM_WORKER_PROVIDERS__OPENAI__DEFAULT_MODEL="gpt-6-lunna",
        LLM_WORKER_PROVIDERS__OPENAI__BASE_URL="not a url",
        LLM_WORKER_ROUTING__STRATEGY="cheapest",
        LLM_WORKER_ROUTING__FALLBACK="googel,anthropic,openai/gpt-5-lunna",
        LLM_WORKER_ROUTING__RULES='[{"targets": "azure"}, {"targets": "openai", "min_bytes": 9, '
        '"max_bytes": 8}]',
        LLM_WORKER_RETRY__BACKOFF_S="30",
    ).splitlines()
    expected = [
        ("LLM_WORKER_PROVIDERS__OPENAI__MAX_IN_FLIGHT", "greater than or equal to 1"),
        ("LLM_WORKER_PROVIDERS__OPENAI__REQUESTS_PER_MINUTE", "greater than or equal to 1"),
        ("LLM_WORKER_PROVIDERS__OPENAI__BASE_URL", "should match"),
        ("LLM_WORKER_ROUTING__STRATEGY", "'least_cost'"),
        ("LLM_WORKER_PROVIDERS__OPENAI__TIMEOUT_S", "must be less than LLM_WORKER_DRAIN_S"),
        ("LLM_WORKER_RETRY__BACKOFF_S", "lower the first"),
        ("LLM_WORKER_PROVIDERS__OPENAI__DEFAULT_MODEL", "nearest: gpt-6-luna"),
        ("LLM_WORKER_ROUTING__FALLBACK", "googel names no provider"),
        ("LLM_WORKER_ROUTING__FALLBACK", "set LLM_WORKER_PROVIDERS__ANTHROPIC__API_KEY"),
        ("LLM_WORKER_ROUTING__FALLBACK", "gpt-5-lunna is no model of openai"),
        ("LLM_WORKER_ROUTING__RULES, rule 1", "azure names no provider"),
        ("LLM_WORKER_ROUTING__RULES, rule 2", "max_bytes is less than min_bytes"),
    ]
    for setting, words in expected:
        assert [fault for fault in faults if fault.startswith(setting) and words in fault], setting
    assert len(faults) == len(expected)
    assert "hunter2" not in "".join(faults)


def test_rules_that_are_no_json_are_an_error() -> None:
    faults = _faults(OPENAI_API_KEY="o", LLM_WORKER_ROUTING__RULES="[{targets: openai}]")
    assert faults.startswith("LLM_WORKER_ROUTING__RULES: is no JSON")


def test_call_that_could_outlast_the_drain_is_an_error() -> None:
    faults = _faults(**_WITH_MOCK, LLM_WORKER_DRAIN_S="20")
    assert "MOCK__TIMEOUT_S must be less than LLM_WORKER_DRAIN_S" in faults


def test_new_model_can_be_made_known() -> None:
    settings = load_worker_settings(
        {
            "OPENAI_API_KEY": "o",
            "LLM_WORKER_PROVIDERS__OPENAI__DEFAULT_MODEL": "gpt-7",
            "LLM_WORKER_PROVIDERS__OPENAI__MODELS": "gpt-7",
        }
    )
    assert default_model(settings, _OPENAI) == "gpt-7"


@pytest.mark.parametrize("name", ProviderName)
def test_every_provider_can_be_built_and_no_key_is_shown(name: ProviderName) -> None:
    prefix = f"LLM_WORKER_PROVIDERS__{name.upper()}__"
    given = {f"{prefix}API_KEY": "hunter2"} if name is not _MOCK else {}
    if name is _SELF_HOSTED:
        given |= {f"{prefix}BASE_URL": "http://gpu:8000/v1", f"{prefix}DEFAULT_MODEL": "m"}
    provider = build_provider(load_settings(given), name, ManualClock())
    assert provider.name is name
    assert provider.models.knows(provider.default_model)
    assert "hunter2" not in repr(provider)


def test_key_from_a_file_may_end_with_a_line_break() -> None:
    key = load_settings({"OPENAI_API_KEY": "sk-1\n"}).providers.openai.api_key
    assert key is not None
    assert key.get_secret_value() == "sk-1"
    assert load_settings({"OPENAI_API_KEY": " \n"}).providers.openai.api_key is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ANTHROPIC_API_KEY", "\u201chunter2\u201d"),
        ("OPENAI_API_KEY", "hun\nter2"),
        ("LLM_WORKER_PROVIDERS__OPENROUTER__TITLE", "Bedömning"),
    ],
)
def test_text_that_no_header_carries_is_refused_at_start(name: str, value: str) -> None:
    faults = _faults(**{"GOOGLE_API_KEY": "g", name: value})
    assert "no HTTP header carries" in faults
    assert name in faults
    assert "hunter2" not in faults


def test_fault_in_a_rule_names_the_rule_and_its_field() -> None:
    rules = '[{"targets": "openai"}, {"targets": "openai", "strategy": "x"}, {"lane": "bulk"}]'
    faults = _faults(OPENAI_API_KEY="o", LLM_WORKER_ROUTING__RULES=rules).splitlines()
    assert faults[0].startswith("LLM_WORKER_ROUTING__RULES, rule 2, strategy: ")
    assert faults[1].startswith("LLM_WORKER_ROUTING__RULES, rule 3, targets: ")
