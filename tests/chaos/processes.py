"""Our processes as the scenarios start them: they end with the tests, and can be hurt."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from typing import TYPE_CHECKING

import aiohttp

from llm_worker.dev.leashed import free_ports
from tests.chaos.watch import until
from tests.chaos.worker_process import run
from tests.support.nursery import born

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

READY_S = 60.0
_ASKED_S = 2.0
_OF_REQUESTS = re.compile('"event":"(delivery|attempt_failed)"')


class WorkerProcess:
    """One worker, or accountant; its log is a file."""

    def __init__(self, environment: Mapping[str, str], log: Path, *arguments: str) -> None:
        self.log = log
        self._port = free_ports(1)[0]
        ports = dict.fromkeys(
            ("LLM_WORKER_WEB__PORT", "LLM_WORKER_WEB__ACCOUNTANT_PORT"), str(self._port)
        )
        self._process, self._leash = born(
            run, arguments, environment={**environment, **ports}, log=log
        )

    @property
    def pid(self) -> int:
        """Its process id, as the journal has it."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Say whether it has not ended yet."""
        return self.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.exitcode

    @property
    def url(self) -> str:
        """Where it answers HTTP, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    def kill(self) -> None:
        """End it with SIGKILL; it is gone on return."""
        self._process.kill()
        self._process.join()
        self._leash.close()

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._signal(signal.SIGTERM)

    async def ended(self, *, timeout_s: float) -> int:
        """Wait for its end, and give its exit code."""
        await until(lambda: not self.is_running, timeout_s=timeout_s, what=f"{self.log.stem} ends")
        assert self.exit_code is not None
        return self.exit_code

    async def until_ready(self, *, timeout_s: float = READY_S) -> None:
        """Wait until it has partitions."""
        await until(self.is_ready, timeout_s=timeout_s, what=f"{self.log.stem} is ready")

    async def until_ready_or_ended(self, *, timeout_s: float) -> None:
        """Wait until it is ready or has ended; it may also come to neither in time."""

        async def is_so() -> bool:
            return not self.is_running or await self.is_ready()

        with contextlib.suppress(AssertionError):
            await until(is_so, timeout_s=timeout_s, what="it is ready")

    async def metric(self, name: str) -> float:
        """Read a metric, summed over its labels."""
        async with aiohttp.ClientSession() as session, session.get(self._url("metrics")) as answer:
            lines = (await answer.text()).splitlines()
        found = [line for line in lines if line.split("{")[0].split(" ")[0] == name]
        assert found, f"there is no metric {name}"
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    async def is_healthy(self) -> bool:
        """Say whether it reports itself healthy."""
        return await self._health() == "healthy"

    async def is_degraded(self) -> bool:
        """Say whether it reports itself degraded."""
        return await self._health() == "degraded"

    def log_lines(self) -> list[str]:
        """Give what it logged, without the lines of deliveries and of calls that failed."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if not _OF_REQUESTS.search(line)]

    async def _health(self) -> str:
        async with aiohttp.ClientSession() as session, session.get(self._url("healthz")) as answer:
            return str((await answer.json())["status"])

    async def is_ready(self) -> bool:
        """Say whether work may be given to it."""
        assert self.is_running, f"{self.log.stem} ended"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            timeout = aiohttp.ClientTimeout(total=_ASKED_S)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self._url("readyz")) as answer,
            ):
                return answer.status == 200
        return False

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it may just have ended
            os.kill(self.pid, number)

    def _url(self, page: str) -> str:
        return f"{self.url}/{page}"
