"""Answers as the providers' APIs send them, from the files in fixtures, and questions for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from llm_worker.adapters.providers.dialect import Reply
from llm_worker.domain.judging import DEFAULT_MAX_TOKENS, Question
from llm_worker.domain.outcome import Repair
from tests.support.builders import NOW

if TYPE_CHECKING:
    from llm_worker.adapters.providers.dialect import Dialect
    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.domain.errors import ProviderError

_FIXTURES = Path(__file__).parents[1] / "unit/adapters/providers/fixtures"

KEY = "sk-not-to-be-seen"
VERDICT = '{"winner": "Essay A", "justification": "Its argument is clearer.", "confidence": 0.8}'
REPAIR = Repair(answer="Essay A, I think.", fault="no JSON object")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An answer: its status, its headers with names in lower case, and its body, read."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


def recorded(provider: ProviderName, name: str) -> Recorded:
    return Recorded(**orjson.loads((_FIXTURES / provider / f"{name}.json").read_bytes()))


def names_of(provider: ProviderName) -> set[str]:
    return {path.stem for path in (_FIXTURES / provider).glob("*.json")}


def answer_of(dialect: Dialect, name: str) -> Reply | ProviderError:
    """Read an answer with status 200."""
    answer = recorded(dialect.name, name)
    assert answer.status == 200
    return dialect.read_reply(answer.body, answer.headers)


def reply_of(dialect: Dialect, name: str) -> Reply:
    reply = answer_of(dialect, name)
    assert isinstance(reply, Reply), reply
    return reply


def error_of(dialect: Dialect, name: str) -> ProviderError:
    """Read an answer with another status."""
    answer = recorded(dialect.name, name)
    assert answer.status != 200
    error = dialect.read_error(answer.status, answer.body, answer.headers, NOW)
    assert str(error) == error.message
    assert KEY not in error.message
    told = answer.body.get("error")
    if isinstance(told, dict):
        assert told["message"] not in error.message
    return error


def question(model: str, **wanted: Any) -> Question:  # noqa: ANN401 - any field of the question
    fields: dict[str, Any] = {
        "system": "You are an impartial judge.",
        "prompt": "Which essay is better?",
        "temperature": None,
        "max_tokens": DEFAULT_MAX_TOKENS,
        "effort": None,
        "verbosity": None,
        "repair": None,
    }
    return Question(model=model, **{**fields, **wanted})
