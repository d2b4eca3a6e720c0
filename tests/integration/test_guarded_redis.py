"""A Redis with TLS, whose user may do what docs/security.md says and nothing else."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import pytest
from click.testing import CliRunner
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from llm_worker.adapters.cache import script
from llm_worker.cli.app import cli
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.leashed import free_ports
from tests.support.builders import body_of
from tests.support.certificates import authority, certified
from tests.support.environment import forget_settings
from tests.support.redis_servers import RedisServer, redis_command
from tests.support.worker import Installation, answered, send_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

    from llm_worker.dev.kafka import EmbeddedKafka

_PASSWORD: Final = "Zwiebelfisch"  # noqa: S105 - nobody's
_PAGE: Final = Path(__file__).parents[2] / "docs" / "security.md"
_SCRIPTS: Final = Path(script.__file__).with_name("scripts")
# What is sent from Python: links, presence, `doctor`, `cache`; SELECT for a database other than 0.
_SENT: Final = {
    *("eval", "evalsha", "get", "set", "del", "exists"),
    *("time", "info", "scan", "unlink", "select"),
}


def _documented() -> str:
    """Give the rules of the user, as the page has them."""
    found = re.search(
        r"ACL SETUSER llm-worker on '>\.\.\.' (.+?)\n```", _PAGE.read_text(), re.DOTALL
    )
    assert found is not None
    return found[1].replace("\\\n", " ")


def test_commands_that_are_documented_are_those_that_are_used() -> None:
    in_scripts = {
        command.lower()
        for path in _SCRIPTS.glob("*.lua")
        for command in re.findall(r"redis\.p?call\('(\w+)'", path.read_text())
    }

    documented = set(re.findall(r"\+(\w+)", _documented()))

    assert documented == in_scripts | _SENT


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server, as the user that the page describes."""
    directory = tmp_path_factory.mktemp("guarded-redis")
    ca = authority(directory)
    own = certified(directory, "server", ca)
    [port] = free_ports(1)
    tls = (
        *("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(own.certificate), "--tls-key-file", str(own.key)),
        *("--tls-ca-cert-file", str(ca.certificate)),
    )
    with RedisServer(directory / "server", redis_command(), *tls, port=port):
        where = f"127.0.0.1:{port}/2?ssl_ca_certs={ca.certificate}"
        with Redis.from_url(f"rediss://{where}", retry=Retry(NoBackoff(), 0)) as admin:
            rules = _documented().split()
            admin.execute_command("ACL", "SETUSER", "llm-worker", "on", f">{_PASSWORD}", *rules)
            admin.execute_command("ACL", "SETUSER", "admin", "on", ">open", "~*", "&*", "+@all")
            admin.execute_command("ACL", "SETUSER", "default", "off")
        yield f"rediss://llm-worker:{_PASSWORD}@{where}"


@pytest.fixture
async def installation(
    kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Installation:
    forget_settings(monkeypatch, tmp_path)
    return await Installation(kafka.bootstrap_servers, tmp_path).create()


def _run(installation: Installation, redis_url: str, *words: str) -> Result:
    own = {
        "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS": installation.bootstrap_servers,
        "LLM_WORKER_KAFKA__TOPIC_PREFIX": installation.prefix,
        "LLM_WORKER_CACHE__REDIS_URL": redis_url,
        "LLM_WORKER_USE_MOCK_LLM": "true",
    }
    return CliRunner().invoke(cli, words, env=own)


async def _answer(installation: Installation, bodies: list[dict[str, Any]]) -> list[Any]:
    """Have requests answered, and give their results."""
    asking = {body["correlation_id"] for body in bodies}
    async with installation.producer() as producer:
        await send_all(producer, installation.request_topic(), bodies)
    records = await installation.read(
        installation.topic(TopicName.COMPARISON_RESULT),
        until=lambda records: asking <= answered(records),
    )
    await installation.until_committed()
    return [orjson.loads(record.value)["data"] for record in records]


async def test_worker_and_commands_get_by_with_the_documented_user(
    installation: Installation, guarded: str
) -> None:
    bodies = [body_of(essay_a=f"{number % 3}") for number in range(6)]
    limits = {
        "LLM_WORKER_BUDGET__DAILY_USD": "5",
        "LLM_WORKER_BUDGET__HARD": "true",
        "LLM_WORKER_CACHE__BUDGET_MS": "1000",
    }
    async with installation.worker(LLM_WORKER_CACHE__REDIS_URL=guarded, **limits) as worker:
        # The same records once more are known outcomes.
        results = await _answer(installation, [*bodies, *bodies])
        _, health = await worker.get("/healthz")
        assert await worker.terminate() == 0
    shown = [
        await asyncio.to_thread(_run, installation, guarded, *words)
        for words in (["doctor"], ["cache", "stats"], ["cache", "clear", "--all", "--yes"])
    ]

    assert all(result["winner"] for result in results)
    assert orjson.loads(health)["dependencies"]["cache"]["redis_failure_count"] == 0
    assert orjson.loads(health)["dependencies"]["redis"]["available"]
    assert [each.exit_code for each in shown] == [0, 0, 0], [each.output for each in shown]
    assert "3 verdicts" in shown[2].output
    admin_url = guarded.replace(f"llm-worker:{_PASSWORD}", "admin:open")
    with Redis.from_url(admin_url, retry=Retry(NoBackoff(), 0)) as admin:
        assert admin.execute_command("ACL", "LOG") == []
    assert _PASSWORD not in worker.log + "".join(each.output for each in shown)


@pytest.mark.parametrize(
    ("right", "wrong", "fault", "words"),
    [
        (_PASSWORD, "Zwiebelfisch-wrong", "auth", "username-password"),
        ("authority.pem", "server.pem", "connection", "CERTIFICATE_VERIFY_FAILED"),
    ],
    ids=["password", "authority"],
)
async def test_wrong_login_or_authority_leaves_the_worker_degraded_and_at_work(
    installation: Installation, guarded: str, right: str, wrong: str, fault: str, words: str
) -> None:
    url = guarded.replace(right, wrong)
    patient = {"LLM_WORKER_CACHE__BUDGET_MS": "1000"}  # or a busy machine makes it a timeout
    async with installation.worker(LLM_WORKER_CACHE__REDIS_URL=url, **patient) as worker:
        [result] = await _answer(installation, [body_of()])
        status, health = await worker.get("/healthz")
        _, metrics = await worker.get("/metrics")
    shown = await asyncio.to_thread(_run, installation, url, "doctor")

    assert result["winner"]
    assert (status, orjson.loads(health)["status"]) == (200, "degraded")
    counted = rf'^llm_worker_redis_failures_total{{[^}}]*"{fault}"[^}}]*}} [1-9]'
    assert re.search(counted, metrics, re.MULTILINE), re.findall("redis_failures.*", metrics)
    assert words in shown.output
    assert "LLM_WORKER_CACHE__REDIS_URL" in shown.output
    assert "Zwiebelfisch" not in worker.log + shown.output + metrics + health
