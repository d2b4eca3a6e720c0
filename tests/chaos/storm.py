"""A storm: everything at once, for minutes, by a schedule that a seed draws.

    python -m tests.chaos.storm --seed 7 --minutes 10 --nodes 3

prints what was planned, what happened and what was found as JSON, and exits with 1 if an invariant
did not hold.
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

from tests.chaos.storm_faults import befall
from tests.chaos.storm_judgement import Findings, Happened, judge
from tests.chaos.storm_schedule import Lane, by_lane, lane_of, schedule
from tests.chaos.storm_stack import stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.storm_schedule import Planned
    from tests.chaos.storm_stack import Stack

READY_S: Final = 180.0
SETTLED_S: Final = 300.0
_UP_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What to do: with which seed, for how long, on how many brokers, under which load."""

    seed: int
    length_s: float
    nodes: int
    rate_per_s: float = 15
    http_rate_per_s: float = 2

    def planned(self) -> tuple[Planned, ...]:
        """Give its schedule."""
        return schedule(self.seed, length_s=self.length_s, nodes=self.nodes)


async def run_storm(storm: Storm, directory: Path) -> Findings:
    """Let it rage, let everything settle, and judge."""
    name = f"storm-{storm.seed}"
    async with stack(directory, name=name, nodes=storm.nodes) as running:
        for launch in (running.launch_worker, running.launch_accountant):
            await launch().until_ready(timeout_s=READY_S)
        await running.launch_worker().until_ready(timeout_s=READY_S)
        load = running.scenario.load.running(
            rate_per_s=storm.rate_per_s, at_least=1, organization_id="school-kafka"
        )
        begun_s = time.monotonic()
        diary: list[Happened] = []
        async with load, running.http.running(rate_per_s=storm.http_rate_per_s):
            async with asyncio.TaskGroup() as lanes:
                for planned in by_lane(storm.planned()).values():
                    lanes.create_task(befall_in_turn(running, planned, begun_s, diary))
            left_s = storm.length_s - (time.monotonic() - begun_s)
            await asyncio.sleep(max(0.0, left_s))
        await calm(running)
        return await judge(running, happened=diary, settled_s=SETTLED_S)


async def befall_in_turn(
    running: Stack, planned: Sequence[Planned], begun_s: float, diary: list[Happened]
) -> None:
    """Let a lane's faults happen; one that is not over in time delays those after it."""
    for each in planned:
        await asyncio.sleep(max(0.0, each.at_s - (time.monotonic() - begun_s)))
        if lane_of(each.fault) is Lane.PROCESSES:
            # Or processes would be killed that have done nothing yet.
            await _until_up(running, timeout_s=_UP_S)
        running.replace_ended()
        at_s = time.monotonic() - begun_s
        click.echo(f"{at_s:6.1f} s: {each.fault} {each.behaviour}".rstrip(), err=True)
        try:
            await befall(running, each)
        except Exception as error:
            error.add_note(f"while {each}")
            raise
        diary.append(
            Happened(
                fault=f"{each.fault} {each.behaviour}".rstrip(),
                begin_s=round(at_s, 1),
                end_s=round(time.monotonic() - begun_s, 1),
            )
        )


async def _until_up(running: Stack, *, timeout_s: float) -> None:
    """Wait until every process is ready, has ended, or had that time; some faults let none."""
    processes = [*running.workers, *running.accountants]
    awake = [process for process in processes if process not in running.frozen]
    waiting = (process.until_ready_or_ended(timeout_s=timeout_s) for process in awake)
    await asyncio.gather(*waiting)


async def calm(running: Stack) -> None:
    """Wait until all that should run does."""
    running.replace_ended()
    for process in (*running.workers, *running.accountants):
        await process.until_ready(timeout_s=READY_S)
    await running.http.until_answered(timeout_s=SETTLED_S)


@click.command()
@click.option("--seed", type=int, required=True)
@click.option("--minutes", type=float, default=10, show_default=True)
@click.option("--nodes", type=click.Choice([1, 3]), default=3, show_default=True)
@click.option("--rate", type=float, default=15, show_default=True, help="Requests a second.")
def main(*, seed: int, minutes: float, nodes: int, rate: float) -> None:
    """Run one storm."""
    storm = Storm(seed=seed, length_s=minutes * 60, nodes=nodes, rate_per_s=rate)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of our own clients, in outages
    directory = Path(tempfile.mkdtemp(prefix=f"storm-{seed}-"))
    _say({"storm": asdict(storm), "planned": [asdict(each) for each in storm.planned()]})
    found = asyncio.run(run_storm(storm, directory))
    _say(asdict(found))
    if found.violations:
        click.echo(f"logs and journals: {directory}", err=True)
        sys.exit(1)


def _say(what: dict[str, Any]) -> None:
    click.echo(orjson.dumps(what, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
