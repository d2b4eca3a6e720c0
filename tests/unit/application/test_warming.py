from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.application.routes import Routes
from llm_worker.application.warming import Sought, Unfit, recalled, sought_by
from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.cached import CachedVerdict
from llm_worker.domain.fingerprint import fingerprint_of
from llm_worker.domain.outcome import Target
from llm_worker.domain.results import completed_result
from llm_worker.domain.routing import Place, Routing, Rule
from llm_worker.domain.strategies import Strategy
from llm_worker.domain.verdict import CallFacts
from tests.support.builders import (
    NOW,
    attempt_of,
    completed_of,
    completion_of,
    request_of,
)
from tests.support.fakes import FakeModels, FakeProvider

if TYPE_CHECKING:
    from llm_worker.contracts.result import LLMComparisonResultV1
    from llm_worker.domain.request import ComparisonRequest
    from llm_worker.domain.verdict import Completion

_MOCK = Place(provider=ProviderName.MOCK)
_OPENAI = Place(provider=ProviderName.OPENAI)


def _routes(*rules: Rule, place: Place = _MOCK) -> Routes:
    mock = FakeProvider(None, default_model="mock-judge-1", models=FakeModels())
    openai = FakeProvider(
        None, name=ProviderName.OPENAI, default_model="gpt-mini", models=FakeModels(("gpt-mini",))
    )
    return Routes(
        providers={mock.name: mock, openai.name: openai},
        routing=Routing(places=(place,), strategy=Strategy.PRIORITY, rules=rules),
    )


def _sought(
    request: ComparisonRequest, routes: Routes | None = None, lane: Lane = Lane.NORMAL
) -> Sought:
    sought = sought_by(request.asked, request.prompt, routes or _routes(), lane)
    assert isinstance(sought, Sought)
    return sought


def _result(
    request: ComparisonRequest, completion: Completion | None = None, **changes: object
) -> LLMComparisonResultV1:
    completion = completion or completion_of()
    done = completed_of(request, attempt_of(completion), completion=completion)
    return completed_result(done).model_copy(update=changes)


def test_result_gives_back_the_verdict_that_was_bought() -> None:
    request = request_of(organization_id="school")
    bought = completion_of(facts=CallFacts(adjustments=("temperature: not taken",)))

    verdict = recalled(_sought(request), _result(request, bought))

    assert verdict == CachedVerdict(
        provider=ProviderName.MOCK,
        completion=bought,
        bought_by=request.correlation_id,
        organization_id="school",
        bought_at=NOW,
    )


@given(st.floats(min_value=1, max_value=5))
def test_confidence_comes_back_to_the_wire_as_it_was(confidence: float) -> None:
    request = request_of()
    sought = _sought(request)

    verdict = recalled(sought, _result(request, confidence=confidence))

    assert isinstance(verdict, CachedVerdict)
    assert _result(request, verdict.completion).confidence == confidence


def test_model_that_answered_may_be_a_version_of_the_one_that_is_asked() -> None:
    request = request_of()

    verdict = recalled(_sought(request), _result(request, model="mock-judge-1-2026-03-05"))

    assert isinstance(verdict, CachedVerdict)
    assert verdict.completion.model == "mock-judge-1-2026-03-05"


def test_unknown_cost_stays_unknown() -> None:
    request = request_of()

    verdict = recalled(_sought(request), _result(request, completion_of(cost_usd=None)))

    assert isinstance(verdict, CachedVerdict)
    assert verdict.completion.billing.cost_usd is None


def test_cached_result_names_who_paid_and_costs_nobody_knows_what() -> None:
    request, payer = request_of(), UUID(int=9)
    result = _result(request, cached=True, request_metadata={"bought_by": str(payer)})

    verdict = recalled(_sought(request), result)

    assert isinstance(verdict, CachedVerdict)
    assert verdict.bought_by == payer
    assert verdict.completion.billing.cost_usd is None
    assert verdict.saved_usd == Decimal(0)


def test_metadata_of_the_caller_names_no_payer() -> None:
    request = request_of()
    result = _result(request, request_metadata={"bought_by": str(UUID(int=9))})

    verdict = recalled(_sought(request), result)

    assert isinstance(verdict, CachedVerdict)
    assert verdict.bought_by == request.correlation_id


@pytest.mark.parametrize(
    ("changes", "unfit"),
    [
        ({"winner": None, "justification": None, "confidence": None}, Unfit.FAILED),
        ({"request_metadata": {"prompt_sha256": "0" * 64}}, Unfit.OTHER_PROMPT),
        ({"provider": ProviderName.OPENAI}, Unfit.OTHER_TARGET),
        ({"model": "mock-judge-2"}, Unfit.OTHER_TARGET),
        ({"model": "mock-judge-1-mini"}, Unfit.OTHER_TARGET),
        ({"cached": True}, Unfit.NO_PAYER),
        ({"cached": True, "request_metadata": {"bought_by": "Bob"}}, Unfit.NO_PAYER),
    ],
    ids=str,
)
def test_result_that_does_not_fit_says_why(changes: dict[str, Any], unfit: Unfit) -> None:
    request = request_of()

    assert recalled(_sought(request), _result(request, **changes)) is unfit


@pytest.mark.parametrize("mode", ["use", "refresh"])
def test_request_is_sought_where_a_worker_would_look_for_it(mode: str) -> None:
    request, routes = request_of(cache_mode=mode), _routes()

    sought = _sought(request, routes)

    assert sought.fingerprint == fingerprint_of(request.asked, routes.route_of(request.asked))
    assert sought.targets == (Target(provider=ProviderName.MOCK, model="mock-judge-1"),)


def test_lane_and_size_of_the_prompt_choose_the_rule() -> None:
    request = request_of(user_prompt="x" * 200)
    by_lane = _routes(Rule(places=(_OPENAI,), lane=Lane.BULK))
    by_size = _routes(Rule(places=(_OPENAI,), min_bytes=200))

    assert _sought(request, by_lane).targets[0].provider is ProviderName.MOCK
    assert _sought(request, by_lane, Lane.BULK).targets[0].provider is ProviderName.OPENAI
    assert _sought(request, by_size).targets[0].provider is ProviderName.OPENAI


def test_request_around_the_cache_is_not_sought() -> None:
    request = request_of(cache_mode="bypass")

    assert sought_by(request.asked, request.prompt, _routes(), Lane.NORMAL) is Unfit.BYPASS


@pytest.mark.parametrize("overrides", [{"provider": "google"}, {"model": "gpt-unheard-of"}])
def test_request_that_nobody_here_can_answer_is_not_sought(overrides: dict[str, str]) -> None:
    named = {f"{name}_override": value for name, value in overrides.items()}
    request = request_of(llm_config_overrides=named)
    routes = _routes(place=_OPENAI)

    assert sought_by(request.asked, request.prompt, routes, Lane.NORMAL) is Unfit.NO_TARGET
