from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from llm_worker.client.failures import RequestValidationError, ServiceUnavailableError
from llm_worker.client.judge import DEFAULT_PROMPT, Judge, new_request
from llm_worker.client.judgement import BothOrders, Judgement
from llm_worker.contracts.http import ComparisonAnswer
from llm_worker.contracts.vocabulary import ProviderName, Winner
from tests.support.results import golden_result

if TYPE_CHECKING:
    from llm_worker.contracts.request import LLMComparisonRequestV1


class Biased(Judge):
    """Prefers a place, or the longer essay where none is given; may fail at an essay."""

    def __init__(self, place: Winner | None = None, fails_at: str | None = None) -> None:
        self.place = place
        self.fails_at = fails_at
        self.asked: list[LLMComparisonRequestV1] = []

    @override
    async def judge(self, request: LLMComparisonRequestV1, *, timeout_s: float = 300) -> Judgement:
        self.asked.append(request)
        a, b = request.essay_a or "", request.essay_b or ""
        if a == self.fails_at:
            raise ServiceUnavailableError("not now")
        if self.fails_at is not None:
            await asyncio.Event().wait()
        longer = Winner.A if len(a) > len(b) else Winner.B
        return judgement(winner=self.place or longer, justification=f"{a} before {b}")


def judgement(**changes: object) -> Judgement:
    return Judgement.of(golden_result("verdict", **changes))


async def test_comparison_asks_for_the_two_essays_with_what_is_wished() -> None:
    judge = Biased()

    await judge.compare(
        "long essay",
        "short",
        prompt="which?",
        provider="mock",
        model="m",
        temperature=0.5,
        system_prompt="You judge.",
        max_tokens=9,
        reasoning_effort="low",
        output_verbosity="high",
        organization_id="school",
        user_id="teacher",
        metadata={"pair": 1},
        cache_mode="bypass",
        replicate=2,
    )

    (asked,) = judge.asked
    assert asked.model_dump(mode="json", exclude_none=True) == {
        "user_prompt": "which?",
        "essay_a": "long essay",
        "essay_b": "short",
        "llm_config_overrides": {
            "provider_override": "mock",
            "model_override": "m",
            "temperature_override": 0.5,
            "system_prompt_override": "You judge.",
            "max_tokens_override": 9,
            "reasoning_effort": "low",
            "output_verbosity": "high",
        },
        "organization_id": "school",
        "user_id": "teacher",
        "metadata": {"pair": 1},
        "cache_mode": "bypass",
        "replicate": 2,
    }


def test_what_is_not_wished_is_left_to_the_worker() -> None:
    request = new_request("a", "b", provider=None)

    assert request.user_prompt == DEFAULT_PROMPT
    assert request.llm_config_overrides is None


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"temperature": 3}, "temperature_override"),
        ({"provider": "nobody"}, "provider_override"),
        ({"replicate": -1}, "replicate"),
        ({"prompt": " "}, "user_prompt"),
        ({"metadata": "x"}, "metadata"),
    ],
)
def test_wrong_wish_is_named_and_no_essay_is_quoted(wishes: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestValidationError, match=field) as caught:
        new_request("a secret essay", "another secret", **wishes)

    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


async def test_both_orders_of_a_judge_that_looks_at_the_essays_agree() -> None:
    both = await Biased().compare("long essay", "short", both_orders=True)

    assert both.winner is Winner.A
    assert not both.is_tie
    assert both.justifications == ("long essay before short", "short before long essay")


@pytest.mark.parametrize("place", Winner)
async def test_both_orders_of_a_judge_that_prefers_a_place_are_a_tie(place: Winner) -> None:
    both = await Biased(place).compare("long essay", "short", both_orders=True)

    assert both.winner is None
    assert both.is_tie


async def test_failure_of_one_order_is_told_at_once() -> None:
    with pytest.raises(ServiceUnavailableError, match="not now"):
        await Biased(fails_at="short").compare("long essay", "short", both_orders=True)


def test_cost_of_both_orders_is_unknown_where_one_is() -> None:
    known = judgement(cost_estimate=0.25, cost_known=True)
    unknown = judgement(cost_estimate=0.0, cost_known=False)

    assert BothOrders(ab=known, ba=known).cost_usd == Decimal("0.5")
    assert BothOrders(ab=known, ba=unknown).cost_usd is None


def test_judgement_says_what_the_result_says() -> None:
    result = golden_result("verdict", cost_estimate=0.1, cost_known=True)

    read = Judgement.of(result)

    assert read.winner is result.winner
    assert read.cost_usd == Decimal("0.1")
    assert read.metadata == result.request_metadata
    assert read.correlation_id == result.correlation_id


def test_answer_over_http_reads_like_a_result_over_kafka() -> None:
    result = golden_result("verdict")
    answer = ComparisonAnswer.model_validate(
        result.model_dump() | {"metadata": result.request_metadata}
    )

    assert Judgement.of(answer) == Judgement.of(result)


def test_error_result_is_raised() -> None:
    with pytest.raises(Exception, match=r".") as caught:
        Judgement.of(golden_result("error", provider=ProviderName.MOCK))

    assert getattr(caught.value, "code", None) is not None


def test_wish_that_there_is_not_is_refused_before_anything_is_bought() -> None:
    with pytest.raises(TypeError, match=r"no organisation_id, temprature .* temperature"):
        new_request("a", "b", temprature=0, organisation_id="school-7")  # type: ignore[call-arg] # the point
