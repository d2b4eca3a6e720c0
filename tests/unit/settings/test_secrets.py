"""A secret that is planted in every setting that takes one comes out nowhere."""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner

from llm_worker import bootstrap
from llm_worker.bootstrap.cache.stores import redis_address
from llm_worker.bootstrap.providers.configured import build_provider, usable_providers
from llm_worker.cli.app import cli
from llm_worker.settings import SettingsError, differing, load_settings
from llm_worker.settings.names import variables
from tests.support.builders import NOW
from tests.support.environment import forget_settings
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from pathlib import Path

_PLANTED: Final = "Zwiebelfisch"
_SECRETS: Final = {
    name: variable
    for name, variable in variables().items()
    if "SecretStr" in str(variable.field.annotation)
}
_VALUES: Final = {"LLM_WORKER_CACHE__REDIS_URL": f"redis://user:{_PLANTED}@127.0.0.1:1/0"}


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch, tmp_path)


def _all_planted() -> dict[str, str]:
    return {name: _VALUES.get(name, f"{_PLANTED}-{number}") for number, name in enumerate(_SECRETS)}


def test_whatever_is_called_a_key_or_a_password_is_a_secret() -> None:
    named = {
        name
        for name in variables()
        if re.search(r"(API_KEY|PASSWORD|TOKEN|SECRET|REDIS_URL)$", name)
    }

    assert named == set(_SECRETS)
    assert all("Secret" in _SECRETS[name].meaning for name in named)


def test_settings_never_print_their_secrets() -> None:
    settings = load_settings(_all_planted())

    for printed in (
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        repr(settings.model_dump()),
        repr(differing(settings)),
        repr(vars(settings)),
    ):
        assert _PLANTED not in printed
        assert "**" in printed or "set" in printed


@pytest.mark.parametrize("name", _SECRETS)
@pytest.mark.parametrize("source", ["environment", "alias", "TOML", "two names"])
def test_secret_that_is_refused_is_not_repeated(name: str, source: str, tmp_path: Path) -> None:
    variable = _SECRETS[name]
    wrong = f"{_PLANTED}-é\u201d"
    environment = {"LLM_WORKER_DRAIN_S": "never", name: wrong}
    if source == "alias" and variable.aliases:
        environment = {"LLM_WORKER_DRAIN_S": "never", variable.aliases[0]: wrong}
    if source == "two names" and variable.aliases:
        environment |= {variable.aliases[0]: f"{_PLANTED}-other"}
    if source == "TOML":
        *groups, key = variable.key.split(".")
        header = f"[{'.'.join(groups)}]\n" if groups else ""
        (tmp_path / "llm-worker.toml").write_text(f'{header}{key} = ["{wrong}"]\n', "utf-8")
        environment.pop(name)

    with pytest.raises(SettingsError) as refused:
        load_settings(environment)

    assert _PLANTED not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    "words", [["providers", "list"], ["providers", "list", "--json"], ["topics", "list"]]
)
def test_commands_never_print_secrets(words: list[str]) -> None:
    shown = CliRunner().invoke(cli, words, env=_all_planted())

    assert shown.exit_code == 0, shown.output
    assert _PLANTED not in shown.output


def test_what_is_wired_of_secrets_never_prints_them() -> None:
    settings = load_settings(_all_planted())

    providers = [
        build_provider(settings, name, ManualClock(NOW)) for name in usable_providers(settings)
    ]

    assert len(providers) > 3
    for wired in (redis_address(settings), *providers, bootstrap.catalog(settings)):
        assert _PLANTED not in repr(wired)


@pytest.mark.parametrize("name", ["ANTHROPIC", "OPENAI", "OPENROUTER", "SELF_HOSTED"])
def test_login_in_an_address_beside_a_key_is_refused_without_telling_it(name: str) -> None:
    prefix = f"LLM_WORKER_PROVIDERS__{name}__"
    login = {f"{prefix}BASE_URL": f"https://somebody:{_PLANTED}@127.0.0.1/v1"}

    load_settings(login)
    with pytest.raises(SettingsError, match="BASE_URL has a login") as refused:
        load_settings(login | {f"{prefix}API_KEY": _PLANTED})
    assert name in str(refused.value)
    assert _PLANTED not in "".join(traceback.format_exception(refused.value))
