"""CPU of pricing one attempt by the price book, beside `genai-prices`' own calculation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.report import Section
from benchmarks.solo import run_solo

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.report import Figure
    from benchmarks.solo import Found


@dataclass(frozen=True, slots=True, kw_only=True)
class PricingPlan:
    """How much to measure; what goes through the library is timed 20 times less often."""

    rounds: int
    prices: int


async def measure_pricing(bench: Bench, plan: PricingPlan, tell: Callable[[str], None]) -> Section:
    """Price the default model of each provider in turn, in one process."""
    tell(f"pricing: {plan.rounds} rounds of {plan.prices} prices")
    found = await run_solo(bench, "benchmarks.loops.pricing", rounds=plan.rounds, times=plan.prices)
    return Section(
        title="Pricing one attempt, microseconds of CPU",
        rows=[_row(found, name) for name in found.names],
        remarks=[
            f"median of {plan.rounds} rounds of {plan.prices} prices (lowest to highest)",
            "fast: tokens times prices that were resolved once",
            "library: a usage that is left to genai-prices: an hour's cache writes are among it",
            "calc_price: genai-prices alone on the same usage, which is in its form already",
            "scaled to the core's full speed",
        ],
    )


def _row(found: Found, name: str) -> dict[str, Figure]:
    def ratio(part: str) -> float:
        return found.median(name, lambda times: times[f"{part} by genai"] / times[part])

    fast = [each[name]["fast"] for each in found.rounds]
    return {
        "provider, model": name,
        "fast": f"{found.us(name, 'fast'):.1f} ({min(fast):.1f} to {max(fast):.1f})",
        "calc_price": round(found.us(name, "fast by genai")),
        "calc_price/fast": ratio("fast"),
        "library": round(found.us(name, "library")),
        "its calc_price": round(found.us(name, "library by genai")),
        "calc_price/library": ratio("library"),
        "slowness": found.slowness,
    }
