from __future__ import annotations

import json
import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from llm_worker.adapters.kafka.topic_metadata import Right
from llm_worker.adapters.kafka.topic_state import FoundTopic, Presence, compare_topic
from llm_worker.cli.app import cli
from llm_worker.cli.doctor.command import clock_finding, memory_finding, probe
from llm_worker.cli.doctor.kafka import group_findings, right_findings, topic_findings
from llm_worker.cli.findings import Level
from llm_worker.contracts.documents.flows import Party
from llm_worker.contracts.rights import Purpose
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import ProviderName, TopicName
from llm_worker.domain.errors import (
    AuthenticationFailedError,
    ProviderDownError,
    QuotaExhaustedError,
    RateLimitedError,
    UnreachableError,
)
from tests.support.builders import completion_of
from tests.support.environment import forget_settings
from tests.support.fakes import FakeProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from llm_worker.adapters.kafka.topic_state import TopicState

    Findings = list[tuple[str, str, str]]

_NAME = TopicName.COMPARISON_RESULT
_WANTED = load_topics()[_NAME]


def _state(
    *,
    presence: Presence = Presence.PRESENT,
    rights: frozenset[Right] | None = frozenset(Right),
    has_readable_config: bool = True,
) -> TopicState:
    found = FoundTopic(
        presence=presence,
        partitions=_WANTED.partitions,
        config=_WANTED.config() if has_readable_config else None,
        rights=rights,
    )
    return compare_topic(_NAME, "t.result", _WANTED, found)


def test_topics_as_wanted_are_one_good_line() -> None:
    [finding] = topic_findings([_state(), _state()], Party.WORKER)
    assert (finding.level, finding.words) == (Level.OK, "all 2 are as topics.yaml says")


def test_missing_topic_is_a_fault_with_its_remedy() -> None:
    [finding] = topic_findings([_state(), _state(presence=Presence.MISSING)], Party.WORKER)
    assert finding.level is Level.FAULT
    assert finding.words == "comparison_result: missing: run `llm-worker topics create`"


def test_what_the_broker_hides_is_a_warning() -> None:
    [finding] = topic_findings([_state(has_readable_config=False)], Party.WORKER)
    assert finding.level is Level.WARNING
    assert "grant DescribeConfigs on t.result" in finding.words


def test_topic_that_is_hidden_is_a_fault_only_for_who_uses_it() -> None:
    hidden = _state(presence=Presence.HIDDEN)
    [fault] = topic_findings([hidden], Party.WORKER)
    assert (fault.level, "grant Describe on t.result" in fault.words) == (Level.FAULT, True)
    [good] = topic_findings([hidden, _state()], Party.ACCOUNTANT)
    assert (good.level, good.words) == (Level.OK, "all 1 are as topics.yaml says")


def test_missing_right_is_a_fault_that_says_what_to_grant() -> None:
    [finding] = right_findings([_state(rights=frozenset({Right.DESCRIBE}))], Party.WORKER, {None})
    assert finding.level is Level.FAULT
    assert "grant Write on t.result" in finding.words


def test_right_for_a_purpose_is_missed_only_by_who_has_it() -> None:
    states = [_state(rights=frozenset({Right.WRITE}))]
    assert right_findings(states, Party.WORKER, {None}) == []
    [finding] = right_findings(states, Party.WORKER, {None, Purpose.COMPARISONS})
    assert finding.level is Level.WARNING
    assert "for comparisons over HTTP grant Read on t.result" in finding.words


def test_untold_right_is_a_warning_and_a_granted_one_is_nothing() -> None:
    [untold] = right_findings([_state(rights=None)], Party.WORKER, {None})
    assert (untold.level, "comparison_result" in untold.words) == (Level.WARNING, True)
    assert right_findings([_state()], Party.WORKER, {None}) == []


@pytest.mark.parametrize(
    ("is_allowed", "levels"), [(True, []), (None, [Level.WARNING]), (False, [Level.FAULT])]
)
def test_group_that_may_not_be_joined_is_a_fault(
    is_allowed: bool | None,  # noqa: FBT001 - pytest gives it by name
    levels: list[Level],
) -> None:
    findings = group_findings("g", is_allowed=is_allowed)
    assert [finding.level for finding in findings] == levels
    assert all("the group g" in finding.words for finding in findings)


