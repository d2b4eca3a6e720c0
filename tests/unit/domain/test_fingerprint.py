from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.contracts.request import LLMComparisonRequestV1, LLMConfigOverrides
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain import fingerprint
from llm_worker.domain.fingerprint import fingerprint_of
from llm_worker.domain.outcome import Target
from llm_worker.domain.routing import Route
from llm_worker.domain.strategies import Strategy

_FIRST = Target(provider=ProviderName.ANTHROPIC, model="claude-haiku-4-5")
_SECOND = Target(provider=ProviderName.OPENAI, model="gpt-5-mini")
_ROUTE = Route((_FIRST, _SECOND), Strategy.PRIORITY)

_PLAIN: dict[str, Any] = {
    "user_prompt": "Which essay argues better?",
    "essay_a": "Dogs are loyal.",
    "essay_b": "Cats are clever: Zoë's is.",
    "replicate": 0,
    "system_prompt_override": None,
    "temperature_override": None,
    "max_tokens_override": None,
    "reasoning_effort": None,
    "output_verbosity": None,
}
_texts = st.text(st.characters(exclude_categories=["Cs"]))
_SHAPING: dict[str, st.SearchStrategy[object]] = {
    "user_prompt": _texts.filter(lambda text: bool(text.strip())),
    "essay_a": _texts,
    "essay_b": _texts,
    "replicate": st.integers(0, 2**31),
    "system_prompt_override": st.none() | _texts,
    "temperature_override": st.none() | st.floats(0.0, 2.0),
    "max_tokens_override": st.none() | st.integers(1, 10**6),
    "reasoning_effort": st.none() | st.sampled_from(["none", "low", "medium", "high"]),
    "output_verbosity": st.none() | st.sampled_from(["low", "medium", "high"]),
}
# They shape it through the route's targets.
_THROUGH_THE_ROUTE = {"provider_override", "model_override"}
_NOT_SHAPING: dict[str, st.SearchStrategy[object]] = {
    "callback_topic": st.none() | _texts,
    "correlation_id": st.none() | st.uuids(),
    "user_id": st.none() | st.text(max_size=256),
    "organization_id": st.none() | st.text(max_size=256),
    "metadata": st.dictionaries(st.text(), st.integers() | st.text()),
    "cache_mode": st.sampled_from(["use", "refresh", "bypass"]),
    "not_after": st.none() | st.just("2026-11-23T10:00:00Z"),
}
_OWN = LLMComparisonRequestV1.model_fields.keys() - {"llm_config_overrides"}
_WANTED = LLMConfigOverrides.model_fields.keys()


def _asked(fields: dict[str, Any]) -> LLMComparisonRequestV1:
    wanted = {name: value for name, value in fields.items() if name in _WANTED}
    own = {name: value for name, value in fields.items() if name in _OWN}
    return LLMComparisonRequestV1.model_validate(own | {"llm_config_overrides": wanted})


def _key(route: Route = _ROUTE, **changes: Any) -> str:  # noqa: ANN401 - any field
    return fingerprint_of(_asked(_PLAIN | changes), route)


@given(st.fixed_dictionaries(_SHAPING), *[st.fixed_dictionaries(_NOT_SHAPING)] * 2)
def test_same_question_has_one_key_whoever_asks(
    question: dict[str, Any], one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert _key(**question, **one) == _key(**question, **other)


@pytest.mark.parametrize("name", _SHAPING)
@given(data=st.data())
def test_different_anything_that_shapes_the_answer_is_another_key(
    name: str, data: st.DataObject
) -> None:
    two = st.tuples(_SHAPING[name], _SHAPING[name])
    one, other = data.draw(two.filter(lambda pair: pair[0] != pair[1]))
    changes: tuple[dict[str, Any], ...] = ({name: one}, {name: other})
    assert _key(**changes[0]) != _key(**changes[1])


@given(*[st.fixed_dictionaries(_SHAPING)] * 2)
def test_keys_are_the_same_exactly_where_questions_are(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert (_key(**one) == _key(**other)) == (_asked(one) == _asked(other))


@given(_texts, _texts, _texts)
def test_where_one_text_ends_and_the_next_begins_matters(head: str, middle: str, tail: str) -> None:
    same = middle == ""
    one = _key(essay_a=head + middle, essay_b=tail)
    assert (one == _key(essay_a=head, essay_b=middle + tail)) == same
    with_prompt = _key(user_prompt="?" + head + middle, essay_a=tail)
    assert (with_prompt == _key(user_prompt="?" + head, essay_a=middle + tail)) == same


def test_whole_texts_are_in_it_and_not_their_beginnings() -> None:
    essay = "word " * 40_000
    assert _key(essay_a=essay + "a") != _key(essay_a=essay + "b")


def test_essays_in_their_fields_are_not_those_within_the_prompt() -> None:
    assert _key(essay_a=None, essay_b=None) != _key(essay_a="", essay_b="")


def test_no_overrides_are_the_same_as_empty_ones() -> None:
    bare = LLMComparisonRequestV1(user_prompt="Which?")
    empty = LLMComparisonRequestV1(user_prompt="Which?", llm_config_overrides=LLMConfigOverrides())
    assert fingerprint_of(bare, _ROUTE) == fingerprint_of(empty, _ROUTE)


@pytest.mark.parametrize(
    "targets",
    [
        (_SECOND, _FIRST),
        (_FIRST,),
        (_FIRST, replace(_SECOND, model="gpt-5")),
        (replace(_FIRST, provider=ProviderName.OPENROUTER), _SECOND),
        (Target(provider=ProviderName.MOCK, model="mock-judge-1"),),
    ],
    ids=["order", "fewer", "model", "provider", "mock"],
)
def test_other_targets_are_another_key(targets: tuple[Target, ...]) -> None:
    assert _key(Route(targets, _ROUTE.strategy)) != _key()


def test_how_the_targets_are_chosen_from_does_not_matter() -> None:
    assert _key(Route(_ROUTE.targets, Strategy.LEAST_COST)) == _key()


@pytest.mark.parametrize("version", ["FORM_VERSION", "PROMPT_VERSION", "SCHEMA_VERSION"])
def test_new_version_of_our_own_texts_is_another_key(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _key()
    monkeypatch.setattr(fingerprint, version, 1_000)
    assert _key() != before


def test_every_field_of_a_request_is_known_to_shape_the_answer_or_not_to() -> None:
    # A new field? Put it into fingerprint_of and _SHAPING, or into _NOT_SHAPING.
    assert set(_OWN | _WANTED) == {*_SHAPING, *_NOT_SHAPING, *_THROUGH_THE_ROUTE}


def test_form_of_the_key_has_not_changed() -> None:
    # When it has to, move FORM_VERSION: verdicts that were bought under the old one are lost.
    changes: dict[str, Any] = {
        "system_prompt_override": "Judge.",
        "temperature_override": 1,
        "max_tokens_override": 500,
        "reasoning_effort": "low",
        "output_verbosity": "high",
        "replicate": 2,
    }
    assert _key(**changes) == "6088f8a5b304ac75ca8b69651dcc33a834a08fec637e29d6c595f7ddbb63900f"
