from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_worker.settings import SettingsError, load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_given_is_enough() -> None:
    settings = load_settings({})
    assert settings.kafka.bootstrap_servers == ("127.0.0.1:9092",)
    assert settings.cache.redis_url.get_secret_value() == "redis://127.0.0.1:6379/0"
    assert settings.callback_patterns == ("huleedu.*",)
    assert settings.log.format is None


def test_each_source_beats_the_one_below_it(directory: Path) -> None:
    (directory / "llm-worker.toml").write_text(
        'environment = "toml"\ndrain_s = 90\nmax_in_flight = 7\n[kafka]\ngroup = "toml"\n'
    )
    (directory / ".env").write_text(
        "LLM_WORKER_ENVIRONMENT=dotenv\nLLM_WORKER_DRAIN_S=80\nUNRELATED=1\n"
    )
    settings = load_settings({"LLM_WORKER_ENVIRONMENT": "environment"})
    assert settings.environment == "environment"
    assert settings.drain_s == 80
    assert settings.max_in_flight == 7
    assert settings.kafka.group == "toml"
    assert settings.kafka.topic_prefix == ""


def test_config_names_another_toml_file(directory: Path) -> None:
    (directory / "other.toml").write_text(
        'callback_patterns = ["a.*", "b.*"]\n[providers.mock]\nerror_rate = 0\n'
    )
    settings = load_settings({"LLM_WORKER_CONFIG": str(directory / "other.toml")})
    assert settings.providers.mock.error_rate == 0
    assert settings.callback_patterns == ("a.*", "b.*")


def test_config_that_is_no_file_is_an_error() -> None:
    with pytest.raises(SettingsError, match=r"LLM_WORKER_CONFIG: gone\.toml is no file"):
        load_settings({"LLM_WORKER_CONFIG": "gone.toml"})


def test_broken_toml_is_an_error_with_its_line(directory: Path) -> None:
    (directory / "llm-worker.toml").write_text("drain_s = \n")
    with pytest.raises(SettingsError, match=r"llm-worker\.toml cannot be read as TOML.*line 1"):
        load_settings({})


def test_dotenv_that_is_not_utf8_is_an_error(directory: Path) -> None:
    (directory / ".env").write_bytes(b"LLM_WORKER_ENVIRONMENT=\xff\n")
    with pytest.raises(SettingsError, match=r"\.env cannot be read as UTF-8"):
        load_settings({})


def test_lists_are_comma_separated() -> None:
    settings = load_settings({"LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS": "a:1, b:2"})
    assert settings.kafka.bootstrap_servers == ("a:1", "b:2")


@pytest.mark.parametrize("place", ["environment", "dotenv"])
def test_name_in_use_already_is_read_too(directory: Path, place: str) -> None:
    if place == "dotenv":
        (directory / ".env").write_text("KAFKA_BOOTSTRAP_SERVERS=a:1\nUSE_MOCK_LLM=true\n")
        settings = load_settings({})
    else:
        settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": "a:1", "USE_MOCK_LLM": "true"})
    assert settings.kafka.bootstrap_servers == ("a:1",)
    assert settings.use_mock_llm is True


def test_both_names_with_one_value_agree() -> None:
    settings = load_settings({"USE_MOCK_LLM": "true", "LLM_WORKER_USE_MOCK_LLM": "true"})
    assert settings.use_mock_llm is True


def test_both_names_with_two_values_are_an_error_without_the_values() -> None:
    given = {"REDIS_URL": "redis://:hunter1@a", "LLM_WORKER_CACHE__REDIS_URL": "redis://:hunter2@b"}
    with pytest.raises(
        SettingsError, match="LLM_WORKER_CACHE__REDIS_URL and REDIS_URL are both set and differ"
    ) as caught:
        load_settings(given)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [
        ("LLM_WORKER_KAFKA__BOOTSTRAP_SERVER", "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS"),
        ("LLM_WORKER_WEB_PORT", "LLM_WORKER_WEB__PORT"),
        ("LLM_WORKER_KAFKA", "LLM_WORKER_KAFKA__GROUP"),
        ("llm_worker_drain_s", "LLM_WORKER_DRAIN_S"),
        ("LLM_WORKER_CONFG", "LLM_WORKER_CONFIG"),
    ],
)
def test_unknown_name_is_an_error_that_suggests_the_nearest(unknown: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=rf"{unknown} is no setting: did you mean {meant}\?"):
        load_settings({unknown: "8080"})


