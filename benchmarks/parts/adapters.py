"""CPU per call of each provider's adapter, beside its transport alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.loops.adapters import AT_ONCE
from benchmarks.report import Section
from benchmarks.solo import ESSAY_BYTES, run_solo

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterPlan:
    """How much to measure."""

    rounds: int
    calls: int


async def measure_adapters(bench: Bench, plan: AdapterPlan, tell: Callable[[str], None]) -> Section:
    """Time adapter and transport of each provider in turn, in one process."""
    tell(f"adapters: {plan.rounds} rounds of {plan.calls} calls")
    found = await run_solo(bench, "benchmarks.loops.adapters", rounds=plan.rounds, times=plan.calls)
    return Section(
        title="Adapters, microseconds of CPU per call",
        rows=[
            {
                "provider": name,
                "transport alone": round(found.us(name, "transport")),
                "adapter": round(found.us(name, "adapter")),
                "more": round(
                    found.median(name, lambda times: times["adapter"] - times["transport"])
                ),
                "adapter/transport": found.median(
                    name, lambda times: times["adapter"] / times["transport"]
                ),
                "slowness": found.slowness,
            }
            for name in found.names
        ],
        remarks=[
            f"median of {plan.rounds} interleaved rounds of {plan.calls} calls, {AT_ONCE} at once",
            f"{ESSAY_BYTES} bytes an essay; scaled to the core's full speed",
            "from one process, the same request to the same fake provider",
        ],
    )
