"""The whole of /api/v1/state, from a worker's real parts; the app and the broker are fakes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from faust.types import TP

from llm_worker.adapters.kafka.inflight import InFlight
from llm_worker.adapters.kafka.state import WorkerState
from llm_worker.adapters.web.site import furnish
from llm_worker.adapters.web.state import state_operations
from llm_worker.application.gate import Limits
from llm_worker.application.switchboard import Switchboard
from llm_worker.bootstrap import load_settings
from llm_worker.bootstrap.worker.hard_limits import build_budget
from llm_worker.bootstrap.worker.overview import Overview
from llm_worker.bootstrap.worker.parts import build_parts
from llm_worker.bootstrap.worker.probe import WorkerProbe
from llm_worker.contracts.state import StateV1
from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.breaker import CircuitBreaker
from llm_worker.domain.cached import CacheTier
from llm_worker.domain.errors import ProviderDownError
from llm_worker.domain.outcome import Rejected, Replayed
from tests.support.builders import (
    REQUEST_TOPIC,
    attempt_of,
    codec_of,
    completed_of,
    completion_of,
    delivery_of,
    failed_of,
    request_of,
)
from tests.support.fakes import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llm_worker.adapters.clock import SystemClock
    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.bootstrap.worker.parts import WorkerParts

_ANY: Any = object()
_PERIOD = "period requests failures cost_usd unknown_costs savings_usd limit_usd"
_FIELDS = {
    "": "at service health flow kafka workers providers cache budget failures settings history",
    ".service": "name version environment started_at uptime_s worker_id",
    ".health": "status since warnings ready not_ready_because",
    ".flow": "verdicts_per_minute failures_per_minute running_calls max_in_flight in_hand window "
    "oldest_s duplicates_answered lag",
    ".flow.lag": "topic lane partitions records per_minute drains_in_s",
    ".kafka": "last_contact_s assigned_partitions rebalancing draining publisher_available",
    ".workers": "id host is_this partitions",
    ".providers": "name enabled configured remedy default_model breaker breakers success_rate "
    "attempts failures p50_response_ms p95_response_ms in_flight waiting allowed max_in_flight "
    "requests_per_minute requests_left tokens_per_minute tokens_left paused_s last_success "
    "last_failure last_error cost_today_usd unknown_costs_today",
    ".providers.breakers": "model state since",
    ".cache": "mode redis_available redis_failures lookups hits hit_rate savings_usd "
    "local_verdicts local_bytes",
    ".budget": "known hard reserved_usd today month",
    ".budget.today": _PERIOD,
    ".budget.month": _PERIOD,
    ".failures": "at kind error_code correlation_id request_id provider model attempts dead_letter",
    ".settings": "name value source changed_by changed_at reason",
    ".history": "step_s until verdicts failures lag running_calls cost_usd",
}
"""What the page reads, object by object."""


@dataclass(slots=True)
class _Consumer:
    last_heartbeat_s: float = 0.0
    member_id: str = "alice"
    known: dict[TP, tuple[int | None, int]] = field(default_factory=dict)

    def spans(self) -> dict[TP, tuple[int | None, int]]:
        return self.known


@dataclass(slots=True)
class _App:
    """Sleeps by the clock, which is advanced; `each_second` is called before each sleep."""

    clock: ManualClock
    consumer: _Consumer = field(default_factory=_Consumer)
    rebalancing: bool = False
    stops_at_s: float = float("inf")
    each_second: Callable[[], object] = lambda: None

    @property
    def should_stop(self) -> bool:
        return self.clock.monotonic() >= self.stops_at_s

    def assigned(self) -> set[TP]:
        return set(self.consumer.known)

    async def sleep(self, seconds: float) -> None:
        self.each_second()
        self.clock.advance(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    clock: ManualClock
    app: _App
    parts: WorkerParts
    board: Switchboard
    overview: Overview

    def state(self) -> dict[str, Any]:
        """As it goes over the wire."""
        state: dict[str, Any] = json.loads(self.overview.state().model_dump_json())
        return state

    async def run(self, seconds: float, each_second: Callable[[], object] = lambda: None) -> None:
        """Let the overview look for so long."""
        self.app.stops_at_s = self.clock.monotonic() + seconds
        self.app.each_second = each_second
        await self.overview.keep_sampling()
        self.app.stops_at_s = float("inf")

    def complete(self) -> None:
        request = request_of()
        self.parts.telemetry.attempted(request, attempt_of(completion_of(cost_usd=Decimal("0.5"))))
        self.parts.telemetry.handled(request.delivery, completed_of(request))

    def fail(self) -> None:
        request = request_of(essay_a="Zwiebelkuchen", essay_b="Zwiebelkuchen")
        error = ProviderDownError("mock is down")
        self.parts.telemetry.handled(request.delivery, failed_of(request, error))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Bench:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(
        {
            "LLM_WORKER_PROVIDERS__MOCK__ENABLED": "true",
            "LLM_WORKER_CACHE__REDIS_URL": "",
            "LLM_WORKER_BUDGET__DAILY_USD": "10",
            "LLM_WORKER_MAX_IN_FLIGHT": "40",
        }
    )
    clock = ManualClock()
    clock.advance(1_000)
    app = _App(clock)
    parts = replace(build_parts(settings), clock=cast("SystemClock", clock))
    board = Switchboard(
        providers=parts.providers,
        limits=dict.fromkeys(parts.providers, Limits(max_in_flight=40)),
        weights={},
        new_breaker=lambda: CircuitBreaker(failure_threshold=1, recovery_timeout_s=60),
        clock=clock,
        telemetry=parts.telemetry,
    )
    in_flight = InFlight(work=_ANY, acks=_ANY, window=400, clock=clock, telemetry=parts.telemetry)
    probe = WorkerProbe(
        state=WorkerState(
            app=cast("DeliveryApp", app),
            topics=parts.topics,
            in_flight=in_flight,
            slots=parts.slots,
            broker=parts.publisher.health,
            clock=clock,
            request_deadline_s=300,
            session_timeout_s=45,
            is_overloaded=lambda _lane: False,
        ),
        in_flight=in_flight,
        parts=parts,
        board=board,
        budget=build_budget(settings, parts, share=lambda: 1.0),
        environment=settings.environment,
    )
    return _Bench(
        clock=clock, app=app, parts=parts, board=board, overview=Overview(settings, probe)
    )


def _objects(schema: dict[str, Any], node: dict[str, Any], at: str = "") -> dict[str, set[str]]:
    """Give the fields of every object in a JSON Schema, by where it stands."""
    found: dict[str, set[str]] = {}
    for each in (node, *node.get("anyOf", ())):
        for part in (each, each.get("items", {})):
            if "$ref" in part:
                inner = schema["$defs"][part["$ref"].rpartition("/")[2]]
                found |= _objects(schema, inner, at)
        if "properties" in each:
            found[at] = set(each["properties"])
            for name, inner in each["properties"].items():
                found |= _objects(schema, inner, f"{at}.{name}")
    return found


def test_state_has_every_field_that_the_page_reads_and_no_other() -> None:
    schema = StateV1.model_json_schema(mode="serialization")
    assert _objects(schema, schema) == {at: set(names.split()) for at, names in _FIELDS.items()}


async def test_state_is_answered_as_json_that_nobody_keeps(bench: _Bench) -> None:
    application = web.Application()
    furnish(application, state_operations(bench.overview.state), is_local=True, on_fault=_unheard)
    async with TestClient(TestServer(application)) as client:
        answer = await client.get("/api/v1/state")
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert answer.headers["Cache-Control"] == "no-store"
        assert await answer.json() == bench.state()


def _unheard(error: Exception) -> None:
    raise AssertionError from error


def test_worker_without_a_broker_says_so(bench: _Bench) -> None:
    state = bench.state()
    assert state["health"]["status"] == "unhealthy"
    assert state["health"]["warnings"] == ["no Kafka broker has answered yet"]
    assert (state["health"]["ready"], state["health"]["since"]) == (False, "2026-11-23T10:16:40Z")
    assert state["kafka"]["last_contact_s"] is None
    assert (state["workers"], state["budget"]["known"], state["budget"]["today"]) == (
        None,
        False,
        None,
    )
    assert [(lag["lane"], lag["records"], lag["drains_in_s"]) for lag in state["flow"]["lag"]] == [
        ("normal", 0, 0.0),
        ("bulk", 0, 0.0),
    ]
    assert state["history"]["verdicts"] == []
    assert state["cache"] == {
        "mode": "local",
        "redis_available": False,
        "redis_failures": 0,
        "lookups": 0,
        "hits": 0,
        "hit_rate": None,
        "savings_usd": "0.0",
        "local_verdicts": 0,
        "local_bytes": 0,
    }
    assert state["providers"][0]["name"] == "mock"


def test_what_is_counted_shows_at_once(bench: _Bench) -> None:
    for _ in range(3):
        bench.complete()
    bench.fail()
    rejected = codec_of().decode(delivery_of(b"{"))
    assert isinstance(rejected, Rejected)
    bench.parts.telemetry.handled(rejected.delivery, rejected)
    request = request_of()
    bench.parts.telemetry.handled(request.delivery, Replayed(request=request))
    flow = bench.state()["flow"]
    assert (flow["verdicts_per_minute"], flow["failures_per_minute"]) == (3.0, 2.0)
    assert flow["duplicates_answered"] == 1
    assert (flow["max_in_flight"], flow["window"], flow["in_hand"]) == (40, 400, 0)


def test_failures_are_listed_without_any_text_of_theirs(bench: _Bench) -> None:
    bench.fail()
    state = bench.state()
    [failure] = state["failures"]
    assert (failure["kind"], failure["error_code"]) == ("failed", "SERVICE_UNAVAILABLE")
    UUID(failure["request_id"])
    assert "Zwiebelkuchen" not in json.dumps(state)


def test_cache_is_told_by_what_was_asked_and_found(bench: _Bench) -> None:
    metrics = bench.parts.metrics
    for is_hit in (True, True, False, False):
        metrics.cache_asked(CacheTier.LOCAL, is_hit=is_hit)
    metrics.cache_asked(CacheTier.REDIS, is_hit=True)
    metrics.cache_asked(CacheTier.REDIS, is_hit=False)
    for usd in ("0.1", "0.2"):
        metrics.cache_saved(CacheTier.REDIS, Decimal(usd))
    cache = bench.state()["cache"]
    assert (cache["lookups"], cache["hits"], cache["hit_rate"]) == (4, 3, 0.75)
    assert cache["savings_usd"] == "0.3"


async def test_the_last_hour_is_kept_by_looking_once_a_second(bench: _Bench) -> None:
    lag = {TP(REQUEST_TOPIC, 3): (0, 500), TP("huleedu.x", 1): (0, 7)}

    def work() -> None:
        bench.complete()
        lag[TP(REQUEST_TOPIC, 3)] = (0, lag[TP(REQUEST_TOPIC, 3)][1] - 1)

    bench.app.consumer.known = cast("dict[TP, tuple[int | None, int]]", lag)
    await bench.run(61, each_second=work)
    state = bench.state()
    history = state["history"]
    assert history["step_s"] == 15
    assert history["until"] == "2026-11-23T10:17:40Z"
    assert history["verdicts"] == [15, 15, 15, 15]
    assert history["failures"] == [0, 0, 0, 0]
    assert history["cost_usd"] == [7.5, 7.5, 7.5, 7.5]
    assert history["lag"] == [492, 477, 462, 447]
    assert history["running_calls"] == [0, 0, 0, 0]
    assert state["service"]["uptime_s"] == 61
    normal, bulk = state["flow"]["lag"]
    assert (normal["topic"], normal["partitions"], normal["records"]) == (REQUEST_TOPIC, 1, 439)
    assert normal["per_minute"] == pytest.approx(-60, abs=1)
    assert normal["drains_in_s"] == pytest.approx(439, abs=10)
    assert (bulk["partitions"], bulk["records"], bulk["per_minute"]) == (0, 0, None)


async def test_status_has_the_moment_since_when_it_is_what_it_is(bench: _Bench) -> None:
    bench.app.consumer.known = {TP(REQUEST_TOPIC, 0): (0, 0)}
    await bench.run(10)
    bench.app.consumer.last_heartbeat_s = bench.clock.monotonic()
    await bench.run(20)
    health = bench.state()["health"]
    assert (health["status"], health["since"]) == ("healthy", "2026-11-23T10:16:50Z")


def test_breaker_that_opens_shows_with_its_model_and_since_when(bench: _Bench) -> None:
    mock = bench.parts.providers[ProviderName.MOCK]
    attempt = attempt_of(ProviderDownError("mock is down"))
    bench.board.ended(attempt.attempt.target, ProviderDownError("mock is down"))
    [provider, *_] = bench.state()["providers"]
    assert provider["breaker"] == "open"
    assert provider["breakers"] == [
        {"model": mock.default_model, "state": "open", "since": "2026-11-23T10:16:40Z"}
    ]


def test_settings_in_force_are_told(bench: _Bench) -> None:
    shown = {setting["name"]: setting["value"] for setting in bench.state()["settings"]}
    assert shown == {
        "providers.mock.enabled": True,
        "cache.redis_url": "",
        "budget.daily_usd": "10",
        "max_in_flight": 40,
    }


async def test_running_calls_are_counted_over_the_lanes(bench: _Bench) -> None:
    for lane in Lane:
        await bench.parts.slots.acquire(lane, float("inf"))
    assert bench.state()["flow"]["running_calls"] == 2
