"""Where the time of the worker goes, beside a bare loop: by library and by function."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bench import MOCK, WINDOW_PER_LANE, Loop
from benchmarks.over_http import OverHttp
from benchmarks.parts.budget import PRICED_MOCK, Case, settings_with
from benchmarks.report import Section
from benchmarks.window import measure_for
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.dev.cache import EmbeddedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from benchmarks.bench import Bench
    from benchmarks.report import Figure
    from benchmarks.subject import Subject
    from llm_worker.contracts.topics import TopicCatalog

    Running = Callable[[TopicCatalog], AbstractContextManager[Subject]]

_IN_FLIGHT = 50
_ESSAY_BYTES = 1_000
_REQUESTS = 100_000
_SETTLE_S, _SECONDS = 4, 10
_SAMPLES_PER_S = 250
_SHOWN = 30
_FRAME = re.compile(r"(?P<function>.+) \((?P<path>[^()]+?)(?::\d+)?\)")
_SITE_PACKAGES = "site-packages/"
_WAITING = "EpollSelector.select"


@dataclass(frozen=True, slots=True)
class Profile:
    """Stacks, outermost first, with their share of the CPU, in microseconds per comparison."""

    stacks: dict[tuple[str, ...], float]

    def own(self, name_of: Callable[[str], str]) -> Counter[str]:
        """Sum up by the innermost frame."""
        return self._sum(name_of, lambda stack: stack[-1:])

    def inclusive(self, name_of: Callable[[str], str]) -> Counter[str]:
        """Sum up by every frame of a stack, each once."""
        return self._sum(name_of, lambda stack: stack)

    def _sum(
        self, name_of: Callable[[str], str], frames: Callable[[tuple[str, ...]], Iterable[str]]
    ) -> Counter[str]:
        total: Counter[str] = Counter()
        for stack, cost in self.stacks.items():
            for name in {name_of(frame) for frame in frames(stack)}:
                total[name] += cost  # type: ignore[assignment] # counts microseconds, not pieces
        return total


async def profile_mock(bench: Bench, tell: Callable[[str], None]) -> dict[str, Section]:
    """Profile Faust alone and the worker with the mock over the same requests."""

    def running(loop: Loop) -> Running:
        return lambda topics: bench.running(loop, topics, in_flight=_IN_FLIGHT)

    return await _profile_both(bench, running(Loop.WORKER), ("b", running(Loop.FAUST)), tell)


async def profile_http(bench: Bench, tell: Callable[[str], None]) -> dict[str, Section]:
    """Profile the bare loop over HTTP and the worker over the same requests."""
    loops = await OverHttp.on(bench, calls=_IN_FLIGHT, essay_bytes=_ESSAY_BYTES)
    return await _profile_both(bench, loops.worker, ("d", loops.bare), tell)


async def profile_cache(bench: Bench, tell: Callable[[str], None]) -> dict[str, Section]:
    """Profile the worker with Redis and without, on requests that each ask something else."""
    with EmbeddedCache(bench.directory / "profiled") as cache:
        worker, alone = (_worker(bench, {"CACHE__REDIS_URL": url}, MOCK) for url in (cache.url, ""))
        return await _profile_both(bench, worker, ("ii", alone), tell)


async def profile_budget(bench: Bench, tell: Callable[[str], None]) -> dict[str, Section]:
    """Profile the worker with two hard limits and with none, over Redis in both cases."""
    with EmbeddedCache(bench.directory / "profiled") as cache:
        limited, free = (
            _worker(bench, settings_with(case, cache.url, f"{case.name}:"), PRICED_MOCK)
            for case in (Case.OF_ALL, Case.NONE)
        )
        return await _profile_both(bench, limited, ("none", free), tell)


PROFILES = {
    "mock": profile_mock,
    "http": profile_http,
    "cache": profile_cache,
    "budget": profile_budget,
}
"""By what answers."""


def _worker(bench: Bench, settings: Mapping[str, str], providers: Mapping[str, str]) -> Running:
    @contextmanager
    def run(topics: TopicCatalog) -> Iterator[Subject]:
        slots = _IN_FLIGHT // WINDOW_PER_LANE
        with bench.worker(topics, slots=slots, providers=providers, settings=settings) as running:
            yield running[0]

    return run


async def _profile_both(
    bench: Bench, worker: Running, beside: tuple[str, Running], tell: Callable[[str], None]
) -> dict[str, Section]:
    if shutil.which("py-spy", path=str(Path(sys.executable).parent)) is None:
        sys.exit("py-spy is not installed here: run `make test` once, or pip install py-spy")
    topics = await bench.topics("profile")
    await bench.fill(topics, TopicName.COMPARISON_REQUESTED, _REQUESTS, essay_bytes=_ESSAY_BYTES)
    letter, bare = beside
    tell(f"profile: loop {letter}")
    others = await _profile(bench, topics, bare)
    tell("profile: the worker")
    ours = await _profile(bench, topics, worker)

    def compared(title: str, by: Callable[[Profile], Counter[str]]) -> Section:
        return _compare(title, by(ours), by(others), letter)

    return {
        "libraries": compared("By library, own time", lambda each: each.own(_library)),
        "own": compared("By function, own time", lambda each: each.own(_function)),
        "inclusive": compared(
            "By function, with what it calls", lambda each: each.inclusive(_function)
        ),
    }


async def _profile(bench: Bench, topics: TopicCatalog, running: Running) -> Profile:
    with running(topics) as subject:
        await asyncio.sleep(_SETTLE_S)
        window = await measure_for(bench, subject, topics, seconds=_SETTLE_S)
        # The profiler slows its subject down, so the cost comes from before it looked.
        raw = bench.directory / f"{subject.pid}.raw"
        await _record(raw, subject.pid)
        return _read(raw, window.cpu_us)


async def _record(output: Path, pid: int) -> None:
    recorder = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("py-spy")),
        *("record", "--format", "raw", "--function", "--full-filenames"),
        *("--rate", str(_SAMPLES_PER_S), "--duration", str(_SECONDS)),
        *("--pid", str(pid), "--output", str(output)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await recorder.communicate()
    if recorder.returncode:
        raise RuntimeError(f"py-spy could not look in: {complaint.decode()}")


def _read(output: Path, cpu_us: float) -> Profile:
    lines = [line.rsplit(" ", 1) for line in output.read_text(encoding="utf-8").splitlines()]
    # On one core a thread that waits there is often only waiting for the core.
    counted = {tuple(stack.split(";")): int(n) for stack, n in lines if _WAITING not in stack}
    total = sum(counted.values())
    return Profile({stack: count / total * cpu_us for stack, count in counted.items()})


def _compare(title: str, worker: Counter[str], bare: Counter[str], letter: str) -> Section:
    rows: list[dict[str, Figure]] = [
        {"": name, "worker": cost, letter: bare[name], "more": cost - bare[name]}
        for name, cost in worker.most_common(_SHOWN)
    ]
    return Section(
        title=f"{title}, microseconds per comparison",
        rows=rows,
        remarks=["time in a compiled library counts for the Python function that calls it"],
    )


def _function(frame: str) -> str:
    found = _FRAME.fullmatch(frame)
    if found is None:
        return frame
    path = found["path"]
    parts = (
        path.split(_SITE_PACKAGES)[-1]
        if _SITE_PACKAGES in path
        else "/".join(Path(path).parts[-2:])
    )
    return f"{found['function']} ({parts})"


def _library(frame: str) -> str:
    found = _FRAME.fullmatch(frame)
    path = found["path"] if found else ""
    if _SITE_PACKAGES in path:
        return path.split(_SITE_PACKAGES)[-1].split("/")[0]
    for ours in ("llm_worker", "benchmarks"):
        if f"/{ours}/" in path:
            return ours
    return "asyncio" if "/asyncio/" in path else "Python's library"
