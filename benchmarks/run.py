"""Measure the worker: `benchmarks/run.py --help`; method and figures in docs/performance.md."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from benchmarks.all_parts import PARTS, Size
from benchmarks.bench import bench_on
from benchmarks.goals import judged
from benchmarks.profiling import PROFILES
from benchmarks.report import Section, machine, put_into, render, table
from benchmarks.subject import ROOT, watch_from_the_side
from llm_worker.dev.fake_providers.process import FakeProviders
from llm_worker.dev.kafka import EmbeddedKafka

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.bench import Bench
    from benchmarks.report import Figure

_TIME, _FAILED = "time", "**failed**"
IMAGES = ROOT / "docs" / "images"


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
    if _TIME in sections and any(row[""] == _FAILED for row in sections[_TIME].rows):
        sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure these parts alone")
    parser.add_argument("--rounds", type=int, default=3, help="of the parts that repeat")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put tables and plots there")
    parser.add_argument("--profile", choices=PROFILES, help="where the time goes, by py-spy")
    return parser.parse_args()


async def _measure(
    kafka: EmbeddedKafka, fakes: FakeProviders, directory: Path, asked: argparse.Namespace
) -> dict[str, Section]:
    async with bench_on(kafka.bootstrap_servers, directory, fakes) as bench:
        if asked.profile:
            return await PROFILES[asked.profile](bench, _tell)
        size = Size(rounds=1 if asked.quick else asked.rounds, is_quick=asked.quick)
        return await _measure_parts(bench, size, asked.only or PARTS)


async def _measure_parts(bench: Bench, size: Size, names: Iterable[str]) -> dict[str, Section]:
    """Measure one part after another; one that fails does not cost what the others found."""
    sections: dict[str, Section] = {}
    took: list[dict[str, Figure]] = []
    for name in names:
        began_s = time.monotonic()
        try:
            sections[name] = await PARTS[name](bench, size, _tell)
        except Exception:  # noqa: BLE001 - see above; the exit code tells it
            traceback.print_exc()
        minutes = (time.monotonic() - began_s) / 60
        told = "measured" if name in sections else _FAILED
        took.append({"part": name, "minutes": round(minutes, 1), "": told})
        _tell(f"{name}: {told} in {minutes:.1f} minutes")
    total = sum(float(row["minutes"]) for row in took)
    sections[_TIME] = Section(title=f"Time taken, {total:.0f} minutes", rows=took)
    return sections


def _report(sections: dict[str, Section], asked: argparse.Namespace) -> None:
    facts = machine()
    said = ", ".join(f"{name} {fact}" for name, fact in facts.items())
    command = " ".join(["benchmarks/run.py", *sys.argv[1:]])
    text = "\n".join([f"`{command}` on {said}", "", *map(render, sections.values())])
    goals = judged(sections)
    sys.stdout.write("\n".join([*([render(goals)] if goals.rows else []), text, ""]))
    if asked.json:
        figures = {name: asdict(section) for name, section in sections.items()}
        document = {"command": command, "machine": facts, "parts": figures}
        asked.json.write_bytes(
            orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)
        )
    if asked.markdown:
        from benchmarks.plots import draw_all, listed  # noqa: PLC0415 - matplotlib, of the examples extra

        put_into(asked.markdown, text)
        if goals.rows:
            put_into(asked.markdown, table(goals), between="goals")
        draw_all(sections, IMAGES)
        put_into(asked.markdown, listed(IMAGES), between="plots")


def _tell(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    main()
