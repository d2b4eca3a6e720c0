from __future__ import annotations

from dataclasses import replace

import pytest

from llm_worker.bootstrap.worker.hard_limits import build_budget
from llm_worker.bootstrap.worker.parts import build_parts
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.errors import OverBudgetError
from llm_worker.domain.outcome import Target
from llm_worker.settings import load_settings
from tests.support.budgets import REQUEST, attempt

_UNUSED_PORT = "redis://127.0.0.1:9/0"


@pytest.mark.parametrize("redis_url", ["", _UNUSED_PORT])
async def test_hard_limit_holds_with_and_without_redis(redis_url: str) -> None:
    settings = load_settings(
        {
            "LLM_WORKER_CACHE__REDIS_URL": redis_url,
            "LLM_WORKER_PROVIDERS__ANTHROPIC__API_KEY": "k",
            "LLM_WORKER_BUDGET__DAILY_USD": "0.000001",
            "LLM_WORKER_BUDGET__HARD": "true",
        }
    )
    parts = build_parts(settings)
    budget, providers = build_budget(settings, parts, share=lambda: 1.0), parts.providers
    try:
        name = ProviderName.ANTHROPIC
        target = Target(provider=name, model=providers[name].default_model)
        with pytest.raises(OverBudgetError, match="DAILY_USD"):
            await budget.reserve(REQUEST, replace(attempt(), target=target))
    finally:
        await parts.aclose(budget)
