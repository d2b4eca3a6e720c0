from __future__ import annotations

import json
from decimal import Decimal

import pytest

from llm_worker.cli.wording import Tally, cost_of, one_line
from tests.support.results import golden_result as golden


@pytest.fixture
def tally() -> Tally:
    return Tally()


def test_tally_counts_verdicts_errors_and_cache_hits(tally: Tally) -> None:
    tally.add(golden("verdict"))
    tally.add(golden("verdict", cached=True))
    tally.add(golden("error"))

    assert (tally.done, tally.failed, tally.answered, tally.cached) == (2, 1, 3, 1)
    assert tally.failures() == "1 CIRCUIT_BREAKER_OPEN"
    assert tally.tokens == 2 * 908


def test_costs_add_up_exactly(tally: Tally) -> None:
    for _ in range(10):
        tally.add(golden("verdict", cost_estimate=0.1))

    assert tally.known_cost_usd == Decimal(1)
    assert tally.cost() == "USD 1"


def test_tiny_cost_is_written_out(tally: Tally) -> None:
    tally.add(golden("verdict", cost_estimate=1e-7))

    assert tally.cost() == "USD 0.0000001"


def test_unknown_cost_is_said_beside_the_known(tally: Tally) -> None:
    tally.add(golden("verdict", cost_estimate=0.5))
    tally.add(golden("error"))

    assert tally.cost() == "USD 0.5 + 1 of unknown cost"
    assert tally.as_json()["unknown_costs"] == 1


def test_cost_that_is_unknown_throughout_is_never_shown_as_0(tally: Tally) -> None:
    tally.add(golden("error"))

    assert tally.cost() == "unknown cost"
    assert cost_of(golden("error")) == "unknown cost"


def test_nothing_has_cost_nothing(tally: Tally) -> None:
    assert tally.cost() == "USD 0"


def test_totals_can_be_written_as_json(tally: Tally) -> None:
    tally.add(golden("verdict"))
    tally.add(golden("error"))

    assert json.loads(json.dumps(tally.as_json())) == {
        "done": 1,
        "failed": 1,
        "errors": {"CIRCUIT_BREAKER_OPEN": 1},
        "cached": 0,
        "tokens": 908,
        "known_cost_usd": "0.003876",
        "unknown_costs": 1,
    }


def test_line_of_a_verdict_says_who_won_and_what_it_cost() -> None:
    line = one_line(golden("verdict", cached=True))

    for words in ("0f2b6b5e", "Essay A", "confidence 4.2", "anthropic/claude-x", "0.003876"):
        assert words in line
    assert line.endswith("cached")


def test_line_of_an_error_says_why() -> None:
    assert "failed  CIRCUIT_BREAKER_OPEN: No provider may be called" in one_line(golden("error"))
