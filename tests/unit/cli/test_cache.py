"""`llm-worker cache` without a Redis: wrong use, sums, counters, lines of a file."""

from __future__ import annotations

import http.server
import json
import threading
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import orjson
import pytest
from click.testing import CliRunner
from typing_extensions import override

from llm_worker.adapters.cache.inventory import StoredVerdict
from llm_worker.adapters.telemetry import gauges
from llm_worker.adapters.telemetry.metrics import Metrics
from llm_worker.application.routes import Routes
from llm_worker.application.warming import Unfit
from llm_worker.cli.app import FAILED, WRONG_USE, cli
from llm_worker.cli.cache.command import fits
from llm_worker.cli.cache.counters import counted_by_tier, parse_counters, read_counters
from llm_worker.cli.cache.file import verdict_in
from llm_worker.cli.cache.stock import Stock
from llm_worker.cli.cache.topics import AskedBefore
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.cached import CacheTier
from llm_worker.domain.results import completed_result
from llm_worker.domain.routing import Place, Routing
from llm_worker.domain.strategies import Strategy
from tests.support.builders import NOW, completed_of, completion_of, request_of, verdict_of
from tests.support.environment import forget_settings
from tests.support.fakes import FakeModels, FakeProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

_SECRET = "hunter2"  # noqa: S105 - of nothing


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch, tmp_path)
    monkeypatch.setenv("LLM_WORKER_CACHE__REDIS_URL", f"redis://:{_SECRET}@127.0.0.1:1/0")
    monkeypatch.setenv("LLM_WORKER_USE_MOCK_LLM", "true")
    monkeypatch.setenv("LLM_WORKER_WEB__PORT", "0")


def run(*words: str, stdin: str = "") -> Result:
    shown = CliRunner().invoke(cli, ["cache", *words], input=stdin)
    assert _SECRET not in shown.output
    return shown


@pytest.mark.parametrize(
    "words",
    [
        ["clear"],
        ["clear", "--yes"],
        ["clear", "--all", "--model", "m"],
        ["clear", "--provider", "acme"],
        ["warm"],
        ["warm", "-", "--from-topics"],
    ],
    ids=" ".join,
)
def test_command_that_does_not_say_what_is_wrong_use(words: list[str]) -> None:
    shown = run(*words)

    assert (shown.exit_code, shown.stdout) == (WRONG_USE, "")


