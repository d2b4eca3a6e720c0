from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from llm_worker.settings import differing, load_settings
from llm_worker.settings.names import variables

if TYPE_CHECKING:
    from pathlib import Path

_PLANTED = "Zwiebelkuchen"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_nothing_differs_where_nothing_is_set() -> None:
    assert differing(load_settings({})) == {}


def test_value_that_is_given_and_is_the_default_does_not_differ() -> None:
    assert differing(load_settings({"LLM_WORKER_DRAIN_S": "60"})) == {}


def test_what_differs_is_told_by_its_name_in_the_toml_file_as_json_has_it() -> None:
    settings = load_settings(
        {
            "LLM_WORKER_DRAIN_S": "90",
            "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS": "a:1,b:2",
            "LLM_WORKER_ROUTING__RULES": '[{"targets": ["openai"], "lane": "bulk"}]',
            "LLM_WORKER_BUDGET__DAILY_USD": "12.50",
            "LLM_WORKER_LOG__FORMAT": "json",
        }
    )
    assert differing(settings) == {
        "drain_s": 90,
        "kafka.bootstrap_servers": ["a:1", "b:2"],
        "routing.rules": [{"targets": ["openai"], "lane": "bulk", "min_bytes": 0}],
        "budget.daily_usd": "12.50",
        "log.format": "json",
    }


def test_no_secret_is_ever_told() -> None:
    secrets = {
        variable.name: _PLANTED
        for variable in variables().values()
        if "SecretStr" in repr(variable.field.annotation)
    }
    assert len(secrets) > 6
    told = differing(load_settings(secrets))
    assert len(told) == len(secrets)
    assert set(told.values()) == {"set"}


def test_secret_that_is_set_to_nothing_is_empty() -> None:
    settings = load_settings({"LLM_WORKER_CACHE__REDIS_URL": ""})
    assert settings.cache.redis_url == SecretStr("")
    assert differing(settings) == {"cache.redis_url": ""}


def test_credentials_in_an_address_are_left_out() -> None:
    settings = load_settings(
        {
            "LLM_WORKER_PROVIDERS__OPENAI__BASE_URL": f"https://me:{_PLANTED}@host:8443/v1",
            "LLM_WORKER_PROVIDERS__GOOGLE__BASE_URL": f"https://{_PLANTED}@host/@v1",
            "LLM_WORKER_PROVIDERS__OPENROUTER__HTTP_REFERER": f"https://me:{_PLANTED}@site/",
            "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS": f"me:{_PLANTED}@host:9092",
            "LLM_WORKER_ROUTING__RULES": json.dumps(
                [{"targets": ["openai"], "organization": f"x://{_PLANTED}@y"}]
            ),
        }
    )
    told = differing(settings)
    assert _PLANTED not in json.dumps(told)
    assert told["providers.openai.base_url"] == "https://***@host:8443/v1"
    assert told["kafka.bootstrap_servers"] == ["***@host:9092"]
