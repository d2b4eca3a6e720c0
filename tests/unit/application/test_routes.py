from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_worker.application.routes import Routes
from llm_worker.contracts.vocabulary import ErrorCode, Lane, ProviderName
from llm_worker.domain.errors import NoTargetError, UnknownModelError
from llm_worker.domain.outcome import Target
from llm_worker.domain.routing import Place, Routing, Rule
from llm_worker.domain.strategies import Strategy
from tests.support.builders import request_of
from tests.support.fakes import FakeModels, FakeProvider

if TYPE_CHECKING:
    from llm_worker.contracts.request import LLMComparisonRequestV1

_ANTHROPIC, _OPENAI, _GOOGLE, _MOCK = (
    ProviderName.ANTHROPIC,
    ProviderName.OPENAI,
    ProviderName.GOOGLE,
    ProviderName.MOCK,
)


def _provider(name: ProviderName, *models: str) -> FakeProvider:
    default = models[0] if models else "any-model"
    return FakeProvider(None, name=name, default_model=default, models=FakeModels(models))


def _routes(
    *rules: Rule,
    places: tuple[Place, ...] = (Place(provider=_ANTHROPIC), Place(provider=_OPENAI)),
    strategy: Strategy = Strategy.PRIORITY,
    stand_in: ProviderName | None = None,
) -> Routes:
    providers = (
        _provider(_ANTHROPIC, "claude-haiku", "claude-opus"),
        _provider(_OPENAI, "gpt-mini", "gpt-large"),
        _provider(_GOOGLE, "gemini-flash", "gpt-mini"),
        _provider(_MOCK),
    )
    return Routes(
        providers={provider.name: provider for provider in providers},
        routing=Routing(places=places, strategy=strategy, rules=rules),
        stand_in=stand_in,
    )


def _asked(organization: str | None = None, **overrides: object) -> LLMComparisonRequestV1:
    return request_of(organization_id=organization, llm_config_overrides=overrides or None).asked


def _targets(routes: Routes, asked: LLMComparisonRequestV1) -> list[tuple[str, str]]:
    return [(target.provider, target.model) for target in routes.route_of(asked).targets]


def test_request_without_wishes_goes_to_the_configured_places_with_their_default_models() -> None:
    routes = _routes(strategy=Strategy.ROUND_ROBIN)
    assert _targets(routes, _asked()) == [("anthropic", "claude-haiku"), ("openai", "gpt-mini")]
    assert routes.route_of(_asked()).strategy is Strategy.ROUND_ROBIN


def test_place_may_name_a_model() -> None:
    places = (Place(provider=_OPENAI, model="gpt-large"), Place(provider=_OPENAI))
    expected = [("openai", "gpt-large"), ("openai", "gpt-mini")]
    assert _targets(_routes(places=places), _asked()) == expected


def test_pinned_provider_has_no_fallback() -> None:
    asked = _asked(provider_override="google")
    assert _targets(_routes(), asked) == [("google", "gemini-flash")]
    asked = _asked(provider_override="google", model_override="gpt-mini")
    assert _targets(_routes(), asked) == [("google", "gpt-mini")]


def test_provider_that_is_not_there_is_told_with_those_that_are() -> None:
    routes = _routes()
    asked = _asked(provider_override="openrouter", model_override="vendor/model")
    with pytest.raises(NoTargetError, match="ask one of: anthropic, google, mock, openai") as told:
        routes.route_of(asked)
    assert told.value.code is ErrorCode.CONFIGURATION_ERROR
    assert routes.first_target(asked) == Target(
        provider=ProviderName.OPENROUTER, model="vendor/model"
    )


def test_model_goes_to_whoever_has_it_the_configured_ones_first_and_never_by_chance_the_mock() -> (
    None
):
    routes = _routes()
    assert _targets(routes, _asked(model_override="claude-opus")) == [("anthropic", "claude-opus")]
    assert _targets(routes, _asked(model_override="gpt-mini")) == [
        ("openai", "gpt-mini"),
        ("google", "gpt-mini"),
    ]


def test_mock_that_is_configured_has_every_model() -> None:
    places = (Place(provider=_OPENAI), Place(provider=_MOCK))
    routes = _routes(places=places)
    asked = _asked(model_override="gpt-large")
    assert _targets(routes, asked) == [("openai", "gpt-large"), ("mock", "gpt-large")]