def test_unknown_name_in_dotenv_is_an_error(directory: Path) -> None:
    (directory / ".env").write_text("LLM_WORKER_DRAIN=1\n")
    with pytest.raises(SettingsError, match=r"did you mean LLM_WORKER_DRAIN_S\?"):
        load_settings({})


@pytest.mark.parametrize("unknown", ["gruop", "GROUP"])
def test_unknown_key_in_toml_is_an_error_that_suggests_the_nearest(
    directory: Path, unknown: str
) -> None:
    (directory / "llm-worker.toml").write_text(f'[kafka]\n{unknown} = "x"\n')
    with pytest.raises(
        SettingsError, match=rf"kafka\.{unknown} of llm-worker\.toml .* mean kafka\.group\?"
    ):
        load_settings({})


def test_what_kubernetes_sets_beside_a_service_of_our_name_is_no_setting() -> None:
    load_settings(
        {
            "LLM_WORKER_SERVICE_HOST": "10.0.0.1",
            "LLM_WORKER_SERVICE_PORT": "8080",
            "LLM_WORKER_SERVICE_PORT_HTTP": "8080",
            "LLM_WORKER_PORT": "tcp://10.0.0.1:8080",
            "LLM_WORKER_PORT_8080_TCP": "tcp://10.0.0.1:8080",
            "LLM_WORKER_PORT_8080_TCP_ADDR": "10.0.0.1",
        }
    )


def test_every_fault_is_told_with_its_variable_and_its_range() -> None:
    given = {"LLM_WORKER_MAX_IN_FLIGHT": "1", "LLM_WORKER_KAFKA__SESSION_TIMEOUT_S": "soon"}
    with pytest.raises(SettingsError) as caught:
        load_settings(given)
    session, in_flight = str(caught.value).splitlines()
    assert session.startswith("LLM_WORKER_KAFKA__SESSION_TIMEOUT_S: ")
    assert "1 to 300" in session
    assert in_flight.startswith("LLM_WORKER_MAX_IN_FLIGHT: ")
    assert "2 or more" in in_flight


def test_fault_given_by_a_second_name_tells_that_name() -> None:
    with pytest.raises(SettingsError, match=r"\(or KAFKA_BOOTSTRAP_SERVERS\): .*`host:port`"):
        load_settings({"KAFKA_BOOTSTRAP_SERVERS": "PLAINTEXT://a:1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LLM_WORKER_WEB__PORT", "-1"),
        ("LLM_WORKER_WEB__PORT", "65536"),
        ("LLM_WORKER_DRAIN_S", "inf"),
        ("LLM_WORKER_DRAIN_S", ""),
        ("LLM_WORKER_PROVIDERS__MOCK__ERROR_RATE", "1.1"),
        ("LLM_WORKER_PROVIDERS__MOCK__POSITION_BIAS", "-2"),
        ("LLM_WORKER_CALLBACK_PATTERNS", ""),
        ("LLM_WORKER_KAFKA__TOPIC_PREFIX", "a b"),
        ("LLM_WORKER_KAFKA__SSL_CAFILE", "nowhere.pem"),
        ("LLM_WORKER_LOG__LEVEL", "LOUD"),
    ],
)
def test_value_out_of_range_is_an_error_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings({name: value})


def test_sasl_without_its_credentials_is_an_error_that_names_them() -> None:
    given = {
        "LLM_WORKER_KAFKA__SECURITY_PROTOCOL": "sasl_ssl",
        "LLM_WORKER_KAFKA__SASL_USERNAME": "worker",
        "LLM_WORKER_KAFKA__SASL_PASSWORD": "",
    }
    with pytest.raises(
        SettingsError,
        match="needs LLM_WORKER_KAFKA__SASL_MECHANISM, LLM_WORKER_KAFKA__SASL_PASSWORD",
    ):
        load_settings(given)


