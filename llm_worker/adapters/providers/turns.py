"""The conversation that a question is: its prompt, and for a repair what followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llm_worker.domain.judging import repair_prompt

if TYPE_CHECKING:
    from llm_worker.domain.judging import Question


class Turn(NamedTuple):
    """What one side said; the first and the last turn are ours."""

    is_ours: bool
    text: str


def turns_of(question: Question) -> tuple[Turn, ...]:
    """Put the question into turns; an answer without text has none, since no API takes it."""
    asked = Turn(is_ours=True, text=question.prompt)
    repair = question.repair
    if repair is None:
        return (asked,)
    again = Turn(is_ours=True, text=repair_prompt(repair))
    if not repair.answer.strip():
        return (asked, again)
    return (asked, Turn(is_ours=False, text=repair.answer), again)
