"""A broker that demands TLS and a login, and grants each party what docs/security.md says."""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import pytest
from click.testing import CliRunner

from llm_worker import bootstrap
from llm_worker.adapters.kafka.group_rights import may_join
from llm_worker.adapters.kafka.topics import compare_topics, create_topics
from llm_worker.cli.app import FAILED, cli
from llm_worker.cli.doctor.kafka import group_findings, right_findings
from llm_worker.client.comparison import ComparisonClient
from llm_worker.client.events import EventReader
from llm_worker.client.failures import ConfigurationError
from llm_worker.contracts.documents.flows import Party
from llm_worker.contracts.events import LLMCostTrackingV1
from llm_worker.contracts.rights import Purpose
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.settings import Settings
from tests.support.certificates import authority
from tests.support.environment import forget_settings
from tests.support.guarded_kafka import Grant, documented, guarded_kafka, password_of
from tests.support.worker import Installation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from llm_worker.cli.findings import Finding
    from tests.support.guarded_kafka import GuardedKafka
    from tests.support.worker import WorkerProcess

_API_KEY: Final = "planted-api-key"
_ADMIN_KEY: Final = "planted-admin-key"
_PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Stack:
    """Worker and accountant that run with their own logins."""

    installation: Installation
    worker: WorkerProcess
    accountant: WorkerProcess


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    with guarded_kafka(tmp_path_factory.mktemp("guarded")) as guarded:
        asyncio.run(guarded.add_users())
        yield guarded


