"""A company's models and what they cost, from `genai-prices`."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from genai_prices.data import providers as companies
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
)

from llm_worker.adapters.providers.catalog import ModelRow
from llm_worker.adapters.providers.rates import base_price, cost_by_library, rates_of
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.domain.model_names import is_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date, datetime

    from genai_prices.types import MatchLogic, ModelInfo, Provider, TieredPrices

    from llm_worker.adapters.providers.rates import Rates
    from llm_worker.application.ports import Clock
    from llm_worker.domain.verdict import Usage

_NAMES_KEPT: Final = 1000
"""Names whose model is remembered; requests and answers may bring any number."""

_NAME_LIMIT: Final = 100
"""Characters; no model has a name this long, and a wrong one is compared so far."""

_SOLD_ELSEWHERE: Final = {ProviderName.GOOGLE: "claude-"}
"""How models begin that the library lists for a company, and that its API here does not have."""

_FREE: Final = re.compile(r":free$|^gemma-")
"""What is free by its name: OpenRouter's variants, and Google's open models on its own API."""


class PriceBook:
    """The models that the library lists for a company.

    `also_known` are known too, priced or not; `unusable` are listed, and not for us; `factor_of`
    says what a model's list price is multiplied by.
    """

    def __init__(
        self,
        provider: ProviderName,
        *,
        clock: Clock,
        also_known: Iterable[str] = (),
        unusable: Iterable[str] = (),
        factor_of: Callable[[str], Decimal] | None = None,
    ) -> None:
        self._clock = clock
        self._company = _company_of(provider)
        self._also_known = frozenset(also_known)
        self._unusable = frozenset(unusable)
        self._factor_of = factor_of
        now = clock.now()
        self._listed = self._also_known | {
            model.id
            for model in self._company.models
            if _is_judge(model, now)
            and model.is_match(model.id)  # some are no names, but what names begin with
            and model.id not in self._unusable
        }
        self._find = lru_cache(_NAMES_KEPT)(self._search)
        self._rates: dict[str, tuple[date, Rates | None]] = {}

    def knows(self, model: str) -> bool:
        """Say whether there is such a model, or a version of one, that answers in text."""
        if model in self._also_known:
            return True
        if model in self._unusable:
            return False
        found = self._model(model)
        return found is not None and found.id in self._listed

    def nearest(self, model: str) -> tuple[str, ...]:
        """Give the names, at most three, that are most like `model`."""
        return _nearest(model[:_NAME_LIMIT], self._listed)

    def cost_usd(self, model: str, usage: Usage, tier: str | None = None) -> Decimal | None:
        """Price a call now; without `tier` at the standard one. None: something is unknown."""
        cost = self._at_list_price(model, usage, tier)
        return cost if cost is None or self._factor_of is None else cost * self._factor_of(model)

    def _at_list_price(self, model: str, usage: Usage, tier: str | None) -> Decimal | None:
        found = self._model(model)
        if found is None or usage.prompt_tokens is None or usage.completion_tokens is None:
            return None
        now = self._clock.now()
        if tier is None and not usage.cache_write_1h_tokens:
            rates = self._rates_at(now, found)
            if rates is not None and usage.prompt_tokens <= rates.up_to_tokens:
                return rates.cost_usd(
                    prompt=usage.prompt_tokens,
                    completion=usage.completion_tokens,
                    read=usage.cache_read_tokens or 0,
                    written=usage.cache_write_tokens or 0,
                )
        return cost_by_library(found, self._company, usage, tier, now)

    def rows(self, default_model: str) -> tuple[ModelRow, ...]:
        """List the models by name, with what they cost now, for prompts of common length."""
        names = sorted(self._listed | {default_model})
        return tuple(self._row(name, is_default=name == default_model) for name in names)

    def _row(self, name: str, *, is_default: bool) -> ModelRow:
        found = self._model(name)
        if found is None:
            return ModelRow(model=name, is_default=is_default)
        prices = found.get_prices(self._clock.now())
        factor = Decimal(1) if self._factor_of is None else self._factor_of(name)

        def usd(price: Decimal | TieredPrices | None) -> Decimal | None:
            base = base_price(price)
            return None if base is None else base * factor

        return ModelRow(
            model=name,
            input_usd=usd(prices.input_mtok) or Decimal(0),
            output_usd=usd(prices.output_mtok) or Decimal(0),
            cache_read_usd=usd(prices.cache_read_mtok),
            cache_write_usd=usd(prices.cache_write_mtok),
            is_deprecated=bool(found.deprecated),
            is_default=is_default,
        )

    def _model(self, name: str) -> ModelInfo | None:
        return self._find(name) if len(name) <= _NAME_LIMIT else None

    def _search(self, model: str) -> ModelInfo | None:
        # The library takes prefixes: gemini-3.8-flash-mini would be priced as gemini-3.8-flash.
        found = self._company.find_model(model)
        if found is None or not _is_named(model, found):
            return None
        return found if _has_price(found, self._clock.now()) else None

    def _rates_at(self, now: datetime, model: ModelInfo) -> Rates | None:
        known, today = self._rates.get(model.id), now.date()
        if known is None or known[0] != today:
            known = self._rates[model.id] = (today, rates_of(model, now))
        return known[1]


def _company_of(provider: ProviderName) -> Provider:
    company = next(each for each in companies if each.id == provider)
    foreign = _SOLD_ELSEWHERE.get(provider)
    if foreign is None:
        return company
    return replace(
        company, models=[each for each in company.models if not each.id.startswith(foreign)]
    )


def _is_named(name: str, model: ModelInfo) -> bool:
    """Say whether `name` is one of the model's own names, or a version of one."""
    return any(is_model(name, own) for own in (model.id, *_names_in(model.match)))


def _names_in(match: MatchLogic) -> Iterator[str]:
    match match:
        case ClauseOr(or_=parts) | ClauseAnd(and_=parts):
            for part in parts:
                yield from _names_in(part)
        case (
            ClauseEquals(equals=name)
            | ClauseStartsWith(starts_with=name)
            | ClauseEndsWith(ends_with=name)
            | ClauseContains(contains=name)
        ):
            yield name
        case ClauseRegex():
            pass  # versions, which `_VERSION` knows


@lru_cache(_NAMES_KEPT)
def _nearest(name: str, names: frozenset[str]) -> tuple[str, ...]:
    return tuple(difflib.get_close_matches(name, sorted(names), n=3))


def _has_price(model: ModelInfo, now: datetime) -> bool:
    """Tell what is free from what the library has no price of: it lists both without any."""
    return bool(vars(model.get_prices(now)) or _FREE.search(model.id))


def _is_judge(model: ModelInfo, now: datetime) -> bool:
    """Tell a judge from an embedding or a voice."""
    priced = vars(model.get_prices(now)).keys()
    return _has_price(model, now) and (not priced or priced >= {"input_mtok", "output_mtok"})
