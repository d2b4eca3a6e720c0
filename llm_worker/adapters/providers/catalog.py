"""What a provider's models are and cost, whoever knows it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol

from typing_extensions import override

from llm_worker.application.ports import ModelCatalog

if TYPE_CHECKING:
    from llm_worker.domain.verdict import Usage

MTOK: Final = 1_000_000
"""The number of tokens that prices are told for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A model for a person to read about; prices in USD per million tokens, None is unknown."""

    model: str
    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    cache_read_usd: Decimal | None = None
    cache_write_usd: Decimal | None = None
    is_deprecated: bool = False
    is_default: bool = False


class PricedModels(ModelCatalog, Protocol):
    """A provider's models, priced by service tier, and as a list."""

    @override
    def cost_usd(self, model: str, usage: Usage, tier: str | None = None) -> Decimal | None:
        """Price a call; without `tier` at the standard one. None: usage or price is unknown."""

    def rows(self, default_model: str) -> tuple[ModelRow, ...]:
        """List the models by name, with what they cost today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatPrices:
    """One price for whatever runs there, in USD per million tokens; no names: any model may."""

    input_usd: Decimal = Decimal(0)
    output_usd: Decimal = Decimal(0)
    names: tuple[str, ...] = ()

    def knows(self, model: str) -> bool:
        """Say whether the model is one of the names."""
        return not self.names or model in self.names

    def nearest(self, _model: str) -> tuple[str, ...]:
        """Give the first names: there are few."""
        return self.names[:3]

    def cost_usd(self, _model: str, usage: Usage, _tier: str | None = None) -> Decimal | None:
        """Price a call; None where it has a price and the usage is unknown."""
        if not (self.input_usd or self.output_usd):
            return Decimal(0)
        if usage.prompt_tokens is None or usage.completion_tokens is None:
            return None
        cost = self.input_usd * usage.prompt_tokens + self.output_usd * usage.completion_tokens
        return cost / MTOK

    def rows(self, default_model: str) -> tuple[ModelRow, ...]:
        """List the models whose names we know."""
        return tuple(
            ModelRow(
                model=name,
                input_usd=self.input_usd,
                output_usd=self.output_usd,
                is_default=name == default_model,
            )
            for name in sorted({*self.names, default_model})
        )