@pytest.fixture(scope="module")
def stack(guarded: GuardedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    installation = Installation(guarded.open_servers, tmp_path_factory.mktemp("stack"))
    grants = [
        grant
        for party in Party
        for grant in documented(party, installation.topics, installation.group)
    ]
    asyncio.run(guarded.grant(grants))
    created = _run(guarded.login(Party.OPERATOR), installation, "topics", "create")
    assert created.exit_code == 0, created.output
    keys = {"LLM_WORKER_WEB__API_KEY": _API_KEY, "LLM_ADMIN_API_KEY": _ADMIN_KEY}
    worker = installation.launch(**guarded.login(Party.WORKER), **keys)
    accountant = installation.launch("accountant", **guarded.login(Party.ACCOUNTANT))
    try:
        asyncio.run(worker.until_ready())
        asyncio.run(accountant.until_ready())
        yield Stack(installation, worker, accountant)
    finally:
        worker.kill()
        accountant.kill()


def _run(login: dict[str, str], installation: Installation, *words: str) -> Result:
    own = {
        "LLM_WORKER_KAFKA__TOPIC_PREFIX": installation.prefix,
        "LLM_WORKER_KAFKA__GROUP": installation.group,
        "LLM_WORKER_CACHE__REDIS_URL": "",
        "LLM_WORKER_USE_MOCK_LLM": "true",
        "LLM_WORKER_WEB__API_KEY": _API_KEY,
        "LLM_ADMIN_API_KEY": _ADMIN_KEY,
    }
    with warnings.catch_warnings():
        # aiokafka does not wait until TLS is closed, and the loop of a command may end before.
        warnings.simplefilter("ignore", ResourceWarning)
        shown = CliRunner().invoke(cli, words, env={**own, **login})
        gc.collect()
    return shown


def _options(login: dict[str, str]) -> dict[str, Any]:
    kafka = {
        name.removeprefix("LLM_WORKER_KAFKA__").lower(): value for name, value in login.items()
    }
    return bootstrap.kafka_options(Settings.model_validate({"kafka": kafka}))


@pytest.mark.parametrize("way", ["SCRAM-SHA-512", "PLAIN", "certificate"])
async def test_caller_and_operator_get_by_with_every_kind_of_login(
    stack: Stack, guarded: GuardedKafka, way: str
) -> None:
    def login(party: Party) -> dict[str, str]:
        is_mutual = way == "certificate"
        return guarded.certificate(party) if is_mutual else guarded.login(party, way)

    topics = stack.installation.topics
    async with ComparisonClient(_options(login(Party.CALLER)), topics) as client:
        judgement = await client.compare("Bread needs time.", f"Bread is nice. {way}")
    checked = await asyncio.to_thread(
        _run, login(Party.OPERATOR), stack.installation, "topics", "check"
    )

    assert judgement.winner
    assert checked.exit_code == 0, checked.output


async def test_each_party_gets_by_with_the_rights_that_are_documented(
    stack: Stack, guarded: GuardedKafka
) -> None:
    installation = stack.installation
    async with ComparisonClient(_options(guarded.login(Party.CALLER)), installation.topics) as one:
        with pytest.raises(ConfigurationError):
            await one.compare("a", "b", provider="anthropic")
        await one.compare("a", "c")
    answer = await _over_http(
        stack.worker,
        "POST",
        "comparison",
        _API_KEY,
        {"user_prompt": "Which?", "essay_a": "d", "essay_b": "e"},
    )
    changed = await _over_http(
        stack.worker, "PUT", "admin/config/max_in_flight", _ADMIN_KEY, {"value": 77}
    )
    async with EventReader(
        _options(guarded.login(Party.SUBSCRIBER)),
        [LLMCostTrackingV1],
        group=f"{installation.group}-analytics",
        topics=installation.topics,
    ) as events:
        event = await anext(events)
    totals = await installation.read(installation.topic(TopicName.SPEND_STATE), until=bool)

    assert (answer, changed) == (200, 200)
    assert event.data.provider == "mock"
    assert totals
    for words in (
        ["config", "set", "max_in_flight", "88"],
        ["config", "list"],
        ["usage"],
        ["dead-letters", "list"],
        ["dead-letters", "replay", "--yes"],
        ["dead-letters", "list"],
    ):
        done = await asyncio.to_thread(_run, guarded.login(Party.OPERATOR), installation, *words)
        assert done.exit_code == 0, f"{words}: {done.output}"
        assert password_of(Party.OPERATOR) not in done.output
    await installation.until_committed()
    for process in (stack.worker, stack.accountant):
        assert "Authorization" not in process.log
        assert "Zwiebelfisch" not in process.log


async def _over_http(
    worker: WorkerProcess, method: str, path: str, key: str, body: dict[str, Any]
) -> int:
    async with (
        aiohttp.ClientSession(headers={"X-API-Key": key}) as session,
        session.request(method, f"{worker.url}/api/v1/{path}", json=body) as answer,
    ):
        assert "Zwiebelfisch" not in await answer.text()
        return answer.status


@pytest.mark.parametrize("party", [Party.WORKER, Party.ACCOUNTANT])
async def test_doctor_is_content_with_the_rights_that_are_documented(
    stack: Stack, guarded: GuardedKafka, party: Party
) -> None:
    shown = await asyncio.to_thread(
        _run,
        guarded.login(party),
        stack.installation,
        *("doctor", "--json", "--process", party.value),
    )

    assert shown.exit_code == 0, shown.output
    findings = json.loads(shown.stdout)
    assert [each["level"] for each in findings if each["check"] == "rights"] == ["ok"]
    told = [each["words"] for each in findings if each["level"] != "ok"]
    assert all("grant DescribeConfigs on" in words for words in told)


@pytest.mark.parametrize("party", [Party.WORKER, Party.ACCOUNTANT])
async def test_doctor_names_every_right_that_is_taken_away(
    guarded: GuardedKafka, party: Party
) -> None:
    topics = load_topics(f"less-{party}.")
    group = f"{topics.prefix}group"
    options = _options(guarded.login(party, "PLAIN"))  # SCRAM is slow, and asked often here
    await create_topics({"bootstrap_servers": guarded.open_servers}, topics, replication_factor=1)
    grants = documented(party, topics, group)
    await guarded.grant(grants)
    own_group = next(grant.resource for grant in grants if grant.resource.startswith(group))

    async def findings(grant: Grant) -> list[Finding]:
        if grant.resource == own_group:
            return group_findings(own_group, is_allowed=await may_join(options, own_group))
        return right_findings(await compare_topics(options, topics), party, {None, *Purpose})

    async def until_told(grant: Grant, *, words: str | None) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                told = [finding.words for finding in await findings(grant)]
                if (not told) if words is None else (len(told) == 1 and words in told[0]):
                    return

    for grant in grants:
        where = f"the group {own_group}" if grant.resource == own_group else grant.resource
        await guarded.revoke(grant)
        await until_told(grant, words=f"grant {grant.operation} on {where} to this principal")
        await guarded.grant([grant])
    for grant in (grants[0], grants[-1]):
        await until_told(grant, words=None)


_WRONG: Final = {
    "password": ({"SASL_PASSWORD": "Zwiebelfisch-wrong"}, "SASL_PASSWORD"),
    "user": ({"SASL_USERNAME": "nobody"}, "SASL_USERNAME"),
    "mechanism": ({"SASL_MECHANISM": "SCRAM-SHA-256"}, "SASL_MECHANISM"),
    "authority": ({"SSL_CAFILE": "stranger.pem"}, "SSL_CAFILE"),
    "system's authorities": ({"SSL_CAFILE": ""}, "SSL_CAFILE"),
    "name of the host": ({"BOOTSTRAP_SERVERS": "localhost:{port}"}, "BOOTSTRAP_SERVERS"),
    "no TLS": ({"SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "SECURITY_PROTOCOL"),
    "neither TLS nor login": ({"SECURITY_PROTOCOL": "PLAINTEXT"}, "SECURITY_PROTOCOL"),
    "no login": ({"SECURITY_PROTOCOL": "SSL"}, "SECURITY_PROTOCOL"),
    "TLS where there is none": ({"BOOTSTRAP_SERVERS": "{open}"}, "SECURITY_PROTOCOL"),
}


@pytest.mark.parametrize("command", ["doctor", "usage"])
@pytest.mark.parametrize("wrong", _WRONG)
def test_what_does_not_fit_is_told_with_its_setting_and_without_a_secret(
    guarded: GuardedKafka, tmp_path: Path, command: str, wrong: str
) -> None:
    changes, setting = _WRONG[wrong]
    stranger = authority(tmp_path, "stranger").certificate
    filled = {
        f"LLM_WORKER_KAFKA__{name}": value.replace("stranger.pem", str(stranger)).format(
            port=guarded.login_port, open=guarded.open_servers
        )
        for name, value in changes.items()
    }
    login = {**guarded.login(Party.OPERATOR), **filled}
    shown = _run(login, Installation(guarded.open_servers, tmp_path), command)

    assert shown.exit_code == FAILED
    assert f"LLM_WORKER_KAFKA__{setting}" in shown.output
    assert "Zwiebelfisch" not in shown.output
    assert "Traceback" not in shown.output
