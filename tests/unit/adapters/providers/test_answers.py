from __future__ import annotations

import traceback
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.adapters.providers.answers import read_verdict
from llm_worker.contracts.vocabulary import Winner
from llm_worker.domain.verdict import Verdict

GOOD: dict[str, Any] = {
    "winner": "Essay A",
    "justification": "It argues better.",
    "confidence": 0.7,
}
VERDICT = Verdict(winner=Winner.A, justification="It argues better.", confidence=0.7)
QUOTE = "Zwiebelkuchen"


def answer(**changed: object) -> str:
    return orjson.dumps({**GOOD, **changed}).decode()


def fault_of(text: str) -> str:
    with pytest.raises(ValueError, match=r"\w") as caught:
        read_verdict(text, prompt="")
    assert QUOTE not in "".join(traceback.format_exception(caught.value))
    # The decoder's error holds the whole text.
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


def test_bare_object_is_a_verdict() -> None:
    assert read_verdict(answer(), prompt="") == VERDICT


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{answer()}\n```",
        f"```\n{answer()}\n```\n",
        f"Here is my verdict:\n\n{answer()}\n\nI hope that helps!",
        f"\ufeff{answer()}",
        f'<think>First {{I}} thought {{"winner": "Essay B"}}.</think>\n{answer()}',
    ],
    ids=["json fence", "fence", "words", "byte order mark", "thinking aloud"],
)
def test_what_stands_around_one_object_does_not_matter(text: str) -> None:
    assert read_verdict(text, prompt="") == VERDICT


@pytest.mark.parametrize(
    ("winner", "expected"),
    [
        ("Essay A", Winner.A),
        ("essay b", Winner.B),
        ("ESSAY A", Winner.A),
        ("A", Winner.A),
        ("b", Winner.B),
        (" Essay B ", Winner.B),
    ],
)
def test_winner_is_read_in_any_case_with_or_without_the_word_essay(
    winner: str, expected: Winner
) -> None:
    assert read_verdict(answer(winner=winner), prompt="").winner is expected


@pytest.mark.parametrize("winner", ["tie", "", "Essay C", "Essay A and B", None, 1, ["Essay A"]])
def test_winner_that_is_neither_is_a_fault(winner: object) -> None:
    assert "winner" in fault_of(answer(winner=winner))


@pytest.mark.parametrize("justification", ["", "  \n", None, 3, [QUOTE]])
def test_justification_without_text_is_a_fault(justification: object) -> None:
    assert "justification" in fault_of(answer(justification=justification))


def test_space_around_the_justification_is_cut_off() -> None:
    assert read_verdict(answer(justification="\n It argues better. "), prompt="") == VERDICT


@pytest.mark.parametrize("confidence", [0, 1, 0.0, 1.0, 0.123])
def test_confidence_is_a_number_from_0_to_1(confidence: float) -> None:
    read = read_verdict(answer(confidence=confidence), prompt="").confidence
    assert read == confidence
    assert type(read) is float


@pytest.mark.parametrize("confidence", [True, -0.01, 1.01, 85, "0.7", None, [0.7]])
def test_confidence_that_is_something_else_is_a_fault(confidence: object) -> None:
    assert "confidence" in fault_of(answer(confidence=confidence))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_confidence_that_is_no_finite_number_is_a_fault(number: str) -> None:
    fault_of(f'{{"winner": "Essay A", "justification": "{QUOTE}", "confidence": {number}}}')


def test_fields_that_nobody_asked_for_are_ignored() -> None:
    assert read_verdict(answer(score_a=3), prompt="") == VERDICT


@pytest.mark.parametrize("field", GOOD)
def test_missing_field_is_a_fault_that_names_it(field: str) -> None:
    text = orjson.dumps({key: value for key, value in GOOD.items() if key != field}).decode()
    assert field in fault_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        QUOTE,
        f'"{QUOTE}"',
        f'["{QUOTE}"]',
        "null",
        answer(justification=QUOTE)[:-5],
        f"{answer(justification=QUOTE)}\n{answer(winner='Essay B')}",
        f"}} {QUOTE} {{",
        f"<think>{answer(justification=QUOTE)}</think>",
    ],
    ids=[
        "empty",
        "words",
        "string",
        "list",
        "null",
        "cut off",
        "two verdicts",
        "braces the wrong way round",
        "thought and not said",
    ],
)
def test_text_that_is_not_one_object_is_a_fault(text: str) -> None:
    assert "JSON object" in fault_of(text)


PIECES = [
    '{"winner": "A", ',
    '"justification": "x", ',
    '"confidence": 1',
    "}",
    "</think>",
    "\n",
    "{",
]


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_whatever_a_model_says_is_a_verdict_or_a_fault(text: str) -> None:
    try:
        verdict = read_verdict(text, prompt="")
    except ValueError:
        return
    assert 0 <= verdict.confidence <= 1


@given(
    winner=st.sampled_from(Winner),
    justification=st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip),
    confidence=st.floats(0, 1),
)
def test_every_verdict_survives_being_written_and_read(
    winner: Winner, justification: str, confidence: float
) -> None:
    text = answer(winner=winner, justification=justification, confidence=confidence)
    assert read_verdict(text, prompt="") == Verdict(
        winner=winner, justification=justification.strip(), confidence=confidence
    )
