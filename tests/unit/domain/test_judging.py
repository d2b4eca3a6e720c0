from __future__ import annotations

from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator

from llm_worker.contracts.request import OutputVerbosity, ReasoningEffort
from llm_worker.domain.judging import (
    DEFAULT_MAX_TOKENS,
    VERDICT_SCHEMA,
    Question,
    expected_usage,
    question_of,
    repair_prompt,
)
from llm_worker.domain.outcome import Attempt, Repair
from tests.support.builders import NOW, TARGET, request_of

_REPAIR = Repair(answer="Both are fine.", fault="it names no winner")


def _question(repair: Repair | None = None, **overrides: object) -> Question:
    request = request_of(llm_config_overrides=overrides or None)
    attempt = Attempt(attempt_id=uuid4(), number=1, target=TARGET, started_at=NOW, repair=repair)
    return question_of(request, attempt)


def test_question_without_overrides_leaves_to_the_model_what_nobody_asked_for() -> None:
    question = _question()
    assert (question.model, question.max_tokens) == (TARGET.model, DEFAULT_MAX_TOKENS)
    assert (question.temperature, question.effort, question.verbosity, question.repair) == (
        (None,) * 4
    )


def test_question_holds_the_exact_prompt() -> None:
    request = request_of()
    attempt = Attempt(attempt_id=uuid4(), number=1, target=TARGET, started_at=NOW)
    assert question_of(request, attempt).prompt == request.prompt.text


def test_overrides_reach_the_question() -> None:
    question = _question(
        temperature_override=0.0,
        max_tokens_override=77,
        reasoning_effort="none",
        output_verbosity="high",
    )
    assert (question.temperature, question.max_tokens) == (0.0, 77)
    assert question.effort is ReasoningEffort.NONE
    assert question.verbosity is OutputVerbosity.HIGH


def test_other_role_does_not_lose_the_form_of_the_answer() -> None:
    question = _question(system_prompt_override="You grade poems.")
    assert question.system.startswith("You grade poems.\n\n")
    assert "impartial judge" not in question.system
    assert '"winner"' in question.system
    assert "impartial judge" in _question().system


def test_each_verbosity_asks_for_another_length() -> None:
    systems = {_question(output_verbosity=each.value).system for each in OutputVerbosity}
    assert len(systems) == len(OutputVerbosity)
    assert _question().system in systems


def test_repair_reaches_the_question_and_its_prompt_says_what_is_wrong() -> None:
    assert _question(repair=_REPAIR).repair is _REPAIR
    prompt = repair_prompt(_REPAIR)
    assert _REPAIR.fault in prompt
    assert '"winner"' in prompt


def test_guess_at_the_tokens_grows_by_one_for_every_four_bytes_of_the_prompt() -> None:
    totals = [expected_usage(prompt_bytes).total() for prompt_bytes in (0, 4_003)]
    assert totals == [500, 1_500]


@pytest.mark.parametrize(
    ("answer", "is_verdict"),
    [
        ({"winner": "Essay A", "justification": "so", "confidence": 0.5}, True),
        ({"winner": "Essay B", "justification": "", "confidence": 1}, True),
        ({"winner": "tie", "justification": "so", "confidence": 0.5}, False),
        ({"winner": "Essay A", "confidence": 0.5}, False),
        ({"winner": "Essay A", "justification": "so", "confidence": "high"}, False),
        ({"winner": "Essay A", "justification": "so", "confidence": 1, "more": 1}, False),
    ],
)
def test_schema_takes_verdicts_and_nothing_else(answer: object, *, is_verdict: bool) -> None:
    assert Draft202012Validator(VERDICT_SCHEMA).is_valid(answer) is is_verdict
