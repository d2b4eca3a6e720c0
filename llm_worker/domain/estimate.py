"""The most that a call can cost, known before it is made."""

from __future__ import annotations

import json
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Final

from llm_worker.domain.judging import VERDICT_SCHEMA, question_of, repair_prompt
from llm_worker.domain.verdict import Usage

if TYPE_CHECKING:
    from llm_worker.domain.outcome import Attempt
    from llm_worker.domain.request import ComparisonRequest

NANO_USD_AT_MOST: Final = 2**53 - 1
"""About 9 million USD: larger integers are not exact in Lua, whose numbers are doubles."""

_NANO: Final = Decimal(10) ** 9
_FRAMING_TOKENS: Final = 1_000 + len(json.dumps(VERDICT_SCHEMA))
"""What providers put around the texts: turns, the schema, how to use it."""


def most_usage(request: ComparisonRequest, attempt: Attempt) -> Usage:
    """Give more tokens than the call can use.

    No tokenizer makes more than one token of a byte. No adapter has the prompt written to a
    provider's cache where that costs more than reading it.
    """
    question = question_of(request, attempt)
    texts = [question.system]
    if question.repair is not None:
        texts += [question.repair.answer, repair_prompt(question.repair)]
    size_bytes = request.prompt.size_bytes + sum(len(text.encode()) for text in texts)
    return Usage(prompt_tokens=_FRAMING_TOKENS + size_bytes, completion_tokens=question.max_tokens)


def nano_usd(usd: Decimal) -> int:
    """Give an amount in 1e-9 USD, rounded up: for what is spent."""
    return min(NANO_USD_AT_MOST, int((usd * _NANO).to_integral_value(ROUND_CEILING)))


def nano_usd_down(usd: Decimal) -> int:
    """Give an amount in 1e-9 USD, rounded down: for what may be spent."""
    return min(NANO_USD_AT_MOST, int((usd * _NANO).to_integral_value(ROUND_FLOOR)))


def usd_of(nano: int) -> Decimal:
    """Give 1e-9 USD in USD."""
    return nano / _NANO
