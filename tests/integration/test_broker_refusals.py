"""What the commands say to a broker that wants a login, and to one that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner

from llm_worker.cli.app import FAILED, cli
from llm_worker.dev.kafka import EmbeddedKafka
from tests.support.environment import forget_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

_MODULE: Final = "org.apache.kafka.common.security.plain.PlainLoginModule"
_PROPERTIES: Final = {
    "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    "sasl.mechanism.inter.broker.protocol": "PLAIN",
    "listener.name.plaintext.plain.sasl.jaas.config": (
        f'{_MODULE} required username="broker" password="b" user_broker="b" user_guest="right";'
    ),
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:broker;User:ANONYMOUS",
}
_COMMANDS: Final = [
    ["usage"],
    ["config", "list"],
    ["dead-letters", "list"],
    ["tail", "control"],
    ["submit", "requests.jsonl"],
    ["compare", "a.txt", "a.txt"],
    ["topics", "check"],
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A broker that demands a login, and allows a guest nothing."""
    with EmbeddedKafka(tmp_path_factory.mktemp("guarded"), properties=_PROPERTIES) as kafka:
        yield kafka


@pytest.fixture(autouse=True)
def _as_guest(guarded: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch, tmp_path)
    (tmp_path / "a.txt").write_text("An essay.", encoding="utf-8")
    (tmp_path / "requests.jsonl").write_text('{"user_prompt": "Which?"}\n', encoding="utf-8")
    login = {
        "BOOTSTRAP_SERVERS": guarded.bootstrap_servers,
        "SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "SASL_MECHANISM": "PLAIN",
        "SASL_USERNAME": "guest",
        "SASL_PASSWORD": "right",
    }
    for name, value in login.items():
        monkeypatch.setenv(f"LLM_WORKER_KAFKA__{name}", value)


def refused(words: list[str]) -> Result:
    shown = CliRunner().invoke(cli, words)
    assert (shown.exit_code, shown.stdout) == (FAILED, ""), shown.output
    assert shown.stderr.startswith("Error: ")
    assert "right" not in shown.stderr
    return shown


@pytest.mark.parametrize("words", _COMMANDS, ids=" ".join)
def test_wrong_password_is_told_as_one(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_WORKER_KAFKA__SASL_PASSWORD", "wrong")

    said = refused(words).stderr
    assert "Authentication failed" in said
    assert "LLM_WORKER_KAFKA__SASL_PASSWORD" in said


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("SASL_MECHANISM", "SCRAM-SHA-256", "UnsupportedSaslMechanism"),
        ("SECURITY_PROTOCOL", "PLAINTEXT", "closes the connection"),
        ("SECURITY_PROTOCOL", "SASL_SSL", "closes the connection"),
    ],
)
def test_setting_that_does_not_fit_the_broker_is_suspected(
    setting: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LLM_WORKER_KAFKA__{setting}", value)

    said = refused(["usage"]).stderr
    assert words in said
    assert f"LLM_WORKER_KAFKA__{setting}" in said


def test_topics_that_nobody_lets_us_see_are_named_with_the_right_to_grant() -> None:
    shown = CliRunner().invoke(cli, ["tail", "control"])

    assert (shown.exit_code, shown.stdout) == (FAILED, "")
    assert "not for this user to see: huleedu.llm_provider.control.v1" in shown.stderr