def test_secrets_are_in_no_error_and_no_text() -> None:
    given = {
        "LLM_WORKER_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "LLM_WORKER_KAFKA__SASL_PASSWORD": "hunter1",
        "LLM_WORKER_CACHE__REDIS_URL": "redis://:hunter2@a",
        "LLM_WORKER_MAX_IN_FLIGHT": "hunter3",
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(given)
    assert "hunter" not in str(caught.value)
    del given["LLM_WORKER_KAFKA__SECURITY_PROTOCOL"], given["LLM_WORKER_MAX_IN_FLIGHT"]
    assert "hunter" not in repr(load_settings(given))


def test_group_whose_value_is_at_fault_is_judged_as_a_whole_too_and_shows_no_secret() -> None:
    given = {
        "LLM_WORKER_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "LLM_WORKER_KAFKA__SASL_MECHANISM": "OAUTHBEARER",
        "LLM_WORKER_KAFKA__SASL_PASSWORD": "hunter1",
        "LLM_WORKER_PROVIDERS__OPENAI__BASE_URL": "https://me:hunter2@a",
        "LLM_WORKER_PROVIDERS__OPENAI__API_KEY": "hunter3",
        "LLM_WORKER_PROVIDERS__OPENAI__TIMEOUT_S": "-1",
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(given)
    mechanism, timeout, group, login = str(caught.value).splitlines()
    assert mechanism.startswith("LLM_WORKER_KAFKA__SASL_MECHANISM: ")
    assert timeout.startswith("LLM_WORKER_PROVIDERS__OPENAI__TIMEOUT_S: ")
    assert "SASL_SSL needs" in group
    assert "LLM_WORKER_KAFKA__SASL_USERNAME" in group
    assert login.startswith("LLM_WORKER_PROVIDERS__OPENAI: BASE_URL has a login")
    assert "hunter" not in str(caught.value)
    for cause in (caught.value.__cause__, caught.value.__context__):
        assert "hunter" not in str(cause)


def test_unknown_names_and_what_differs_are_told_beside_values_at_fault(directory: Path) -> None:
    (directory / "llm-worker.toml").write_text('[kafak]\ngroup = "x"\n[retry]\natempts = 1\n')
    given = {
        "LLM_WORKER_DRAIN": "1",
        "LLM_WORKER_WEB_PORT": "1",
        "REDIS_URL": "redis://a",
        "LLM_WORKER_CACHE__REDIS_URL": "redis://b",
        "LLM_WORKER_MAX_IN_FLIGHT": "1",
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(given)
    begins = [line.split(" ")[0] for line in str(caught.value).splitlines()]
    assert begins == [
        "LLM_WORKER_DRAIN",
        "LLM_WORKER_WEB_PORT",
        "LLM_WORKER_CACHE__REDIS_URL",
        "retry.atempts",
        "kafak",
        "LLM_WORKER_MAX_IN_FLIGHT:",
    ]


def test_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_WORKER_ENVIRONMENT", "staging")
    assert load_settings().environment == "staging"
    assert load_settings({}).environment == "development"


def test_cache_has_defaults_and_other_names() -> None:
    cache = load_settings(
        {
            "LOCAL_CACHE_SIZE_MB": "7",
            "LOCAL_CACHE_TTL_SECONDS": "8",
            "LOCAL_CACHE_MAX_ENTRIES": "9",
            "LLM_WORKER_CACHE__SENTINELS": "one:26379, two:26379",
        }
    ).cache
    assert (cache.local_size_mb, cache.local_ttl_s, cache.local_max_entries) == (7, 8, 9)
    assert cache.sentinels == ("one:26379", "two:26379")
    assert (cache.ttl_s, cache.outcome_ttl_s, cache.budget_ms) == (86_400, 288_000, 50)


@pytest.mark.parametrize("prefix", ["a b", "{a}", "a\t", "ä:"])
def test_key_prefix_that_a_cluster_or_a_person_would_misread_is_refused(prefix: str) -> None:
    with pytest.raises(SettingsError, match="LLM_WORKER_CACHE__KEY_PREFIX"):
        load_settings({"LLM_WORKER_CACHE__KEY_PREFIX": prefix})


def test_cluster_and_sentinels_exclude_each_other() -> None:
    given = {"LLM_WORKER_CACHE__CLUSTER": "true", "LLM_WORKER_CACHE__SENTINELS": "one:26379"}
    with pytest.raises(SettingsError, match="exclude each other: unset one"):
        load_settings(given)
