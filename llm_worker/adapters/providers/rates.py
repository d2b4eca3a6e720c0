"""Multiplying tokens by the prices of `genai-prices`.

The library's own calculation is too slow for the path of a request, so unit prices are resolved
once per model and day; what is more than multiplication is left to the library.
"""

from __future__ import annotations

import re
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from genai_prices import Usage as PricedUsage
from genai_prices.types import TieredPrices, TimeOfDateConstraint

from llm_worker.adapters.providers.catalog import MTOK

if TYPE_CHECKING:
    from datetime import datetime

    from genai_prices.types import ModelInfo, Provider

    from llm_worker.domain.verdict import Usage

_PLAIN: Final = frozenset(
    {"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok"}
)
_NEVER_USED: Final = re.compile("audio|image|video|_searches_")
"""Prices of what no comparison has: it is text, and calls no tool."""


class Rates(NamedTuple):
    """USD per token, for a prompt of at most `up_to_tokens`; None: as any token of the prompt."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None
    cache_write: Decimal | None
    up_to_tokens: int

    def cost_usd(self, *, prompt: int, completion: int, read: int, written: int) -> Decimal | None:
        """Multiply; None where the parts of the prompt are more than the whole."""
        fresh, cost = prompt, self.output * completion
        if read and self.cache_read is not None:
            fresh -= read
            cost += self.cache_read * read
        if written and self.cache_write is not None:
            fresh -= written
            cost += self.cache_write * written
        if fresh < 0 or completion < 0 or read < 0 or written < 0:
            return None
        return cost + self.input * fresh


def rates_of(model: ModelInfo, now: datetime) -> Rates | None:
    """Resolve what holds all day; None where it takes more than multiplication."""
    by_date = model.prices if isinstance(model.prices, list) else []
    if any(isinstance(each.constraint, TimeOfDateConstraint) for each in by_date):
        return None
    prices = model.get_prices(now)
    used = {key: price for key, price in vars(prices).items() if not _NEVER_USED.search(key)}
    if not used.keys() <= _PLAIN:
        return None
    tiers = (price.tiers for price in used.values() if isinstance(price, TieredPrices))
    return Rates(
        input=_per_token(prices.input_mtok) or Decimal(0),
        output=_per_token(prices.output_mtok) or Decimal(0),
        cache_read=_per_token(prices.cache_read_mtok),
        cache_write=_per_token(prices.cache_write_mtok),
        up_to_tokens=min((tier.start for each in tiers for tier in each), default=sys.maxsize),
    )


def cost_by_library(
    model: ModelInfo, company: Provider, usage: Usage, tier: str | None, now: datetime
) -> Decimal | None:
    """Let the library price the call; None where it knows no price, or the usage cannot be."""
    if tier is not None and not _has_tier(model, tier, now):
        return None  # the library would take the standard price
    counts = PricedUsage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
    )
    context = None if tier is None else {"service_tier": tier}
    try:
        price = model.calc_price(
            counts, company, genai_request_timestamp=now, price_context=context
        )
    except ValueError:  # the parts of the prompt are more than the whole
        return None
    return price.total_price


def base_price(price: Decimal | TieredPrices | None) -> Decimal | None:
    """Give the price below the first tier of length."""
    return price.base if isinstance(price, TieredPrices) else price


def _per_token(price: Decimal | TieredPrices | None) -> Decimal | None:
    base = base_price(price)
    return None if base is None else base / MTOK


def _has_tier(model: ModelInfo, tier: str, now: datetime) -> bool:
    return any(
        variant.when == {"service_tier": tier}
        and (variant.constraint is None or variant.constraint.active(now))
        for variant in model.price_variants or ()
    )
