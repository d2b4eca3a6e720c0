"""Every part of the bench, in the order of the report, and how much of it is measured.

The sizes are such that all of it takes 40 minutes on two cores; --quick shows that it runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from benchmarks.parts.accountant import AccountantPlan, measure_accountant
from benchmarks.parts.adapters import AdapterPlan, measure_adapters
from benchmarks.parts.budget import BudgetPlan, measure_budget
from benchmarks.parts.cache import CachePlan, measure_cache
from benchmarks.parts.cache_trips import TripsPlan, measure_trips
from benchmarks.parts.cpu import CpuPlan, measure_cpu
from benchmarks.parts.growth import GrowthPlan, measure_growth
from benchmarks.parts.http import HttpPlan, measure_http
from benchmarks.parts.latency import LatencyPlan, measure_latency
from benchmarks.parts.memory import MemoryPlan, measure_memory
from benchmarks.parts.orchestrator import OrchestratorPlan, measure_orchestrator
from benchmarks.parts.page import PagePlan, measure_page
from benchmarks.parts.pricing import PricingPlan, measure_pricing
from benchmarks.parts.redis_faults import FaultPlan, measure_faults
from benchmarks.parts.startup import StartupPlan, measure_startup
from benchmarks.parts.telemetry import TelemetryPlan, measure_telemetry
from benchmarks.parts.throughput import ThroughputPlan, measure_throughput

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.report import Section

Tell: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much to measure."""

    rounds: int
    is_quick: bool

    def of(self, full: int, quick: int) -> int:
        """Choose between a part's two sizes."""
        return quick if self.is_quick else full

    @property
    def comparisons(self) -> int:
        """How many comparisons a window has, in most parts."""
        return self.of(3_000, 1_500)


def _latency(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    plan = LatencyPlan(comparisons=size.of(4_000, 1_500), seconds=size.of(15, 5))
    return measure_latency(bench, plan, tell)


def _throughput(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    plan = ThroughputPlan(rounds=min(size.rounds, 2), comparisons=size.comparisons)
    return measure_throughput(bench, plan, tell)


def _cpu(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    plan = CpuPlan(rounds=size.rounds, comparisons=size.comparisons)
    return measure_cpu(bench, plan, tell)


def _http(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    plan = HttpPlan(rounds=size.rounds, comparisons=size.comparisons)
    return measure_http(bench, plan, tell)


def _adapters(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    plan = AdapterPlan(rounds=size.rounds, calls=size.of(2_000, 1_000))
    return measure_adapters(bench, plan, tell)


def _orchestrator(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    plan = OrchestratorPlan(rounds=size.rounds, requests=size.of(20_000, 10_000))
    return measure_orchestrator(bench, plan, tell)


def _cache(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    plan = CachePlan(
        rounds=size.rounds,
        comparisons=size.comparisons,
        in_flight=(50,),
        keys=size.of(1_000_000, 10_000),
    )
    return measure_cache(bench, plan, tell)


def _trips(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    return measure_trips(bench, TripsPlan(comparisons=size.of(200, 50)), tell)


def _faults(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    return measure_faults(bench, FaultPlan(seconds=size.of(4, 3)), tell)


def _pricing(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    plan = PricingPlan(rounds=size.rounds, prices=size.of(50_000, 20_000))
    return measure_pricing(bench, plan, tell)


def _accountant(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    plan = AccountantPlan(rounds=size.rounds, events=size.of(30_000, 20_000))
    return measure_accountant(bench, plan, tell)


def _budget(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    plan = BudgetPlan(
        rounds=size.rounds, comparisons=size.of(2_000, 1_500), counted=size.of(200, 50)
    )
    return measure_budget(bench, plan, tell)


def _telemetry(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    plan = TelemetryPlan(rounds=size.rounds, comparisons=size.of(2_000, 1_500))
    return measure_telemetry(bench, plan, tell)


def _memory(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    return measure_memory(bench, MemoryPlan(slots=2_000, seconds=size.of(20, 10)), tell)


def _page(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    return measure_page(bench, PagePlan(slots=2_000, asked=size.of(20, 10)), tell)


def _startup(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    return measure_startup(bench, StartupPlan(times=size.of(5, 3)), tell)


def _growth(bench: Bench, size: Size, tell: Tell) -> Awaitable[Section]:
    plan = GrowthPlan(
        rounds=min(size.rounds, 2),
        backlogs=(100, size.of(100_000, 10_000)),
        skip=size.of(5_000, 1_000),
        comparisons=size.comparisons,
    )
    return measure_growth(bench, plan, tell)


PARTS: Final[dict[str, Callable[[Bench, Size, Tell], Awaitable[Section]]]] = {
    "latency": _latency,
    "throughput": _throughput,
    "cpu": _cpu,
    "http": _http,
    "adapters": _adapters,
    "orchestrator": _orchestrator,
    "memory": _memory,
    "startup": _startup,
    "growth": _growth,
    "page": _page,
    "cache": _cache,
    "cache-trips": _trips,
    "redis-faults": _faults,
    "budget": _budget,
    "pricing": _pricing,
    "accountant": _accountant,
    "telemetry": _telemetry,
}
