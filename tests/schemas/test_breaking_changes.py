"""The gate, tried with changes that a developer might make to the shipped schemas."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from llm_worker.contracts.documents.compatibility import Direction, Schema, breaking_changes
from llm_worker.contracts.documents.schemas import ENVELOPE, EVENTS, schema_of

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST = "LLMComparisonRequestV1"
RESULT = "LLMComparisonResultV1"
COST = "LLMCostTrackingV1"
SPEND = "LLMSpendStateV1"

Mutation = tuple[str, "Callable[[Schema], object]", str]


def _field(name: str, **keywords: object) -> Callable[[Schema], object]:
    """Set keywords of a field (`a.b` for one of a definition); None takes a keyword away."""

    def mutate(schema: Schema) -> None:
        owner, _, field = name.rpartition(".")
        fields = (schema["$defs"][owner] if owner else schema)["properties"]
        changed = fields.get(field, {}) | keywords
        fields[field] = {key: value for key, value in changed.items() if value is not None}

    return mutate


def _nullable(name: str, **keywords: object) -> Callable[[Schema], object]:
    """Set keywords of the part of a nullable field that is not null."""

    def mutate(schema: Schema) -> None:
        schema["properties"][name]["anyOf"][0].update(keywords)

    return mutate


def _without(name: str) -> Callable[[Schema], object]:
    def mutate(schema: Schema) -> None:
        del schema["properties"][name]
        schema["required"] = [field for field in schema["required"] if field != name]

    return mutate


def _values(name: str, *values: str) -> Callable[[Schema], object]:
    return lambda schema: schema["$defs"][name].update(enum=list(values))


def _required(*names: str) -> Callable[[Schema], object]:
    return lambda schema: schema.update(required=[*schema["required"], *names])


def _optional(name: str) -> Callable[[Schema], object]:
    return lambda schema: schema["required"].remove(name)


def _both(*mutations: Callable[[Schema], object]) -> Callable[[Schema], object]:
    return lambda schema: [mutate(schema) for mutate in mutations]


def _breaks(name: str, mutate: Callable[[Schema], object], direction: Direction) -> list[str]:
    released = schema_of(name)
    current = copy.deepcopy(released)
    mutate(current)
    assert current != released
    return breaking_changes(released, current, direction=direction)


PROVIDERS = ("anthropic", "openai", "google", "openrouter", "self_hosted", "mock")

# Less is allowed than before: what is sent, or was kept, under the released schema is refused.
NARROWING: list[Mutation] = [
    (REQUEST, _required("essay_a"), "essay_a became required"),
    (
        REQUEST,
        _both(_field("essay_c", type="string"), _required("essay_c")),
        "essay_c is new and required",
    ),
    (REQUEST, _values("CacheMode", "use", "refresh"), "cache_mode lost the value 'bypass'"),
    (RESULT, _values("Winner", "Essay B"), "winner lost the value 'Essay A'"),
    (RESULT, _nullable("justification", maxLength=300), "justification: maxLength 500 -> 300"),
    (REQUEST, _nullable("essay_a", maxLength=9), "essay_a: maxLength none -> 9"),
    (REQUEST, _field("replicate", minimum=1), "replicate: minimum 0 -> 1"),
    (
        REQUEST,
        _field("callback_topic", anyOf=[{"type": "string"}]),
        "callback_topic: type string or null -> string",
    ),
    (RESULT, _field("cost_estimate", type="integer"), "cost_estimate: type number -> integer"),
    (REQUEST, _field("user_prompt", format="email"), "user_prompt: format none -> email"),
    (REQUEST, _field("user_prompt", const="x"), "user_prompt allows only ['x'] now"),
    (REQUEST, _field("cache_mode", default="bypass"), "cache_mode: default 'use' -> 'bypass'"),
    (REQUEST, _field("user_id", default="me"), "user_id: default None -> 'me'"),
    (
        REQUEST,
        lambda schema: schema.update(additionalProperties=False),
        "*: type any -> nothing",
    ),
    (
        REQUEST,
        _field("LLMConfigOverrides.max_tokens_override", anyOf=[{"type": "null"}]),
        "llm_config_overrides.max_tokens_override: type integer or null -> null",
    ),
    (
        COST,
        _field("metadata", additionalProperties={"type": "string"}),
        "metadata.*: type any -> string",
    ),
    (SPEND, _field("alerts_raised", maxItems=3), "alerts_raised: maxItems none -> 3"),
]

# More is allowed than before: a reader of the released schema meets what it does not know.
WIDENING: list[Mutation] = [
    (RESULT, _optional("model"), "model became optional"),
    (RESULT, _values("Winner", "Essay A", "Essay B", "Tie"), "winner gained the value 'Tie'"),
    (
        COST,
        _values("ProviderName", *PROVIDERS, "acme"),
        "provider gained the value 'acme'",
    ),
    (RESULT, _nullable("justification", maxLength=900), "justification: maxLength 500 -> 900"),
    (RESULT, _nullable("confidence", minimum=0), "confidence: minimum 1 -> 0"),
    (RESULT, _field("cost_estimate", minimum=None), "cost_estimate: minimum 0 -> none"),
    (RESULT, _field("attempts", type="number"), "attempts: type integer -> number"),
    (
        RESULT,
        _field("model", type=None, anyOf=[{"type": "string"}, {"type": "null"}]),
        "model: type string -> string or null",
    ),
    (RESULT, lambda schema: schema["$defs"]["Winner"].pop("enum"), "winner allows more than"),
    (
        COST,
        _field("token_usage", additionalProperties={"type": "number"}),
        "token_usage.*: type integer -> number",
    ),
    (COST, _field("token_usage", additionalProperties=True), "token_usage.*: type integer -> any"),
    (SPEND, _field("alerts_raised", items={}), "alerts_raised[]: type string -> any"),
    (SPEND, _field("cost_usd", pattern=None), "cost_usd: pattern ^[0-9]+"),
]

BREAKING_BOTH_WAYS: list[Mutation] = [
    (REQUEST, _without("not_after"), "not_after was removed"),
    (RESULT, _without("cached"), "cached was removed"),
    (COST, _field("cost_estimate_usd", type="string"), "cost_estimate_usd: type number -> string"),
    (SPEND, _field("updated_at", format="date"), "updated_at: format date-time -> date"),
    (SPEND, _field("cost_usd", pattern="^[0-9]+$"), "cost_usd: pattern ^[0-9]+"),
    (ENVELOPE, _field("data", type="array"), "data: type object -> array"),
]

HARMLESS: list[tuple[str, Callable[[Schema], object]]] = [
    (REQUEST, _field("essay_language", anyOf=[{"type": "string"}, {"type": "null"}])),
    (RESULT, _field("seed", type="integer", default=0)),
    (RESULT, _field("model", description="Who judged.", examples=["m"], title="Model")),
    (ENVELOPE, _field("replayed_from", type="string", default="")),
    (RESULT, lambda schema: schema.update(required=sorted(schema["required"]))),
    (RESULT, _values("Winner", "Essay B", "Essay A")),
]


@pytest.mark.parametrize(("name", "mutate", "words"), NARROWING)
def test_who_sends_to_us_is_broken_by_less_and_who_reads_us_is_not(
    name: str, mutate: Callable[[Schema], object], words: str
) -> None:
    for direction in (Direction.CONSUMED, Direction.BOTH):
        (found,) = _breaks(name, mutate, direction)
        assert found.startswith(words)
    assert _breaks(name, mutate, Direction.PRODUCED) == []


@pytest.mark.parametrize(("name", "mutate", "words"), WIDENING)
def test_who_reads_us_is_broken_by_more_and_who_sends_to_us_is_not(
    name: str, mutate: Callable[[Schema], object], words: str
) -> None:
    for direction in (Direction.PRODUCED, Direction.BOTH):
        (found,) = _breaks(name, mutate, direction)
        assert found.startswith(words)
    assert _breaks(name, mutate, Direction.CONSUMED) == []


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("name", "mutate", "words"), BREAKING_BOTH_WAYS)
def test_some_changes_break_everybody(
    name: str, mutate: Callable[[Schema], object], words: str, direction: Direction
) -> None:
    (found,) = _breaks(name, mutate, direction)

    assert found.startswith(words)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("name", "mutate"), HARMLESS)
def test_harmless_changes_are_accepted(
    name: str, mutate: Callable[[Schema], object], direction: Direction
) -> None:
    assert _breaks(name, mutate, direction) == []


def test_a_reader_does_not_mind_a_new_required_field() -> None:
    mutate = _both(_field("seed", type="integer"), _required("seed"))

    assert _breaks(RESULT, mutate, Direction.PRODUCED) == []


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("name", [ENVELOPE, *EVENTS])
def test_an_unchanged_schema_breaks_nobody(name: str, direction: Direction) -> None:
    assert breaking_changes(schema_of(name), schema_of(name), direction=direction) == []


@pytest.mark.parametrize("name", [ENVELOPE, *EVENTS])
def test_every_field_of_every_event_is_watched(name: str) -> None:
    for field in schema_of(name)["properties"]:

        def mutate(schema: Schema, field: str = field) -> None:
            schema["properties"][field] = {"type": "array", "items": {"type": "null"}}

        assert _breaks(name, mutate, Direction.BOTH)


def test_bounds_are_compared_across_the_two_types_of_numbers() -> None:
    mutate = _field("attempts", type="number", minimum=-1)

    assert _breaks(RESULT, mutate, Direction.PRODUCED) == [
        "attempts: type integer -> number",
        "attempts: minimum 0 -> -1",
    ]


def test_alternatives_of_one_type_are_compared_by_position() -> None:
    def union(*lengths: int) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "maxLength": length} for length in lengths]}

    found = breaking_changes(union(5, 9), union(3, 9), direction=Direction.CONSUMED)

    assert found == ["the event: maxLength 5 -> 3"]
