"""`providers test`, and what `doctor` says of providers, against servers that speak their APIs."""

from __future__ import annotations

import json
import urllib.request
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from llm_worker.cli.app import FAILED, cli
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.dev.fake_providers import AuthFailed, Overloaded, Reset, Verdict
from llm_worker.dev.fake_providers.process import FakeProviders
from llm_worker.settings.names import variables
from tests.support.environment import forget_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result
    from pydantic import BaseModel

REMOTE = [name for name in ProviderName if name is not ProviderName.MOCK]
PRICED = [name for name in REMOTE if name is not ProviderName.SELF_HOSTED]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeProviders]:
    with FakeProviders(tmp_path_factory.mktemp("fakes")) as server:
        yield server


class Fakes:
    """The server's control address."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/_control"

    def change(self, name: str, **change: object) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self._url}/{name}".rstrip("/"), json.dumps(change).encode()
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            state: dict[str, Any] = json.load(answer)
            return state

    def always(self, name: str, behaviour: BaseModel) -> None:
        self.change(name, always=behaviour.model_dump(mode="json"))

    def calls(self, name: str) -> int:
        calls: int = self.change(name)["calls"]
        return calls


@pytest.fixture
def fakes(server: FakeProviders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    forget_settings(monkeypatch, tmp_path)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("LLM_WORKER_CACHE__REDIS_URL", "")
    fakes = Fakes(server.url)
    fakes.change("", reset=True)
    return fakes


def run(*words: str) -> Result:
    shown = CliRunner().invoke(cli, list(map(str, words)))
    assert "-key" not in shown.output.replace("bad-key", ""), "no key is ever shown"
    return shown


def findings() -> dict[str, tuple[str, str]]:
    """Give what the doctor says, by provider."""
    found = json.loads(run("doctor", "--json").stdout)
    return {
        each["words"].split()[0].rstrip(":"): (each["level"], each["words"])
        for each in found
        if each["check"] == "providers"
    }


@pytest.mark.parametrize("name", REMOTE)
def test_trial_buys_one_verdict_from_the_default_model(fakes: Fakes, name: ProviderName) -> None:
    told = Decimal("0.00012")  # OpenRouter tells what it charges; the others have list prices
    fakes.always(name, Verdict(prompt_tokens=150, completion_tokens=30, cost_usd=told))
    listed = json.loads(run("providers", "list", "--provider", name, "--json").stdout)
    [state] = listed["providers"]

    shown = run("providers", "test", name, "--json")

    assert shown.exit_code == 0, shown.output
    trial = json.loads(shown.stdout)
    assert (trial["success"], trial["provider"]) == (True, name)
    assert trial["model"] == state["default_model"]
    assert trial["token_usage"]["total_tokens"] == 180
    price_in, price_out = map(Decimal, (state["input_usd_per_mtok"], state["output_usd_per_mtok"]))
    by_list = (150 * price_in + 30 * price_out) / 1_000_000
    assert Decimal(trial["cost_usd"]) == (told if name is ProviderName.OPENROUTER else by_list)
    assert trial["provider_request_id"]
    assert trial["adjustments"] == []
    assert fakes.calls(name) == 1


def test_trial_says_it_in_words_with_the_providers_request_id(fakes: Fakes) -> None:
    shown = run("providers", "test", "anthropic", "--model", "claude-opus-5-5")

    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "judged by       anthropic, claude-opus-5-5\n" in shown.stdout
    assert "request id      req_" in shown.stdout
    assert "cost            USD 0." in shown.stdout
    assert fakes.calls("anthropic") == 1


@pytest.mark.parametrize("name", REMOTE)
def test_failed_trial_is_one_line_with_its_code(fakes: Fakes, name: ProviderName) -> None:
    fakes.always(name, AuthFailed())

    shown = run("providers", "test", name)

    assert (shown.exit_code, shown.stdout) == (FAILED, "")
    [line] = shown.stderr.splitlines()
    assert line.startswith(f"AUTHENTICATION_ERROR: {name} does not know the key: check ")


def test_failed_trial_tells_a_program_whether_it_may_have_been_billed(fakes: Fakes) -> None:
    fakes.always("openai", Reset())

    shown = run("providers", "test", "openai", "--json")

    trial = json.loads(shown.stdout)
    assert shown.exit_code == FAILED
    assert (trial["success"], trial["error_code"]) == (False, "CONNECTION_ERROR")
    assert (trial["is_billed"], trial["cost_usd"]) == (True, None)


def test_model_that_nobody_knows_is_tried_with_a_warning_that_names_the_nearest(
    fakes: Fakes,
) -> None:
    shown = run("providers", "test", "openai", "--model", "gpt-6-lunar")

    assert shown.exit_code == FAILED
    warning, error = shown.stderr.splitlines()
    assert "gpt-6-lunar is no model of openai that we know" in warning
    assert "Nearest: gpt-6-luna," in warning
    assert "LLM_WORKER_PROVIDERS__OPENAI__MODELS" in warning
    assert error.startswith("CONFIGURATION_ERROR: openai has no such model")
    assert fakes.calls("openai") == 1


@pytest.mark.usefixtures("fakes")
def test_doctor_finds_every_provider_well() -> None:
    found = findings()

    assert found.keys() == set(REMOTE)
    assert {level for level, _ in found.values()} == {"ok"}
    assert all(found[name][1] == f"{name}: answers, key accepted" for name in PRICED)


@pytest.mark.parametrize("name", PRICED)
def test_doctor_finds_a_wrong_key_without_spending(
    fakes: Fakes, monkeypatch: pytest.MonkeyPatch, name: ProviderName
) -> None:
    own = f"LLM_WORKER_PROVIDERS__{name.upper()}__API_KEY"
    for variable in (own, *variables()[own].aliases):
        monkeypatch.setenv(variable, "bad-key")

    found = findings()

    level, words = found[name]
    assert level == "fault"
    assert f"check {own}" in words
    assert [other for other, (level, _) in found.items() if level != "ok"] == [name]
    assert fakes.calls(name) == 0


@pytest.mark.parametrize("name", REMOTE)
def test_doctor_warns_of_a_provider_that_is_unwell_or_not_reached(
    fakes: Fakes, monkeypatch: pytest.MonkeyPatch, name: ProviderName
) -> None:
    fakes.always(name, Overloaded())
    level, words = findings()[name]
    assert (level, "overloaded" in words) == ("warning", True)

    monkeypatch.setenv(f"LLM_WORKER_PROVIDERS__{name.upper()}__BASE_URL", "http://127.0.0.1:1")
    level, words = findings()[name]
    assert (level, "takes no connection" in words) == ("warning", True)