@pytest.mark.parametrize(
    ("difference", "level"),
    [
        (timedelta(seconds=1.9), Level.OK),
        (timedelta(seconds=-1.9), Level.OK),
        (timedelta(seconds=2.1), Level.WARNING),
        (timedelta(seconds=-2.1), Level.WARNING),
    ],
)
def test_clock_far_from_redis_is_a_warning(difference: timedelta, level: Level) -> None:
    assert clock_finding(difference).level is level


@pytest.mark.parametrize(
    ("policy", "level"),
    [(None, Level.OK), ("noeviction", Level.OK), ("allkeys-lru", Level.WARNING)],
)
def test_redis_that_evicts_is_a_warning(policy: str | None, level: Level) -> None:
    assert memory_finding(policy).level is level


def test_clock_that_nothing_can_be_compared_with_says_so() -> None:
    assert clock_finding(None).words.startswith("not checked")


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (AuthenticationFailedError("openai does not know the key"), Level.FAULT),
        (QuotaExhaustedError("openai has no credit left"), Level.FAULT),
        (UnreachableError("openai takes no connection"), Level.WARNING),
        (ProviderDownError("openai is overloaded"), Level.WARNING),
        (RateLimitedError("openai limits the rate"), Level.WARNING),
    ],
)
async def test_provider_that_does_not_answer_is_a_fault_only_if_it_takes_a_person(
    error: Exception, level: Level
) -> None:
    provider = FakeProvider(None, name=ProviderName.OPENAI, probe_error=error)

    finding = await probe(provider)

    assert (finding.level, finding.words) == (level, str(error))
    assert provider.is_closed


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (ProviderName.GOOGLE, "google: answers, key accepted"),
        (ProviderName.SELF_HOSTED, "self_hosted: answers"),
        (ProviderName.MOCK, "mock: needs no key, and makes its verdicts up"),
    ],
)
async def test_provider_that_answers_is_good_and_nothing_is_bought(
    name: ProviderName, words: str
) -> None:
    provider = FakeProvider(completion_of(), name=name)

    finding = await probe(provider)

    assert (finding.check, finding.level, finding.words) == ("providers", Level.OK, words)
    assert (provider.probes, provider.calls, provider.is_closed) == (1, [], True)


@pytest.fixture
def examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Findings]]:
    """Run the doctor where there is neither broker nor Redis."""
    forget_settings(monkeypatch, tmp_path)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", address)
        monkeypatch.setenv("LLM_WORKER_CACHE__REDIS_URL", f"redis://:hunter2@{address}/0")

        def run() -> Findings:
            shown = CliRunner().invoke(cli, ["doctor", "--json"])
            assert shown.exit_code == 1
            assert "hunter2" not in shown.output
            return [
                (found["check"], found["level"], found["words"])
                for found in json.loads(shown.stdout)
            ]

        yield run


def test_unreachable_broker_is_a_fault_and_missing_redis_a_warning(
    examined: Callable[[], Findings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_WORKER_USE_MOCK_LLM", "true")

    assert [found[:2] for found in examined()] == [
        ("broker", "fault"),
        ("providers", "ok"),
        ("Redis", "warning"),
        ("clock", "ok"),
    ]


def test_nobody_to_ask_is_one_fault_with_its_remedy(
    examined: Callable[[], Findings], monkeypatch: pytest.MonkeyPatch
) -> None:
    [nobody] = of_providers(examined())
    assert nobody[0] == "fault"
    assert "no provider is enabled: set one's key (ANTHROPIC_API_KEY" in nobody[1]

    monkeypatch.setenv("LLM_WORKER_PROVIDERS__OPENAI__ENABLED", "true")
    [keyless] = of_providers(examined())
    assert keyless[0] == "fault"
    assert "set LLM_WORKER_PROVIDERS__OPENAI__API_KEY" in keyless[1]


def test_missing_key_is_a_warning_and_every_routing_fault_a_fault(
    examined: Callable[[], Findings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__MOCK__ENABLED", "true")
    monkeypatch.setenv("LLM_WORKER_PROVIDERS__OPENAI__ENABLED", "true")
    monkeypatch.setenv("LLM_WORKER_ROUTING__FALLBACK", "acme,google")

    levels, words = zip(*of_providers(examined()), strict=True)

    assert levels == ("fault", "fault", "warning", "ok")
    assert "acme names no provider" in words[0]
    assert "google is not enabled: set LLM_WORKER_PROVIDERS__GOOGLE__API_KEY" in words[1]
    assert "openai is left out: set LLM_WORKER_PROVIDERS__OPENAI__API_KEY" in words[2]


def of_providers(findings: Findings) -> list[tuple[str, str]]:
    return [(level, words) for check, level, words in findings if check == "providers"]