@pytest.mark.parametrize("words", [["clear", "--all"], ["warm", "-"]], ids=" ".join)
def test_without_redis_there_is_nothing_to_clear_or_warm(
    monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("LLM_WORKER_CACHE__REDIS_URL", "")

    shown = run(*words)

    assert shown.exit_code == WRONG_USE
    assert "LLM_WORKER_CACHE__REDIS_URL is empty: set it" in shown.stderr


def test_warm_needs_the_settings_of_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_WORKER_USE_MOCK_LLM")

    shown = run("warm", "-")

    assert shown.exit_code == WRONG_USE
    assert "no provider is enabled" in shown.stderr


def test_stats_without_redis_say_that_workers_have_only_their_own_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_WORKER_CACHE__REDIS_URL", "")

    shown = run("stats", "--json")

    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == {"redis": None, "worker": None}
    assert "each worker has its own memory and no more" in shown.stderr
    assert "LLM_WORKER_WEB__PORT is 0" in shown.stderr


@pytest.mark.parametrize("words", [["stats"], ["clear", "--all"]], ids=" ".join)
def test_redis_that_is_not_there_is_said_in_plain_words(words: list[str]) -> None:
    shown = run(*words)

    assert (shown.exit_code, shown.stdout) == (FAILED, "")
    assert "Redis does not answer as it should: connection" in shown.stderr
    assert "LLM_WORKER_CACHE__REDIS_URL" in shown.stderr


def test_malformed_url_is_said_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_WORKER_CACHE__REDIS_URL", f"redis://:{_SECRET}/3@127.0.0.1:6379/0")

    shown = run("stats")

    assert shown.exit_code == FAILED
    assert "its URL is not like redis://host:6379/0" in shown.stderr


def test_stock_adds_up_by_model_and_never_takes_an_unknown_cost_for_0() -> None:
    stock = Stock()
    later = NOW + timedelta(hours=1)
    for cost_usd, bought_at in ((Decimal("0.1"), later), (Decimal("0.2"), NOW), (None, NOW)):
        verdict = verdict_of(completion_of(cost_usd=cost_usd), bought_at=bought_at)
        stock.add(StoredVerdict(key=b"k", size_bytes=100, verdict=verdict))
    stock.add(StoredVerdict(key=b"k", size_bytes=7, verdict=None))

    assert stock.as_json() == {
        "models": [
            {
                "provider": "mock",
                "model": "mock-judge-1",
                "verdicts": 3,
                "bytes": 300,
                "known_cost_usd": "0.3",
                "unknown_costs": 1,
                "oldest": NOW.isoformat(),
                "newest": later.isoformat(),
            }
        ],
        "unreadable": {"verdicts": 1, "bytes": 7},
        "requests": 0,
    }
    [share] = stock.shares.values()
    assert share.cost() == "0.3 + 1 unknown"


def test_verdict_is_cleared_only_with_everything_that_is_wanted() -> None:
    verdict = verdict_of(organization_id="school")

    assert fits(verdict, {"provider": "mock", "model": "mock-judge-1", "organization": "school"})
    assert not fits(verdict, {"provider": "mock", "model": "mock-judge"})
    assert not fits(verdict_of(), {"organization": "school"})
    assert not fits(None, {"provider": "mock"})


def _counted() -> bytes:
    metrics = Metrics()
    for _ in range(3):
        metrics.cache_asked(CacheTier.LOCAL, is_hit=True)
    metrics.cache_asked(CacheTier.REDIS, is_hit=False)
    metrics.cache_saved(CacheTier.LOCAL, Decimal("0.1"))
    metrics.cache_saved(CacheTier.LOCAL, Decimal("0.2"))
    metrics.cache_evicted()
    metrics.redis_answered(0.01, "timeout")
    metrics.redis_answered(0.01, "full")
    return metrics.render({gauges.CACHE_ENTRIES: {(): 4.0}, gauges.CACHE_BYTES: {(): 9000.0}})


def test_what_a_worker_counted_is_told_by_tier() -> None:
    assert counted_by_tier(parse_counters(_counted().decode())) == {
        "local": {
            "hits": 3,
            "misses": 0,
            "saved_usd": 0.3,
            "verdicts": 4,
            "bytes": 9000,
            "evictions": 1,
        },
        "redis": {"hits": 0, "misses": 1, "saved_usd": 0, "errors": 2},
    }


class _Page(http.server.BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    @override
    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_worker_is_asked_at_its_web_address(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Page, "body", _counted())

    # A worker that binds every address is found on this machine.
    assert read_counters("0.0.0.0", port) == read_counters("127.0.0.1", port)  # noqa: S104
    assert not isinstance(read_counters("127.0.0.1", port), str)


def test_worker_is_asked_past_the_proxy_that_the_user_has(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Page, "body", _counted())
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    assert not isinstance(read_counters("127.0.0.1", port), str)


def test_other_server_at_that_address_is_no_worker(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Page, "body", b"python_info 1.0\n")

    assert read_counters("127.0.0.1", port) == f"what answers at 127.0.0.1:{port} is no worker"


def _routes() -> Routes:
    mock = FakeProvider(None, default_model="mock-judge-1", models=FakeModels())
    places = (Place(provider=ProviderName.MOCK),)
    return Routes(
        providers={mock.name: mock},
        routing=Routing(places=places, strategy=Strategy.PRIORITY),
    )


def _line(**changes: object) -> bytes:
    request = request_of()
    result = completed_result(completed_of(request)).model_dump(mode="json")
    return orjson.dumps(
        {"request": request.asked.model_dump(mode="json"), "result": result | changes}
    )


def test_line_gives_a_verdict_with_its_fingerprint() -> None:
    found = verdict_in(_line(), _routes())

    assert not isinstance(found, str)
    fingerprint, verdict = found
    assert len(fingerprint) == 64
    assert verdict.completion.verdict == completion_of().verdict


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"dogs", "the line: Invalid JSON"),
        (b'{"request": {"user_prompt": "dogs"}}', "result: Field required"),
        (_line(winner="dogs"), "result.winner: Input should be 'Essay A' or 'Essay B'"),
        (_line(model="gpt"), Unfit.OTHER_TARGET),
        (
            orjson.dumps({"request": {"user_prompt": "dogs" * 300_000}, "result": {}}),
            "result.request_id: Field required",
        ),
    ],
    ids=["no JSON", "no result", "no winner", "another model", "no fields"],
)
def test_line_that_cannot_be_used_says_why_without_its_texts(line: bytes, why: str) -> None:
    found = verdict_in(line, _routes())

    assert isinstance(found, str)
    assert found.startswith(why)
    assert "dogs" not in found


def _deep_metadata() -> dict[str, object]:
    metadata: dict[str, object] = {}
    for _ in range(230):
        metadata = {"a": metadata}
    return metadata


def test_line_is_read_as_deep_as_a_worker_writes_it() -> None:
    assert not isinstance(verdict_in(_line(request_metadata=_deep_metadata()), _routes()), str)


def test_event_is_read_as_deep_as_a_worker_writes_it() -> None:
    event = orjson.loads(_line(request_metadata=_deep_metadata()))["result"]
    envelope = {
        "event_id": str(UUID(int=1)),
        "event_type": "comparison_result",
        "event_timestamp": NOW.isoformat(),
        "source_service": "worker",
        "correlation_id": str(UUID(int=2)),
        "data": event,
    }
    asked = AskedBefore(load_topics(), _routes())

    assert asked.answered_by(orjson.dumps(envelope)) is Unfit.NO_REQUEST
    assert asked.answered_by(b"dogs") is Unfit.NO_RESULT


def test_prompt_that_no_worker_takes_is_said() -> None:
    pair = orjson.loads(_line())
    pair["request"]["user_prompt"] = "dogs " * 300_000

    found = verdict_in(orjson.dumps(pair), _routes())

    assert isinstance(found, str)
    assert found.startswith("user_prompt with its essays has ")
