from __future__ import annotations

from dataclasses import replace

import pytest

from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.routing import Place, Routing, Rule, Traits
from llm_worker.domain.strategies import Strategy

_PLACES = (Place(provider=ProviderName.OPENAI),)
_TRAITS = Traits(
    organization="huledu-north", model="gpt-5-mini", lane=Lane.BULK, prompt_bytes=5_000
)


def _rule(**conditions: object) -> Rule:
    return replace(Rule(places=_PLACES), **conditions)  # type: ignore[arg-type] # a case of the tables below


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"organization": "huledu-north"},
        {"organization": "huledu-*"},
        {"model": "gpt-5*"},
        {"model": "gpt-[45]-mini"},
        {"lane": Lane.BULK},
        {"min_bytes": 5_000},
        {"max_bytes": 5_000},
        {"organization": "*north", "model": "*", "lane": Lane.BULK, "max_bytes": 10_000},
    ],
)
def test_rule_is_about_requests_that_have_all_its_traits(conditions: dict[str, object]) -> None:
    assert _rule(**conditions).matches(_TRAITS)


@pytest.mark.parametrize(
    "conditions",
    [
        {"organization": "huledu"},
        {"organization": "HULEDU-*"},
        {"model": "claude-*"},
        {"lane": Lane.NORMAL},
        {"min_bytes": 5_001},
        {"max_bytes": 4_999},
        {"organization": "huledu-*", "model": "gpt-*", "lane": Lane.NORMAL},
    ],
)
def test_rule_is_not_about_requests_that_lack_one(conditions: dict[str, object]) -> None:
    assert not _rule(**conditions).matches(_TRAITS)


@pytest.mark.parametrize("conditions", [{"organization": "*"}, {"model": "*"}])
def test_pattern_needs_a_name_to_look_at(conditions: dict[str, object]) -> None:
    nameless = replace(_TRAITS, organization=None, model=None)
    assert not _rule(**conditions).matches(nameless)
    assert _rule().matches(nameless)


def test_first_rule_that_matches_is_followed() -> None:
    rules = (_rule(lane=Lane.NORMAL), _rule(model="gpt-*"), _rule())
    routing = Routing(places=_PLACES, strategy=Strategy.PRIORITY, rules=rules)
    assert routing.rule_for(_TRAITS) is rules[1]
    assert routing.rule_for(replace(_TRAITS, lane=Lane.NORMAL)) is rules[0]
    assert routing.rule_for(replace(_TRAITS, model=None)) is rules[2]


def test_no_rule_is_followed_where_none_matches() -> None:
    rules = (_rule(min_bytes=10_000),)
    assert (
        Routing(places=_PLACES, strategy=Strategy.PRIORITY, rules=rules).rule_for(_TRAITS) is None
    )
