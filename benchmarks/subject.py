"""The process under test: pinned to the first core, watched from the second."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
SUBJECT_CORE, OTHER_CORE = 0, 1
_LOG_BYTES_SHOWN = 2_000
_READY_TIMEOUT_S = 60.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Subject:
    """A running process under test."""

    process: psutil.Process
    log: Path

    @property
    def pid(self) -> int:
        """The process's id."""
        return int(self.process.pid)

    def cpu_s(self) -> float:
        """Seconds of CPU, user and system, of all threads so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def peak_mb(self) -> float:
        """Most resident memory so far, in MB (10^6 bytes)."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) * 1024 / 1e6 if found else 0.0

    def check(self) -> None:
        """Raise RuntimeError with the end of its log if the process has ended."""
        if not self.process.is_running() or self.process.status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError(f"the process under test ended; {self.end_of_log()}")

    def end_of_log(self) -> str:
        """Quote what it said last."""
        said = self.log.read_bytes()[-_LOG_BYTES_SHOWN:].decode(errors="replace")
        return f"the end of its log:\n{said}"


def watch_from_the_side() -> None:
    """Leave the first core to the process under test; children, the broker too, inherit this."""
    os.sched_setaffinity(0, {OTHER_CORE} if (os.cpu_count() or 1) > 1 else {SUBJECT_CORE})


async def until_ready(subject: Subject, address: str) -> None:
    """Wait until the worker at this address has its partitions.

    Raises RuntimeError if it ends, TimeoutError if that takes more than a minute.
    """
    async with asyncio.timeout(_READY_TIMEOUT_S), aiohttp.ClientSession() as session:
        while not await is_ready(session, address):
            subject.check()
            await asyncio.sleep(_POLL_S)


async def is_ready(session: aiohttp.ClientSession, address: str) -> bool:
    """Ask the worker whether it is ready; before it listens it is not."""
    try:
        async with session.get(f"{address}/readyz") as response:
            return response.ok
    except aiohttp.ClientError:
        return False


@contextmanager
def running(
    module: str,
    *,
    log: Path,
    env: Mapping[str, str] = {},
    arguments: Sequence[str] = (),
    python: Path = Path(sys.executable),
    core: int = SUBJECT_CORE,
) -> Iterator[Subject]:
    """Run `python -m module` alone on the first core, or on another; it is killed on leaving.

    Its environment is `env` and nothing else, so that nobody's shell is measured.
    """
    here = os.sched_getaffinity(0)
    with log.open("wb") as output:
        os.sched_setaffinity(0, {core})
        try:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [str(python), "-m", module, *arguments],
                env=dict(env) | {"PATH": os.defpath},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
            )
        finally:
            os.sched_setaffinity(0, here)
    try:
        yield Subject(psutil.Process(process.pid), log)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
