"""CPU per request of the orchestrator alone, by every strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.report import Section
from benchmarks.solo import run_solo

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestratorPlan:
    """How much to measure."""

    rounds: int
    requests: int


async def measure_orchestrator(
    bench: Bench, plan: OrchestratorPlan, tell: Callable[[str], None]
) -> Section:
    """Time every strategy in turn, in one process."""
    tell(f"orchestrator: {plan.rounds} rounds of {plan.requests} requests")
    found = await run_solo(
        bench, "benchmarks.loops.orchestrator", rounds=plan.rounds, times=plan.requests
    )
    return Section(
        title="The orchestrator's own share, microseconds of CPU per request",
        rows=[
            {
                "strategy": name,
                "us CPU": round(found.us(name, "orchestrator")),
                "slowness": found.slowness,
            }
            for name in found.names
        ],
        remarks=[
            f"median of {plan.rounds} interleaved rounds of {plan.requests} requests",
            "five targets that answer at once and tell of their limits; no events, no telemetry",
            "scaled to the core's full speed",
        ],
    )
