"""Measure the worker: `benchmarks/run.py --help`; method and figures in docs/performance.md."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from benchmarks.bench import bench_on
from benchmarks.parts.accountant import AccountantPlan, measure_accountant
from benchmarks.parts.adapters import AdapterPlan, measure_adapters
from benchmarks.parts.budget import BudgetPlan, measure_budget
from benchmarks.parts.cache import CachePlan, measure_cache
from benchmarks.parts.cache_trips import TripsPlan, measure_trips
from benchmarks.parts.cpu import CpuPlan, measure_cpu
from benchmarks.parts.growth import GrowthPlan, measure_growth
from benchmarks.parts.http import HttpPlan, measure_http
from benchmarks.parts.memory import MemoryPlan, measure_memory
from benchmarks.parts.orchestrator import OrchestratorPlan, measure_orchestrator
from benchmarks.parts.page import PagePlan, measure_page
from benchmarks.parts.pricing import PricingPlan, measure_pricing
from benchmarks.parts.redis_faults import FaultPlan, measure_faults
from benchmarks.parts.startup import measure_startup
from benchmarks.parts.telemetry import TelemetryPlan, measure_telemetry
from benchmarks.profiling import PROFILES
from benchmarks.report import machine, put_into, render
from benchmarks.subject import watch_from_the_side
from llm_worker.dev.fake_providers.process import FakeProviders
from llm_worker.dev.kafka import EmbeddedKafka

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.bench import Bench
    from benchmarks.report import Section

PARTS = (
    *("cpu", "http", "adapters", "orchestrator", "cache", "cache-trips", "redis-faults"),
    *("pricing", "accountant", "budget", "telemetry", "memory", "page", "startup", "growth"),
)


def main() -> None:
    """Measure what the command line asks for."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or the processes under test stay
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # new topics have no leader yet
    watch_from_the_side()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        with EmbeddedKafka(path / "kafka") as kafka, FakeProviders(path / "fakes") as fakes:
            sections = asyncio.run(_measure(kafka, fakes, path, asked))
    _report(sections, asked)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure these parts alone")
    parser.add_argument("--rounds", type=int, default=3, help="of the parts that repeat")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables into it")
    parser.add_argument("--profile", choices=PROFILES, help="where the time goes, by py-spy")
    return parser.parse_args()


async def _measure(
    kafka: EmbeddedKafka, fakes: FakeProviders, directory: Path, asked: argparse.Namespace
) -> dict[str, Section]:
    async with bench_on(kafka.bootstrap_servers, directory, fakes) as bench:
        if asked.profile:
            return await PROFILES[asked.profile](bench, _tell)
        parts = _parts(bench, asked)
        return {name: await parts[name]() for name in asked.only or PARTS}


def _parts(bench: Bench, asked: argparse.Namespace) -> dict[str, Callable[[], Awaitable[Section]]]:
    quick, rounds = asked.quick, 1 if asked.quick else asked.rounds
    cpu = CpuPlan(rounds=rounds, comparisons=1_500 if quick else 3_000)
    http = HttpPlan(rounds=rounds, comparisons=1_500 if quick else 3_000)
    adapters = AdapterPlan(rounds=rounds, calls=1_000 if quick else 2_000)
    orchestrator = OrchestratorPlan(rounds=rounds, requests=10_000 if quick else 30_000)
    cache = CachePlan(
        rounds=rounds,
        comparisons=1_500 if quick else 3_000,
        in_flight=(50,) if quick else (50, 500),
        keys=10_000 if quick else 1_000_000,
    )
    trips = TripsPlan(comparisons=50 if quick else 200)
    faults = FaultPlan(seconds=3 if quick else 10)
    pricing = PricingPlan(rounds=rounds, prices=20_000 if quick else 50_000)
    accountant = AccountantPlan(rounds=rounds, events=20_000 if quick else 60_000)
    budget = BudgetPlan(
        rounds=rounds, comparisons=1_500 if quick else 3_000, counted=50 if quick else 200
    )
    page = PagePlan(slots=2_000, asked=10 if quick else 60)
    telemetry = TelemetryPlan(rounds=rounds, comparisons=1_500 if quick else 3_000)
    memory = MemoryPlan(slots=2_000, seconds=15 if quick else 60)
    growth = GrowthPlan(
        rounds=rounds,
        backlogs=(100, 10_000 if quick else 100_000),
        skip=1_000 if quick else 10_000,
        comparisons=1_500 if quick else 3_000,
    )
    return {
        "cpu": lambda: measure_cpu(bench, cpu, _tell),
        "http": lambda: measure_http(bench, http, _tell),
        "adapters": lambda: measure_adapters(bench, adapters, _tell),
        "orchestrator": lambda: measure_orchestrator(bench, orchestrator, _tell),
        "cache": lambda: measure_cache(bench, cache, _tell),
        "cache-trips": lambda: measure_trips(bench, trips, _tell),
        "redis-faults": lambda: measure_faults(bench, faults, _tell),
        "pricing": lambda: measure_pricing(bench, pricing, _tell),
        "accountant": lambda: measure_accountant(bench, accountant, _tell),
        "budget": lambda: measure_budget(bench, budget, _tell),
        "page": lambda: measure_page(bench, page, _tell),
        "telemetry": lambda: measure_telemetry(bench, telemetry, _tell),
        "memory": lambda: measure_memory(bench, memory, _tell),
        "startup": lambda: measure_startup(bench, max(rounds, 3), _tell),
        "growth": lambda: measure_growth(bench, growth, _tell),
    }


def _report(sections: dict[str, Section], asked: argparse.Namespace) -> None:
    facts = machine()
    said = ", ".join(f"{name} {fact}" for name, fact in facts.items())
    command = " ".join(["benchmarks/run.py", *sys.argv[1:]])
    text = "\n".join([f"`{command}` on {said}", "", *map(render, sections.values())])
    sys.stdout.write(text + "\n")
    if asked.markdown:
        put_into(asked.markdown, text)
    if asked.json:
        figures = {name: asdict(section) for name, section in sections.items()}
        document = {"command": command, "machine": facts, "parts": figures}
        asked.json.write_bytes(
            orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)
        )


def _tell(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    main()