@pytest.mark.parametrize("provider", [None, "openai"])
def test_model_that_nobody_has_is_told_with_the_nearest_ones(provider: str | None) -> None:
    routes, asked = _routes(), _asked(model_override="gpt-tiny", provider_override=provider)
    with pytest.raises(UnknownModelError, match="nearest: gpt-mini, gpt-large") as told:
        routes.route_of(asked)
    assert told.value.code is ErrorCode.INVALID_REQUEST
    assert "'gpt-tiny'" in told.value.message
    assert "LLM_WORKER_PROVIDERS__<NAME>__MODELS" in told.value.message
    assert routes.first_target(asked).model == "gpt-tiny"


def test_model_that_is_like_no_other_is_told_shortened() -> None:
    with pytest.raises(UnknownModelError, match="no name is like it") as told:
        _routes().route_of(_asked(model_override="x" * 256))
    assert "x" * 81 not in told.value.message


def test_pinned_model_must_be_the_pinned_providers() -> None:
    with pytest.raises(UnknownModelError, match="no model of openai;"):
        _routes().route_of(_asked(provider_override="openai", model_override="claude-opus"))


def test_rule_decides_places_and_strategy() -> None:
    rule = Rule(
        places=(Place(provider=_GOOGLE), Place(provider=_MOCK, model="mock-9")),
        organization="north-*",
        strategy=Strategy.LEAST_COST,
    )
    routes = _routes(rule)
    route = routes.route_of(_asked("north-1"))
    assert [(target.provider, target.model) for target in route.targets] == [
        ("google", "gemini-flash"),
        ("mock", "mock-9"),
    ]
    assert route.strategy is Strategy.LEAST_COST
    assert _targets(routes, _asked("south-1"))[0] == ("anthropic", "claude-haiku")


def test_rule_without_a_strategy_keeps_the_configured_one() -> None:
    routes = _routes(Rule(places=(Place(provider=_GOOGLE),)), strategy=Strategy.LEAST_LATENCY)
    assert routes.route_of(_asked()).strategy is Strategy.LEAST_LATENCY


def test_rule_by_model_keeps_the_request_within_its_places() -> None:
    routes = _routes(Rule(places=(Place(provider=_GOOGLE),), model="gpt-*"))
    assert _targets(routes, _asked(model_override="gpt-mini")) == [("google", "gpt-mini")]
    with pytest.raises(UnknownModelError, match="no model of google;"):
        routes.route_of(_asked(model_override="gpt-large"))


def test_rule_by_lane_and_by_size_looks_at_the_request() -> None:
    routes = _routes(
        Rule(places=(Place(provider=_GOOGLE),), lane=Lane.BULK),
        Rule(places=(Place(provider=_OPENAI),), min_bytes=10_000),
    )
    asked = _asked()
    bulk = routes.route_of(asked, lane=Lane.BULK, prompt_bytes=10_000)
    large = routes.route_of(asked, lane=Lane.NORMAL, prompt_bytes=10_000)
    other = routes.route_of(asked, lane=Lane.NORMAL, prompt_bytes=9_999)
    firsts = [route.targets[0].provider for route in (bulk, large, other)]
    assert firsts == [_GOOGLE, _OPENAI, _ANTHROPIC]


def test_pinned_provider_is_followed_whatever_the_rules_say() -> None:
    routes = _routes(Rule(places=(Place(provider=_GOOGLE),)))
    assert _targets(routes, _asked(provider_override="openai")) == [("openai", "gpt-mini")]


def test_stand_in_answers_for_everybody() -> None:
    routes = _routes(Rule(places=(Place(provider=_GOOGLE),)), stand_in=_MOCK)
    asked = _asked(provider_override="openrouter", model_override="vendor/model")
    assert _targets(routes, asked) == [("mock", "vendor/model")]
    assert routes.first_target() == Target(provider=_MOCK, model="any-model")


def test_first_target_is_the_first_place_where_nothing_is_asked() -> None:
    assert _routes().first_target() == Target(provider=_ANTHROPIC, model="claude-haiku")
    pinned = _routes().first_target(_asked(provider_override="google"))
    assert pinned == Target(provider=_GOOGLE, model="gemini-flash")


def test_same_route_is_the_same_object_for_every_request() -> None:
    routes = _routes()
    assert routes.route_of(_asked()) is routes.route_of(_asked("north-1"))


def test_configured_targets_are_those_of_places_and_rules_and_every_default() -> None:
    rule = Rule(places=(Place(provider=_ANTHROPIC, model="claude-opus"),))
    targets = [(each.provider, each.model) for each in _routes(rule).configured()]
    assert targets == [
        ("anthropic", "claude-haiku"),
        ("openai", "gpt-mini"),
        ("anthropic", "claude-opus"),
        ("google", "gemini-flash"),
        ("mock", "any-model"),
    ]
