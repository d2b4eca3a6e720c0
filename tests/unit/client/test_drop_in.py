from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from typing_extensions import override

from llm_worker.client.drop_in import PromptProvider
from llm_worker.client.failures import RateLimitError, RequestValidationError
from llm_worker.client.judge import Judge
from llm_worker.client.judgement import Judgement
from llm_worker.contracts.http import ComparisonAnswer
from llm_worker.contracts.result import TokenUsage
from llm_worker.contracts.vocabulary import ProviderName, Winner

if TYPE_CHECKING:
    from llm_worker.contracts.request import LLMComparisonRequestV1

PROMPT = "Which is better?\n\n**Essay A (ID: 1):**\nDogs.\n\n**Essay B (ID: 2):**\nCats."


class FakeJudge(Judge):
    """Answers every request with one verdict, or one error."""

    def __init__(self, cost_usd: Decimal | None = Decimal("0.25")) -> None:
        self.cost_usd = cost_usd
        self.error: Exception | None = None
        self.asked: list[LLMComparisonRequestV1] = []
        self.timeout_s = 0.0

    @override
    async def judge(self, request: LLMComparisonRequestV1, *, timeout_s: float = 300) -> Judgement:
        self.asked.append(request)
        self.timeout_s = timeout_s
        if self.error is not None:
            raise self.error
        return Judgement(
            winner=Winner.B,
            justification="because",
            confidence=4.5,
            provider=ProviderName.MOCK,
            model="m",
            cached=True,
            cost_usd=self.cost_usd,
            token_usage=TokenUsage(prompt_tokens=3),
            response_time_ms=7,
            correlation_id=UUID(int=7),
            trace_id=None,
            metadata=request.metadata,
        )


async def test_prompt_is_asked_in_its_parts_and_answered_as_over_http() -> None:
    judge = FakeJudge()
    answer = await PromptProvider(judge, metadata={"pair": 7}).generate_comparison(PROMPT)
    [asked] = judge.asked
    assert (asked.user_prompt, asked.essay_a, asked.essay_b) == (
        "Which is better?",
        "Dogs.",
        "Cats.",
    )
    assert (answer["winner"], answer["confidence"]) == ("Essay B", 4.5)
    assert (answer["cost_estimate"], answer["cost_known"]) == (0.25, True)
    assert set(answer) == set(ComparisonAnswer.model_fields)
    ComparisonAnswer.model_validate(json.loads(json.dumps(answer)))


async def test_unknown_cost_is_said_to_be_unknown() -> None:
    answer = await PromptProvider(FakeJudge(None)).generate_comparison(PROMPT)
    assert (answer["cost_estimate"], answer["cost_known"]) == (0.0, False)


@pytest.mark.parametrize("prompt", [PROMPT, "Compare these, whatever they are."])
async def test_prompt_that_is_not_split_goes_whole(prompt: str) -> None:
    judge = FakeJudge()
    await PromptProvider(judge, split=False).generate_comparison(prompt)
    await PromptProvider(judge).generate_comparison("Compare these, whatever they are.")
    assert [asked.essay_a for asked in judge.asked] == [None, None]
    assert judge.asked[0].user_prompt == prompt


async def test_closing_words_that_are_told_are_handed_on() -> None:
    judge = FakeJudge()
    provider = PromptProvider(judge, closing="Respond with JSON.")
    await provider.generate_comparison(f"{PROMPT}\n\nRespond with JSON.")
    assert (judge.asked[0].user_prompt, judge.asked[0].essay_b) == (
        "Which is better?\n\nRespond with JSON.",
        "Cats.",
    )


async def test_overrides_hold_for_their_call_alone_by_name_and_by_place() -> None:
    judge = FakeJudge()
    provider = PromptProvider(judge, timeout_s=60, model="usual", organization_id="school")
    await provider.generate_comparison(PROMPT, "other", 0.0, "Be strict.")
    await provider.generate_comparison(
        PROMPT, model_override=None, temperature_override=0.5, system_prompt_override=None
    )
    wanted = [asked.llm_config_overrides for asked in judge.asked]
    assert [
        (w and (w.model_override, w.temperature_override, w.system_prompt_override)) for w in wanted
    ] == [("other", 0.0, "Be strict."), ("usual", 0.5, None)]
    assert [asked.organization_id for asked in judge.asked] == ["school", "school"]
    assert judge.timeout_s == 60


async def test_failures_are_raised() -> None:
    judge = FakeJudge()
    judge.error = RateLimitError("slower")
    with pytest.raises(RateLimitError):
        await PromptProvider(judge).generate_comparison(PROMPT)
    with pytest.raises(RequestValidationError, match="user_prompt"):
        await PromptProvider(judge).generate_comparison(" ")
