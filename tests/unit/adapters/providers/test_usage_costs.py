"""What recorded answers cost, to the last digit; the sums are worked out by hand beside them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from llm_worker.adapters.providers.anthropic import AnthropicDialect
from llm_worker.adapters.providers.google import GoogleDialect
from llm_worker.adapters.providers.openai import OpenAIDialect
from llm_worker.adapters.providers.openrouter import OpenRouterDialect
from llm_worker.adapters.providers.prices import PriceBook
from tests.support.builders import NOW
from tests.support.fakes import ManualClock
from tests.support.recorded import KEY, reply_of

if TYPE_CHECKING:
    from llm_worker.adapters.providers.dialect import Dialect

_ANTHROPIC = AnthropicDialect(api_key=KEY)
_OPENAI = OpenAIDialect(api_key=KEY)
_GOOGLE = GoogleDialect(api_key=KEY)
_OPENROUTER = OpenRouterDialect(api_key=KEY)

# USD per million tokens, genai-prices 0.2.3, November 2026.
_COSTS = [
    # claude-opus-5-5: 4 in, 0.2 read, 5 written for 5 minutes, 8 for an hour, 20 out.
    # 2000 x 4 + 6000 x 0.2 + 500 x 5 + 1500 x 8 + 1000 x 20 = 43,700
    (_ANTHROPIC, "usage_cached", "0.0437"),
    # claude-haiku-5-5: 0.1 in, 0.01 read, 0.5 out. 2000 x 0.1 + 6000 x 0.01 + 1000 x 0.5 = 760
    (_ANTHROPIC, "usage_cache_read", "0.00076"),
    # 200 x 0.1 + 60 x 0.5 = 50; what is null counts for nothing
    (_ANTHROPIC, "usage_nulls", "0.00005"),
    # thinking is part of the 180 tokens of output: 200 x 0.1 + 180 x 0.5 = 110
    (_ANTHROPIC, "verdict_after_thinking", "0.00011"),
    # gpt-6-luna: 0.1 in, 0.01 read, 0.125 written, 0.5 out.
    # 2000 x 0.1 + 6000 x 0.01 + 2000 x 0.125 + 1000 x 0.5 = 1010
    (_OPENAI, "usage_cached", "0.00101"),
    # half of 4000 x 0.1 + 6000 x 0.01 + 1000 x 0.5 = 960
    (_OPENAI, "usage_flex", "0.00048"),
    # 1500 x 0.1 + 60 x 0.5 = 180
    (_OPENAI, "usage_without_details", "0.00018"),
    # gemini-3.8-flash: 0.75 in, 0.075 read, 3.75 out; thoughts are output.
    # 4000 x 0.75 + 6000 x 0.075 + (300 + 700) x 3.75 = 7200
    (_GOOGLE, "usage_cached", "0.0072"),
    # gemini-4-argon: 2 in, 0.1 read, 10 out. 4000 x 2 + 6000 x 0.1 + 1000 x 10 = 18,600
    (_GOOGLE, "usage_cached_argon", "0.0186"),
    # anthropic/claude-opus-5.5, all written for 5 minutes:
    # 2000 x 4 + 6000 x 0.2 + 2000 x 5 + 1000 x 20 = 39,200
    (_OPENROUTER, "usage_cached", "0.0392"),
    # google/gemini-3.8-flash: as at Google
    (_OPENROUTER, "usage_cache_read", "0.0072"),
]


@pytest.mark.parametrize(("dialect", "name", "cost_usd"), _COSTS)
def test_what_an_answer_used_is_priced_exactly(dialect: Dialect, name: str, cost_usd: str) -> None:
    reply = reply_of(dialect, name)
    assert reply.model is not None
    assert reply.cost_usd is None

    priced = PriceBook(dialect.name, clock=ManualClock(NOW)).cost_usd(
        reply.model, reply.usage, reply.tier
    )

    assert priced == Decimal(cost_usd)


@pytest.mark.parametrize(
    ("dialect", "name"),
    [
        (_OPENAI, "usage_missing"),
        (_GOOGLE, "usage_untold"),
        # A tier that genai-prices has no price for: not the standard one in its place.
        (_ANTHROPIC, "usage_priority"),
    ],
)
def test_what_is_not_known_has_no_price(dialect: Dialect, name: str) -> None:
    reply = reply_of(dialect, name)
    assert reply.model is not None

    prices = PriceBook(dialect.name, clock=ManualClock(NOW))

    assert prices.cost_usd(reply.model, reply.usage, reply.tier) is None
