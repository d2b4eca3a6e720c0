"""The parts of /api/v1/state that are made of facts alone: providers, spend, settings."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from llm_worker.adapters.kafka.rendering import EventRenderer
from llm_worker.application.gate import Limits
from llm_worker.application.switchboard import Switchboard
from llm_worker.bootstrap import load_settings
from llm_worker.bootstrap.providers.states import provider_states
from llm_worker.bootstrap.runtime.settings import ControlledSettings
from llm_worker.bootstrap.spend.states import budget_state
from llm_worker.bootstrap.web.settings_shown import settings_shown
from llm_worker.contracts.events import LLMControlV1
from llm_worker.contracts.state import PeriodSpend
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.breaker import CircuitBreaker
from llm_worker.domain.budgets import Allowance, Budgets
from llm_worker.domain.control_events import control_event
from llm_worker.domain.errors import ProviderDownError
from llm_worker.domain.ledger import Account
from llm_worker.domain.spend import EVERYTHING, AccountKey, Scope
from llm_worker.domain.spend_view import SpendView
from tests.support.builders import NOW, TARGET, TOPICS, attempt_of, completion_of
from tests.support.fakes import FakeProvider, ManualClock, RecordingTelemetry
from tests.support.spend import COSTS, DAY, REQUESTS

if TYPE_CHECKING:
    from pathlib import Path

_MOCK, _OPENAI = ProviderName.MOCK, ProviderName.OPENAI
_DAILY = "budget.daily_usd"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def board() -> Switchboard:
    return Switchboard(
        providers={_MOCK: FakeProvider(completion_of())},
        limits={_MOCK: Limits(max_in_flight=9)},
        weights={},
        new_breaker=lambda: CircuitBreaker(failure_threshold=1, recovery_timeout_s=60),
        clock=ManualClock(NOW),
        telemetry=RecordingTelemetry(),
    )


@pytest.fixture
def spend() -> SpendView:
    view = SpendView()
    for scope, period, usd in (
        (EVERYTHING, DAY, "1.25"),
        (EVERYTHING, DAY[:7], "20"),
        (Scope(provider=_MOCK), DAY, "0.75"),
        (Scope(provider=_OPENAI), DAY, "0.50"),
        (Scope(provider=_OPENAI), DAY[:7], "99"),
    ):
        account = Account(
            cost_usd=Decimal(usd), unknown_costs=2, savings_usd=Decimal("0.1"), last_offset=0
        )
        view.put(AccountKey(scope, period, COSTS), account)
    view.put(AccountKey(EVERYTHING, DAY, REQUESTS), Account(requests=7, failures=3, last_offset=0))
    return view


def test_provider_that_is_called_is_told_as_it_stands(board: Switchboard, spend: SpendView) -> None:
    error = ProviderDownError("mock is down")
    board.scored(attempt_of(completion_of()))
    board.scored(attempt_of(error))
    board.ended(TARGET, error)
    [state, *_] = provider_states(load_settings({}), [board.view(_MOCK)], spend, DAY)
    assert (state.name, state.enabled, state.configured, state.remedy) == (_MOCK, True, True, None)
    assert (state.breaker, [each.model for each in state.breakers]) == ("open", [TARGET.model])
    assert state.breakers[0].since == NOW
    assert (state.attempts, state.failures, state.success_rate) == (2, 1, 0.5)
    assert (state.p50_response_ms, state.last_error) == (12, "mock is down")
    assert (state.max_in_flight, state.allowed) == (9, 2)
    assert (state.cost_today_usd, state.unknown_costs_today) == (Decimal("0.75"), 2)


def test_provider_that_is_not_called_is_told_with_what_it_lacks(
    board: Switchboard, spend: SpendView
) -> None:
    settings = load_settings(
        {"GEMINI_API_KEY": "k", "LLM_WORKER_PROVIDERS__GOOGLE__ENABLED": "false"}
    )
    states = provider_states(settings, [board.view(_MOCK)], spend, DAY)
    assert [state.name for state in states] == [
        _MOCK,
        *(name for name in ProviderName if name is not _MOCK),
    ]
    of = {state.name: state for state in states}
    openai, google = of[_OPENAI], of[ProviderName.GOOGLE]
    assert (openai.enabled, openai.configured) == (False, False)
    assert openai.remedy == "set LLM_WORKER_PROVIDERS__OPENAI__API_KEY"
    assert openai.default_model
    assert (google.enabled, google.configured) == (False, True)
    assert google.remedy == "run `llm-worker config set providers.google.enabled true`"
    assert openai.cost_today_usd == Decimal("0.50"), "another worker may call it"
    assert google.cost_today_usd == 0
    assert of[ProviderName.SELF_HOSTED].default_model is None


def test_provider_that_is_switched_off_while_it_runs_is_told_with_the_remedy(
    board: Switchboard,
) -> None:
    view = replace(board.view(_MOCK), enabled=False, attempts=7)
    states = {state.name: state for state in provider_states(load_settings({}), [view], None, DAY)}
    mock = states[_MOCK]
    assert (mock.enabled, mock.attempts) == (False, 7)
    assert mock.remedy == "run `llm-worker config set providers.mock.enabled true`"


def test_provider_that_the_mock_stands_in_for_is_told_with_the_remedy(board: Switchboard) -> None:
    settings = load_settings({"USE_MOCK_LLM": "true", "OPENAI_API_KEY": "k"})
    of = {state.name: state for state in provider_states(settings, [board.view(_MOCK)], None, DAY)}
    assert (of[_MOCK].remedy, of[_OPENAI].remedy) == (None, "unset LLM_WORKER_USE_MOCK_LLM")


def test_cost_of_today_is_unknown_until_the_totals_are_read(board: Switchboard) -> None:
    states = provider_states(load_settings({}), [board.view(_MOCK)], None, DAY)
    assert {(state.cost_today_usd, state.unknown_costs_today) for state in states} == {(None, None)}


def test_spend_is_told_against_the_overall_limits(spend: SpendView) -> None:
    budgets = Budgets(overall=Allowance(daily_usd=Decimal(10), is_hard=True))
    state = budget_state(spend, budgets, NOW, reserved_usd=Decimal("0.02"))
    assert (state.known, state.hard, state.reserved_usd) == (True, True, Decimal("0.02"))
    assert state.today == PeriodSpend(
        period=DAY,
        requests=7,
        failures=3,
        cost_usd=Decimal("1.25"),
        unknown_costs=2,
        savings_usd=Decimal("0.1"),
        limit_usd=Decimal(10),
    )
    assert state.month is not None
    assert (state.month.period, state.month.cost_usd) == (DAY[:7], Decimal(20))
    assert state.month.limit_usd is None


def test_money_is_written_as_plain_decimal_text(spend: SpendView) -> None:
    budgets = Budgets(overall=Allowance(daily_usd=Decimal("1E+2")))
    written = budget_state(spend, budgets, NOW, reserved_usd=Decimal("1E-7")).model_dump(
        mode="json"
    )
    assert (written["reserved_usd"], written["today"]["limit_usd"]) == ("0.0000001", "100")


def test_spend_is_unknown_until_the_totals_are_read() -> None:
    state = budget_state(None, Budgets(), NOW, reserved_usd=Decimal(0))
    assert (state.known, state.today, state.month) == (False, None, None)


def _shown(controlled: ControlledSettings) -> dict[str, dict[str, Any]]:
    return {state.name: state.model_dump(mode="json") for state in settings_shown(controlled)}


def _set(controlled: ControlledSettings, name: str, value: object, **facts: Any) -> None:  # noqa: ANN401 - as the wire has it
    change = LLMControlV1(setting=name, value=value, changed_by="ops", changed_at=NOW, **facts)
    record = EventRenderer(TOPICS).render(control_event(change))
    controlled.take(record.key, record.value)


def test_setting_of_the_environment_is_told_with_its_source() -> None:
    controlled = ControlledSettings(load_settings({"LLM_WORKER_DRAIN_S": "90"}))
    assert _shown(controlled) == {
        "drain_s": {
            "name": "drain_s",
            "value": 90,
            "source": "environment",
            "changed_by": None,
            "changed_at": None,
            "reason": None,
        }
    }


def test_what_the_control_topic_sets_is_told_with_who_and_why() -> None:
    controlled = ControlledSettings(load_settings({"LLM_WORKER_BUDGET__DAILY_USD": "5"}))
    _set(controlled, _DAILY, "7.50", reason="exam week")
    [shown] = _shown(controlled).values()
    assert shown == {
        "name": _DAILY,
        "value": "7.50",
        "source": "control",
        "changed_by": "ops",
        "changed_at": "2026-11-23T10:00:00Z",
        "reason": "exam week",
    }


def test_change_back_to_the_default_is_told_until_it_is_unset() -> None:
    controlled = ControlledSettings(load_settings({"LLM_WORKER_BUDGET__HARD": "true"}))
    _set(controlled, "budget.hard", value=False)
    assert _shown(controlled)["budget.hard"]["value"] is False
    controlled.take(b"budget.hard", None)
    assert _shown(controlled)["budget.hard"]["source"] == "environment"


def test_change_that_does_not_hold_is_not_told_as_if_it_did() -> None:
    controlled = ControlledSettings(
        load_settings({}), checks=lambda _settings, changed: ["no"] if _DAILY in changed else []
    )
    _set(controlled, _DAILY, "7.50")
    assert controlled.ignored
    assert _shown(controlled) == {}
