"""`llm-worker cache` against Valkey and Kafka."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
import pytest
from click.testing import CliRunner
from redis import Redis

from llm_worker.adapters.cache.connect import RedisAddress, connect, disconnect
from llm_worker.adapters.cache.inventory import Inventory
from llm_worker.adapters.cache.packing import pack_verdict, unpack_verdict
from llm_worker.adapters.cache.probe import CacheUnreachableError
from llm_worker.adapters.cache.verdicts import verdict_keys
from llm_worker.cli.app import FAILED, cli
from llm_worker.client.history import read_to_end
from llm_worker.contracts.vocabulary import Lane, ProviderName, TopicName
from llm_worker.dev.leashed import free_ports
from llm_worker.domain.errors import DeadlinePassedError
from llm_worker.domain.event import Event
from llm_worker.domain.fingerprint import fingerprint_of
from llm_worker.domain.request import ComparisonRequest
from llm_worker.domain.results import completed_result, failed_result
from llm_worker.domain.routing import Route
from llm_worker.domain.strategies import Strategy
from tests.support.builders import (
    NOW,
    TARGET,
    attempt_of,
    body_of,
    codec_of,
    completed_of,
    completion_of,
    delivery_of,
    failed_of,
    request_of,
    verdict_of,
)
from tests.support.environment import forget_settings
from tests.support.pseudo_terminal import run_at_a_terminal
from tests.support.redis_servers import RedisServer, valkey_command
from tests.support.worker import Installation, send_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from click.testing import Result

    from llm_worker.contracts.result import LLMComparisonResultV1
    from llm_worker.dev.cache import EmbeddedCache
    from llm_worker.dev.kafka import EmbeddedKafka
    from llm_worker.domain.cached import CachedVerdict

_ROUTE = Route((TARGET,), Strategy.PRIORITY)
_TIMEOUT_S = 60


class Shelves:
    """The keys of one test on the shared server."""

    def __init__(self, url: str, prefix: str) -> None:
        self.redis = Redis.from_url(url)
        self.prefix = prefix

    def put(self, verdict: CachedVerdict) -> str:
        fingerprint = uuid4().hex
        self.redis.set(self._key(fingerprint), pack_verdict(verdict))
        return fingerprint

    def get(self, fingerprint: str) -> CachedVerdict | None:
        packed = self.redis.get(self._key(fingerprint))
        return unpack_verdict(packed) if isinstance(packed, bytes) else None

    def ttl_s(self, fingerprint: str) -> int:
        ttl_s = self.redis.ttl(self._key(fingerprint))
        assert isinstance(ttl_s, int)
        return ttl_s

    def count(self) -> int:
        return sum(
            key.startswith(f"{self.prefix}verdict:".encode()) for key in self.redis.scan_iter()
        )

    def _key(self, fingerprint: str) -> str:
        return verdict_keys(self.prefix, fingerprint)[0]


@pytest.fixture
def shelves(
    cache_server: EmbeddedCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shelves]:
    # Every character that a pattern would read otherwise.
    prefix = f"{uuid4().hex}:[a-c]*?^\\"
    forget_settings(monkeypatch, tmp_path)
    monkeypatch.setenv("LLM_WORKER_CACHE__REDIS_URL", cache_server.url)
    monkeypatch.setenv("LLM_WORKER_CACHE__KEY_PREFIX", prefix)
    monkeypatch.setenv("LLM_WORKER_CACHE__TTL_S", "1000")
    monkeypatch.setenv("LLM_WORKER_USE_MOCK_LLM", "true")
    monkeypatch.setenv("LLM_WORKER_WEB__PORT", "0")
    shelves = Shelves(cache_server.url, prefix)
    yield shelves
    shelves.redis.close()


def run(*words: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli, ["cache", *words], input=stdin)


def fill(shelves: Shelves) -> None:
    """Put there four verdicts: two of the mock, one of them of a school; two of another."""
    shelves.put(verdict_of())
    shelves.put(verdict_of(organization_id="school"))
    for cost_usd in (Decimal("0.25"), None):
        verdict = verdict_of(completion_of(cost_usd=cost_usd), provider=ProviderName.OPENAI)
        shelves.put(verdict)


def test_stats_tell_what_lies_under_the_prefix_and_nothing_else(shelves: Shelves) -> None:
    fill(shelves)
    shelves.redis.hset(f"{shelves.prefix}request:{uuid4()}", "hash", "h")
    shelves.redis.set(f"{shelves.prefix}verdict:{{old}}", b"\xff\xffnobody's")
    for foreign in (f"x{shelves.prefix}", f"{shelves.prefix[:33]}axx^"):
        shelves.redis.set(f"{foreign}verdict:{{1}}", b"another installation's")

    shown = run("stats", "--json")

    assert shown.exit_code == 0, shown.output
    stock = json.loads(shown.stdout)["redis"]
    said = {each["provider"]: each for each in stock["models"]}
    assert said.keys() == {"mock", "openai"}
    assert (said["mock"]["verdicts"], said["mock"]["known_cost_usd"]) == (2, "0.002")
    assert (said["openai"]["known_cost_usd"], said["openai"]["unknown_costs"]) == ("0.25", 1)
    assert said["mock"]["oldest"] == NOW.isoformat()
    assert said["mock"]["bytes"] > 2 * 100
    assert stock["unreadable"]["verdicts"] == 1
    assert stock["requests"] == 1
    assert "openai" in run("stats").stdout


def test_stats_of_many_verdicts_count_each(shelves: Shelves) -> None:
    packed = pack_verdict(verdict_of())
    count = 1700  # more than one step
    keys = (verdict_keys(shelves.prefix, str(number))[0] for number in range(count))
    shelves.redis.mset(dict.fromkeys(keys, packed))

    [model] = json.loads(run("stats", "--json").stdout)["redis"]["models"]

    # A key may be shown twice while the table grows, never left out.
    assert model["verdicts"] >= count
    assert run("clear", "--all").stdout == f"{count} verdicts deleted\n"


@pytest.mark.parametrize(
    ("words", "deleted"),
    [
        (["--provider", "openai"], 2),
        (["--model", "mock-judge-1"], 4),
        (["--organization", "school"], 1),
        (["--organization", "school", "--provider", "openai"], 0),
        (["--all", "--yes"], 4),
    ],
    ids=str,
)
def test_clear_deletes_the_verdicts_asked_for_and_no_outcome(
    shelves: Shelves, words: list[str], deleted: int
) -> None:
    fill(shelves)
    outcome = f"{shelves.prefix}request:{uuid4()}"
    shelves.redis.hset(outcome, "hash", "h")

    shown = run("clear", *words)

    assert (shown.exit_code, shown.stdout) == (0, f"{deleted} verdicts deleted\n")
    assert "their own memory for 300 s more (LLM_WORKER_CACHE__LOCAL_TTL_S)" in shown.stderr
    assert shelves.count() == 4 - deleted
    assert shelves.redis.exists(outcome) == 1


def test_clear_takes_verdicts_of_another_version_with_all_alone(shelves: Shelves) -> None:
    shelves.redis.set(f"{shelves.prefix}verdict:{{old}}", b"\xff\xffnobody's")

    assert run("clear", "--model", "m").stdout == "0 verdicts deleted\n"
    assert json.loads(run("clear", "--all", "--json").stdout) == {"deleted": 1}


@pytest.mark.parametrize(("answer", "left"), [(b"n\n", 1), (b"y\n", 0)])
def test_clear_asks_at_a_terminal(shelves: Shelves, answer: bytes, left: int) -> None:
    shelves.put(verdict_of())
    shown = run_at_a_terminal("cache", "clear", "--all", answer=answer)

    assert b"Delete every verdict?" in shown.stderr
    assert (shown.returncode, shelves.count()) == (left, left)


def fingerprint(request: ComparisonRequest) -> str:
    return fingerprint_of(request.asked, _ROUTE)


def result_of(request: ComparisonRequest) -> LLMComparisonResultV1:
    return completed_result(completed_of(request, attempt_of(completion_of())))


def line(request: ComparisonRequest, **changes: object) -> bytes:
    asked, result = request.asked.model_dump(mode="json"), result_of(request)
    pair = {"request": asked, "result": result.model_dump(mode="json") | changes}
    return orjson.dumps(pair) + b"\n"


def test_warm_keeps_what_a_worker_will_find_and_overwrites_nothing(shelves: Shelves) -> None:
    new, known, cached, late = (request_of(user_prompt=f"Which? {n}") for n in range(4))
    lines = [line(new), b"\n", line(new), line(known)]
    payer = str(uuid4())
    lines.append(line(cached, cached=True, request_metadata={"bought_by": payer}))
    first = run("warm", "-", "--json", stdin=line(known))
    assert json.loads(first.stdout) == {"kept": 1, "already_there": 0, "skipped": 0}, first.output
    before = shelves.get(fingerprint(known))

    shown = run("warm", "-", stdin=b"".join(lines))

    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout == "2 kept, 2 already there, 0 skipped\n"
    kept = shelves.get(fingerprint(new))
    assert kept
    assert kept.bought_by == new.correlation_id
    assert kept.completion == completion_of()
    assert 0 < shelves.ttl_s(fingerprint(new)) <= 1000
    assert shelves.get(fingerprint(known)) == before
    from_cache = shelves.get(fingerprint(cached))
    assert from_cache
    assert str(from_cache.bought_by) == payer
    assert shelves.get(fingerprint(late)) is None


def test_line_that_cannot_be_used_is_named_and_the_rest_is_kept(
    shelves: Shelves, tmp_path: Path
) -> None:
    good, failing = request_of(), request_of(user_prompt="SECRET")
    error = failed_result(failed_of(failing, DeadlinePassedError("too late")))
    failure = {
        "request": failing.asked.model_dump(mode="json"),
        "result": json.loads(error.model_dump_json()),
    }
    file = tmp_path / "pairs.jsonl"
    file.write_bytes(b"".join([orjson.dumps(failure), b"\nSECRET\n", line(good)]))

    shown = run("warm", str(file))

    assert (shown.exit_code, shown.stdout) == (FAILED, "1 kept, 0 already there, 2 skipped\n")
    first, second = shown.stderr.splitlines()
    assert first == "line 1: the result is an error"
    assert second.startswith("line 2: the line: Invalid JSON")
    assert "SECRET" not in shown.output
    assert shelves.get(fingerprint(good))


def event_of(result: LLMComparisonResultV1) -> bytes:
    event = Event(
        topic=TopicName.COMPARISON_RESULT,
        event_id=uuid4(),
        correlation_id=result.correlation_id,
        timestamp=NOW,
        data=result,
        trace={},
    )
    return codec_of().render(event).value or b""


def asked_in(body: dict[str, Any]) -> ComparisonRequest:
    request = codec_of().decode(delivery_of(body))
    assert isinstance(request, ComparisonRequest)
    return request


async def test_warm_from_topics_joins_requests_and_results(
    shelves: Shelves, kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = await Installation(kafka.bootstrap_servers, tmp_path).create()
    monkeypatch.setenv("LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("LLM_WORKER_KAFKA__TOPIC_PREFIX", installation.prefix)
    normal = [body_of(user_prompt=f"Which? {n}") for n in range(20)]
    bulk = [body_of(user_prompt="In bulk?"), body_of(user_prompt="Anew?", cache_mode="refresh")]
    bypass, answered_from_cache = body_of(cache_mode="bypass"), body_of(user_prompt="Again?")
    one, other = body_of(user_prompt="One?"), body_of(user_prompt="Other?")
    other["event_id"] = one["event_id"]
    around = [bypass, answered_from_cache, one, other]
    elsewhere = body_of(user_prompt="Its request is gone")
    results = [event_of(result_of(asked_in(body))) for body in (*normal, *bulk, bypass, elsewhere)]
    from_cache = result_of(asked_in(answered_from_cache)).model_copy(update={"cached": True})
    results += [event_of(from_cache), event_of(result_of(asked_in(one))), b"dogs"]
    async with installation.producer() as producer:
        await send_all(producer, installation.request_topic(), [*normal, *around])
        await send_all(producer, installation.request_topic(Lane.BULK), bulk)
        topic = installation.topic(TopicName.COMPARISON_RESULT)
        for value in results:
            await producer.send(topic, value, key=uuid4().bytes)
        await producer.flush()

    shown = await asyncio.to_thread(run, "warm", "--from-topics")

    assert (shown.exit_code, shown.stdout) == (0, "22 kept, 0 already there, 5 skipped\n")
    assert sorted(shown.stderr.splitlines()) == sorted(
        [
            "1 skipped: cache_mode is bypass",
            "1 skipped: its request is not in the request topics",
            "1 skipped: the result came from the cache itself",
            "1 skipped: different requests have its id",
            "1 skipped: no result that this version knows",
        ]
    )
    for body in (*normal, *bulk):
        verdict = shelves.get(fingerprint(asked_in(body)))
        assert verdict
        assert str(verdict.bought_by) == body["correlation_id"]
    again = await asyncio.to_thread(run, "warm", "--from-topics")
    assert again.stdout == "0 kept, 22 already there, 5 skipped\n"


async def test_topic_is_read_to_its_very_end_and_no_further(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    installation = Installation(kafka.bootstrap_servers, tmp_path)
    topic, empty = [
        await installation.create_topic(f"{installation.prefix}{name}") for name in ("one", "none")
    ]
    async with installation.producer() as producer:
        await producer.send_and_wait(topic, b"v", key=b"k")

    records = [record async for record in read_to_end(installation.options, [topic, empty])]

    assert [(each.topic, each.offset, each.key, each.value) for each in records] == [
        (topic, 0, b"k", b"v")
    ]


async def test_inventory_works_in_a_cluster(tmp_path: Path) -> None:
    count = 1200
    port = str(free_ports(1)[0])  # or it would be far beyond the other, where clients' ports are
    with RedisServer(
        tmp_path, valkey_command(), "--cluster-enabled", "yes", "--cluster-port", port
    ) as node:
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        async with asyncio.timeout(_TIMEOUT_S):
            while b"cluster_state:ok" not in node.ask("CLUSTER", "INFO"):  # noqa: ASYNC110 - another process has no event
                await asyncio.sleep(0.05)
        async with inventory_at(RedisAddress(url=node.url, is_cluster=True)) as inventory:
            verdicts = [(str(number), verdict_of()) for number in range(count)]

            assert await inventory.keep(verdicts, ttl_s=1000) == count
            assert await inventory.keep(verdicts[:5], ttl_s=1000) == 0
            keys = {each.key async for stored in inventory.verdicts() for each in stored}
            assert len(keys) == count
            assert await inventory.count_requests() == 0
            assert await inventory.remove(sorted(keys)) == count


async def test_server_that_hangs_or_is_full_is_said_in_a_word(tmp_path: Path) -> None:
    with RedisServer(tmp_path, valkey_command()) as server:
        address = RedisAddress(url=server.url)
        async with inventory_at(address) as inventory:
            server.ask("CONFIG", "SET", "maxmemory", 1)
            with pytest.raises(CacheUnreachableError, match=r"should: full$") as raised:
                await inventory.keep([("f", verdict_of())], ttl_s=1000)
            assert raised.value.__cause__ is None
        async with inventory_at(address, timeout_s=0.2) as inventory:
            server.freeze()
            with pytest.raises(CacheUnreachableError, match=r"should: timeout$"):
                await inventory.count_requests()


@asynccontextmanager
async def inventory_at(address: RedisAddress, timeout_s: float = 10) -> AsyncIterator[Inventory]:
    client = connect(address, budget_s=timeout_s)
    try:
        yield Inventory(client, key_prefix="p:", timeout_s=timeout_s)
    finally:
        await disconnect(client)
