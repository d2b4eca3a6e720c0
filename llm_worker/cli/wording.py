"""Results in words. Whatever is not known is said to be unknown, never shown as 0."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import orjson
from rich.markup import escape

from llm_worker.contracts.faults import faults_in_words
from llm_worker.domain.printable import printable

if TYPE_CHECKING:
    from pydantic import ValidationError

    from llm_worker.contracts.result import LLMComparisonResultV1


def first_fault(error: ValidationError | orjson.JSONDecodeError) -> str:
    """Name the first field at fault of a line, and what is wrong with it; never its value."""
    if isinstance(error, orjson.JSONDecodeError):
        # The decoder's own message quotes nothing of the document but a position.
        return f"the line: Invalid JSON: {error.msg}"
    return faults_in_words(error, whole="the line", at_most=1)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of many requests."""

    done: int = 0
    cached: int = 0
    tokens: int = 0
    known_cost_usd: Decimal = Decimal(0)
    unknown_costs: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """Requests without a verdict."""
        return self.errors.total()

    @property
    def answered(self) -> int:
        """Requests with a result of either kind."""
        return self.done + self.failed

    def add(self, result: LLMComparisonResultV1) -> None:
        """Count one result."""
        if result.error_detail is None:
            self.done += 1
        else:
            self.errors[result.error_detail.error_code] += 1
        self.cached += result.cached
        self.tokens += result.token_usage.total_tokens
        if result.cost_known:
            self.known_cost_usd += Decimal(str(result.cost_estimate))
        else:
            self.unknown_costs += 1

    def as_json(self) -> dict[str, object]:
        """Give the totals to a program; money as decimal text."""
        return {
            "done": self.done,
            "failed": self.failed,
            "errors": {str(code): count for code, count in self.errors.items()},
            "cached": self.cached,
            "tokens": self.tokens,
            "known_cost_usd": plain_usd(self.known_cost_usd),
            "unknown_costs": self.unknown_costs,
        }

    def cost(self) -> str:
        """Say what it cost."""
        known = f"USD {plain_usd(self.known_cost_usd)}"
        if not self.unknown_costs:
            return known
        if self.unknown_costs == self.answered:
            return "unknown cost"
        return f"{known} + {self.unknown_costs} of unknown cost"

    def failures(self) -> str:
        """Say how often each error came."""
        return ", ".join(f"{count} {code}" for code, count in self.errors.most_common())


def plain_usd(usd: Decimal) -> str:
    """Write a sum out, without an exponent and without zeros at its end."""
    return f"{usd.normalize():f}"


def cost_of(result: LLMComparisonResultV1) -> str:
    """Say what one result cost."""
    tally = Tally()
    tally.add(result)
    return tally.cost()


def one_line(result: LLMComparisonResultV1) -> str:
    """Say in one line who won, or why nobody did."""
    if result.error_detail is not None:
        detail = result.error_detail
        return printable(f"{result.request_id}  failed  {detail.error_code}: {detail.message}")
    by = f"{result.provider}/{result.model}"
    cached = "  cached" if result.cached else ""
    return printable(
        f"{result.request_id}  {result.winner}  confidence {result.confidence:.1f}  {by}  "
        f"{cost_of(result)}{cached}"
    )


def shown(text: str) -> str:
    """Give one line that others wrote to rich, as it is: no markup, and no moves of the cursor."""
    return escape(printable(text))
