"""What a record of the control topic does to the parts of a worker; the broker is not there."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest

from llm_worker.adapters.kafka.inflight import InFlight
from llm_worker.application.routes import Plan
from llm_worker.bootstrap.worker.app import load_worker_settings
from llm_worker.bootstrap.worker.changes import apply_settings, window_of
from llm_worker.bootstrap.worker.orchestrator import build_orchestrator
from llm_worker.bootstrap.worker.parts import build_parts
from llm_worker.bootstrap.worker.probe import left_out_providers
from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.breaker import BreakerState
from llm_worker.domain.errors import NoTargetError, ProviderDownError
from llm_worker.domain.outcome import Target
from tests.support.builders import request_of
from tests.support.control import change
from tests.support.fakes import FakeBudget, ManualClock, RecordingTelemetry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llm_worker.adapters.providers.http_provider import HttpProvider
    from llm_worker.application.orchestrator import Orchestrator
    from llm_worker.bootstrap.worker.parts import WorkerParts
    from llm_worker.settings import Settings

_ANY: Any = object()
_ANTHROPIC, _OPENAI, _MOCK = ProviderName.ANTHROPIC, ProviderName.OPENAI, ProviderName.MOCK
_DOWN = ProviderDownError("503")


@dataclass(frozen=True, slots=True)
class _Worker:
    """The parts of a worker that follows the control topic."""

    parts: WorkerParts
    orchestrator: Orchestrator
    in_flight: InFlight

    @property
    def settings(self) -> Settings:
        return self.parts.spending.runtime.settings

    def set(self, name: str, value: object) -> None:
        record = change(name, value)
        self.parts.spending.runtime.take(record.key, record.value)
        assert not self.parts.spending.controlled.ignored

    def unset(self, name: str) -> None:
        self.parts.spending.runtime.take(name.encode(), None)

    def providers(self, **overrides: object) -> list[str]:
        asked = request_of(llm_config_overrides=overrides or None).asked
        return [each.provider for each in self.orchestrator.routes.route_of(asked).targets]

    def target(self, name: ProviderName) -> Target:
        provider = self.parts.providers[name]
        return Target(provider=name, model=provider.default_model)

    def cache_key(self) -> str:
        plan = self.orchestrator.routes.plan(request_of().asked, lane=Lane.NORMAL, prompt_bytes=1)
        assert isinstance(plan, Plan)
        return plan.fingerprint


def _worker(**given: str) -> _Worker:
    settings = load_worker_settings(
        {
            "ANTHROPIC_API_KEY": "a",
            "OPENAI_API_KEY": "o",
            "LLM_WORKER_CACHE__REDIS_URL": "",
            "LLM_WORKER_MAX_IN_FLIGHT": "100",
            **given,
        }
    )
    parts = build_parts(settings)
    orchestrator = build_orchestrator(settings, _ANY, parts, FakeBudget())
    in_flight = InFlight(
        work=_ANY,
        acks=_ANY,
        window=window_of(settings),
        clock=ManualClock(),
        telemetry=RecordingTelemetry(),
    )

    def apply(changed: Settings) -> None:
        apply_settings(changed, parts=parts, orchestrator=orchestrator, in_flight=in_flight)

    apply(settings)
    parts.spending.runtime.on_change = apply
    return _Worker(parts, orchestrator, in_flight)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def worker() -> _Worker:
    return _worker()


async def test_number_of_running_calls_is_that_of_the_worker_the_window_and_each_provider(
    worker: _Worker,
) -> None:
    def numbers() -> tuple[int, int, int]:
        view = worker.orchestrator.board.view(_OPENAI)
        return worker.parts.slots.total, worker.in_flight.window, view.max_in_flight

    assert numbers() == (100, 1_000, 75)
    worker.set("max_in_flight", 8)
    assert numbers() == (8, 80, 6)
    worker.set("max_in_flight", 600)
    assert numbers() == (600, 4_000, 450)
    worker.unset("max_in_flight")
    assert numbers() == (100, 1_000, 75)


async def test_limit_that_a_provider_was_given_stays() -> None:
    worker = _worker(LLM_WORKER_PROVIDERS__OPENAI__MAX_IN_FLIGHT="5")
    worker.set("max_in_flight", 8)
    assert worker.orchestrator.board.view(_OPENAI).max_in_flight == 5


async def test_only_provider_left_may_have_every_call(worker: _Worker) -> None:
    worker.set("providers.anthropic.enabled", value=False)
    assert worker.orchestrator.board.view(_OPENAI).max_in_flight == 100


async def test_breakers_new_and_in_use_and_the_publishers_go_by_the_new_values(
    worker: _Worker,
) -> None:
    board, target = worker.orchestrator.board, worker.target(_OPENAI)
    for _ in range(2):
        board.ended(target, _DOWN)
    worker.set("breaker.failure_threshold", 3)
    worker.set("breaker.recovery_timeout_s", 7)

    board.ended(target, _DOWN)
    assert board.breaker_states() == {target: BreakerState.OPEN}
    now_s = worker.parts.clock.monotonic()
    assert board.readiness(target, Lane.NORMAL).at_s - now_s == pytest.approx(7, abs=1)

    for _ in range(3):
        board.ended(worker.target(_ANTHROPIC), _DOWN)
        worker.parts.breaker.fail(0)
    assert board.breaker_states().keys() == {target, worker.target(_ANTHROPIC)}
    assert worker.parts.breaker.state is BreakerState.OPEN
    assert worker.parts.breaker.probe_due_in_s(0) == 7


async def test_retries_go_by_the_new_values(worker: _Worker) -> None:
    worker.set("retry.attempts", 9)
    worker.set("retry.backoff_s", 1e-9)
    worker.set("retry.backoff_max_s", 1e-9)
    assert worker.orchestrator.attempts_at_most == 9
    assert worker.orchestrator.backoff.seconds(50) <= 1e-9
    worker.unset("retry.attempts")
    assert worker.orchestrator.attempts_at_most == 4


async def test_routes_have_the_new_strategy(worker: _Worker) -> None:
    worker.set("routing.strategy", "round_robin")
    route = worker.orchestrator.routes.route_of(request_of().asked)
    assert (worker.orchestrator.routes.routing.strategy, route.strategy) == ("round_robin",) * 2
    worker.unset("routing.strategy")
    assert worker.orchestrator.routes.routing.strategy == "priority"


async def test_disabled_provider_is_asked_by_nobody_until_it_is_enabled_again(
    worker: _Worker,
) -> None:
    board, openai = worker.orchestrator.board, worker.target(_OPENAI)
    assert worker.providers() == ["anthropic", "openai"]

    worker.set("providers.openai.enabled", value=False)
    assert worker.providers() == ["anthropic"]
    with pytest.raises(NoTargetError, match="openai is not configured here; ask one of: anthropic"):
        worker.providers(provider_override="openai")
    assert not board.admits(openai)
    assert not board.view(_OPENAI).enabled

    worker.unset("providers.openai.enabled")
    assert worker.providers() == ["anthropic", "openai"]
    assert board.admits(openai)


async def test_default_provider_that_is_disabled_leaves_its_place_to_the_next(
    worker: _Worker,
) -> None:
    worker.set("providers.anthropic.enabled", value=False)
    assert worker.orchestrator.routes.first_target().provider is _OPENAI


async def test_provider_with_a_key_that_is_off_at_start_can_be_enabled() -> None:
    worker = _worker(LLM_WORKER_PROVIDERS__OPENAI__ENABLED="false")
    assert worker.providers() == ["anthropic"]
    assert not worker.orchestrator.board.admits(worker.target(_OPENAI))

    worker.set("providers.openai.enabled", value=True)
    assert worker.providers() == ["anthropic", "openai"]
    assert worker.orchestrator.board.admits(worker.target(_OPENAI))
    assert worker.orchestrator.board.view(_OPENAI).max_in_flight == 75


async def test_mock_can_be_enabled_and_is_still_asked_by_nobody_who_does_not_name_it(
    worker: _Worker,
) -> None:
    worker.set("providers.mock.enabled", value=True)
    assert worker.providers() == ["anthropic", "openai"]
    assert worker.providers(provider_override="mock") == ["mock"]


async def test_stand_in_is_the_only_provider_that_is_made() -> None:
    assert list(_worker(USE_MOCK_LLM="true").parts.providers) == [_MOCK]


async def test_verdict_is_found_again_where_the_same_providers_are_enabled(
    worker: _Worker,
) -> None:
    both = worker.cache_key()
    worker.set("providers.openai.enabled", value=False)
    one = worker.cache_key()
    worker.set("routing.strategy", "round_robin")
    assert worker.cache_key() == one
    worker.unset("providers.openai.enabled")
    assert worker.cache_key() == both != one
    # As after a restart with that setting.
    assert _worker(LLM_WORKER_PROVIDERS__OPENAI__ENABLED="false").cache_key() == one


async def test_provider_has_a_connection_for_every_call_that_may_go(worker: _Worker) -> None:
    provider = cast("HttpProvider", worker.parts.providers[_OPENAI])
    client: Any = cast("Any", provider.transport).get_client()
    assert client.connector.limit == 0
    await client.close()


def test_provider_that_is_left_out_is_told_as_the_settings_now_have_it(worker: _Worker) -> None:
    google = left_out_providers(worker.settings)[ProviderName.GOOGLE]
    assert (google.enabled, google.configured) == (False, False)
    worker = _worker(LLM_WORKER_PROVIDERS__GOOGLE__ENABLED="true")
    assert left_out_providers(worker.settings)[ProviderName.GOOGLE].enabled
    worker.set("providers.google.enabled", value=False)
    assert not left_out_providers(worker.settings)[ProviderName.GOOGLE].enabled


@pytest.fixture
def _root_level_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)


@pytest.mark.usefixtures("_root_level_as_it_was")
def test_level_of_the_log_follows(worker: _Worker) -> None:
    worker.set("log.level", "debug")
    assert logging.getLogger().level == logging.DEBUG
    worker.unset("log.level")
    assert logging.getLogger().level == logging.INFO


async def test_settings_that_hold_already_change_nothing(worker: _Worker) -> None:
    def told() -> list[object]:
        board = worker.orchestrator.board
        return [
            worker.providers(),
            worker.parts.slots.total,
            worker.in_flight.window,
            worker.orchestrator.attempts_at_most,
            *(board.view(name) for name in (_ANTHROPIC, _OPENAI)),
            board.breaker_states(),
        ]

    worker.orchestrator.board.gates[_OPENAI].slow_down()
    before = told()
    worker.set("budget.daily_usd", 5)
    worker.set("max_in_flight", 100)
    assert told() == before


def test_every_provider_with_a_key_is_made_at_start(worker: _Worker) -> None:
    assert list(worker.parts.providers) == [_ANTHROPIC, _OPENAI, _MOCK]
