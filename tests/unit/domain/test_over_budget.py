from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from llm_worker.contracts.vocabulary import ErrorCode, ProviderName
from llm_worker.domain.budgets import Limit, WhenOver
from llm_worker.domain.over_budget import over_budget, unpriced
from llm_worker.domain.spend import EVERYTHING, Scope
from tests.support.builders import TARGET


def _limit(scope: Scope, period: str) -> Limit:
    return Limit(
        scope=scope, period=period, limit_usd=Decimal("1E+1"), is_hard=True, alert_shares=()
    )


@pytest.mark.parametrize(
    ("scope", "period", "words"),
    [
        (EVERYTHING, "2026-11-23", ("all spend", "BUDGET__DAILY_USD", "next day")),
        (EVERYTHING, "2026-11", ("all spend", "BUDGET__MONTHLY_USD", "next month")),
        (Scope("school"), "2026-11", ("organization 'school'", "BUDGET__ORGANIZATIONS")),
        (Scope(provider=ProviderName.OPENAI), "2026-11", ("provider openai", "BUDGET__PROVIDERS")),
    ],
)
def test_refusal_names_whose_limit_it_is_and_the_remedy(
    scope: Scope, period: str, words: tuple[str, ...]
) -> None:
    error = over_budget(_limit(scope, period), WhenOver.REFUSE)
    assert error.code is ErrorCode.LLM_COST_LIMIT_EXCEEDED
    for word in (*words, period, "10 USD"):
        assert word in error.message


def test_long_names_are_cut() -> None:
    error = over_budget(_limit(Scope("s" * 101), "2026-11"), WhenOver.REFUSE)
    assert f"organization {'s' * 100!r}" in error.message
    assert f"model {'m' * 100!r}" in unpriced(replace(TARGET, model="m" * 101)).message


def test_another_target_may_be_tried_where_that_is_wanted_or_a_price_is_missing() -> None:
    limit = _limit(EVERYTHING, "2026-11")
    assert not over_budget(limit, WhenOver.REFUSE).may_go_elsewhere
    assert over_budget(limit, WhenOver.NEXT_TARGET).may_go_elsewhere
    error = unpriced(TARGET)
    assert error.may_go_elsewhere
    assert "mock-judge-1" in error.message
    assert "LLM_WORKER_BUDGET__HARD" in error.message
    assert "name another model" in error.message
