"""Pricing one attempt: by our price book, and by `genai-prices` itself, each provider in turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import genai_prices

from benchmarks.loops.solo import SoloJob
from benchmarks.loops.traced import let_profilers_in
from llm_worker.adapters.clock import SystemClock
from llm_worker.adapters.providers.prices import PriceBook
from llm_worker.bootstrap.providers.configured import default_model, models_of, usable_providers
from llm_worker.bootstrap.worker.app import load_worker_settings
from llm_worker.domain.verdict import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal

    from llm_worker.contracts.vocabulary import ProviderName
    from llm_worker.settings import Settings

_SLOW = 20
"""So many times rarer is what goes through the library."""
_FAST_USAGE = Usage(
    prompt_tokens=700, completion_tokens=40, cache_read_tokens=500, cache_write_tokens=100
)
"""As a common answer tells it; multiplied by resolved prices."""
_LIBRARY_USAGE = replace(_FAST_USAGE, cache_write_1h_tokens=50)
"""What only the library prices, as it does long prompts and service tiers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Priced:
    """A provider's default model, and who prices it."""

    provider: ProviderName
    model: str
    book: PriceBook

    @property
    def name(self) -> str:
        """What the figures stand under."""
        return f"{self.provider} {self.model}"

    def ours(self, usage: Usage) -> Callable[[], Decimal | None]:
        """Give our way to price the usage."""
        return lambda: self.book.cost_usd(self.model, usage)

    def genais(self, usage: Usage) -> Callable[[], Decimal]:
        """Give the library's own way, with the counts put into its form beforehand."""
        counts = genai_prices.Usage(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            cache_write_1h_tokens=usage.cache_write_1h_tokens,
        )
        provider, model = self.provider, self.model
        return lambda: genai_prices.calc_price(counts, model, provider_id=provider).total_price


async def run(job: SoloJob) -> None:
    """Time every provider that the library has prices of."""
    every, rare = list(_priced(load_worker_settings())), replace(job, times=job.times // _SLOW)
    for each in every:
        for usage in (_FAST_USAGE, _LIBRARY_USAGE):
            ours, genais = each.ours(usage)(), each.genais(usage)()
            if ours != genais:
                raise ValueError(f"{each.name} costs {ours}, and {genais} by the library")
    rounds = [
        {
            each.name: {
                "fast": await _cpu_us(job, each.ours(_FAST_USAGE)),
                "fast by genai": await _cpu_us(rare, each.genais(_FAST_USAGE)),
                "library": await _cpu_us(rare, each.ours(_LIBRARY_USAGE)),
                "library by genai": await _cpu_us(rare, each.genais(_LIBRARY_USAGE)),
            }
            for each in every
        }
        for _ in range(job.rounds)
    ]
    job.tell(rounds)


def _priced(settings: Settings) -> Iterator[_Priced]:
    for name in usable_providers(settings):
        book = models_of(settings, name, SystemClock())
        if isinstance(book, PriceBook):
            yield _Priced(provider=name, model=default_model(settings, name), book=book)


async def _cpu_us(job: SoloJob, price: Callable[[], object]) -> float:
    async def work(times: int) -> None:
        for _ in range(times):
            price()

    return await job.cpu_us(work)


if __name__ == "__main__":
    let_profilers_in()
    asyncio.run(run(SoloJob.from_command_line()))
