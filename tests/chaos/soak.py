"""A soak: the stack of a storm at half of what it can do, with a fault every few minutes.

    python -m tests.chaos.soak --seed 1 --minutes 60 --plot docs/images/soak.svg

One worker and one accountant run throughout, and are looked at every few seconds; faults befall
the others, the brokers, Redis and the providers. Prints samples, trends and findings as JSON, and
exits with 1 if an invariant did not hold, or something grew.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from tests.chaos.soak_plot import plot
from tests.chaos.soak_samples import Sampler
from tests.chaos.soak_trends import SoakSample, Trend, trends
from tests.chaos.storm import READY_S, SETTLED_S, befall_in_turn, calm
from tests.chaos.storm_judgement import Findings, Happened, judge
from tests.chaos.storm_schedule import sparse_schedule
from tests.chaos.storm_stack import stack
from tests.chaos.watch import beside

if TYPE_CHECKING:
    from tests.chaos.storm_stack import Stack

_SAMPLES: Final = 24
"""At least: of a soak that is shorter than an hour they are taken more often."""
_EVERY_S: Final = 10.0
_WARM_UP: Final = 200
_MEASURED: Final = 1_000
_SHARE: Final = 0.5
_HTTP_RATE_PER_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What came of a soak."""

    sustained_per_s: float
    rate_per_s: float
    samples: list[SoakSample]
    trends: list[Trend]
    found: Findings

    def faults(self) -> list[str]:
        """Name what did not hold."""
        grown = [each for each in self.trends if not each.is_flat]
        return [
            *self.found.violations,
            *(f"{each.what} grew from {each.before} to {each.after}" for each in grown),
        ]


async def soak(
    directory: Path, *, seed: int, length_s: float, nodes: int, most_per_s: float
) -> Soaked:
    """Let it run, let everything settle, and judge."""
    planned = sparse_schedule(seed, length_s=length_s, nodes=nodes)
    async with stack(directory, name=f"soak-{seed}", nodes=nodes) as running:
        running.spared = [running.launch_worker(), running.launch_accountant()]
        beside_them = running.launch_worker(), running.launch_accountant()
        for process in (*running.spared, *beside_them):
            await process.until_ready(timeout_s=READY_S)
        sustained_per_s = await _sustained_per_s(running)
        rate_per_s = min(most_per_s, sustained_per_s * _SHARE)
        sampler = Sampler(running, every_s=min(_EVERY_S, length_s / _SAMPLES))
        load = running.scenario.load.running(
            rate_per_s=rate_per_s, at_least=1, organization_id="school-kafka"
        )
        diary: list[Happened] = []
        begun_s = time.monotonic()
        http = running.http.running(rate_per_s=_HTTP_RATE_PER_S)
        async with load, http, beside(sampler.run()):
            await befall_in_turn(running, planned, begun_s, diary)
            await asyncio.sleep(max(0.0, length_s - (time.monotonic() - begun_s)))
        await calm(running)
        found = await judge(running, happened=diary, settled_s=SETTLED_S)
    return Soaked(
        sustained_per_s=round(sustained_per_s, 1),
        rate_per_s=round(rate_per_s, 1),
        samples=sampler.samples,
        trends=trends(sampler.samples),
        found=found,
    )


async def _sustained_per_s(running: Stack) -> float:
    """Find out how many requests a second are answered while there are always more."""
    begun_s = 0.0
    for count in (_WARM_UP, _MEASURED):
        begun_s = time.monotonic()
        sent = await running.scenario.load.send_many(count, organization_id="school-kafka")
        await running.scenario.watch.until_answered(sent, timeout_s=SETTLED_S)
    return _MEASURED / (time.monotonic() - begun_s)


@click.command()
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--minutes", type=float, default=60, show_default=True)
@click.option("--nodes", type=click.Choice([1, 3]), default=3, show_default=True)
@click.option("--rate", type=float, default=1e9, help="Requests a second at most.")
@click.option("--plot", "picture", type=click.Path(path_type=Path), help="SVG file to write.")
def main(*, seed: int, minutes: float, nodes: int, rate: float, picture: Path | None) -> None:
    """Run one soak."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of our own clients, in outages
    directory = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-"))
    soaked = asyncio.run(
        soak(directory, seed=seed, length_s=minutes * 60, nodes=nodes, most_per_s=rate)
    )
    _say({**asdict(soaked), "flat": {each.what: each.is_flat for each in soaked.trends}})
    if picture is not None:
        spans = [(each.begin_s, each.end_s) for each in soaked.found.happened]
        plot(soaked.samples, spans, picture)
    for fault in soaked.faults():
        click.echo(fault, err=True)
    if soaked.faults():
        click.echo(f"logs and journals: {directory}", err=True)
        sys.exit(1)


def _say(what: dict[str, Any]) -> None:
    click.echo(orjson.dumps(what, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
