"""Worker processes, and the scenarios that they are put through."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import aiohttp
from aiokafka import AIOKafkaProducer

from llm_worker.adapters.kafka.topics import create_topics
from llm_worker.contracts.topics import load_topics
from llm_worker.dev.leashed import free_ports
from tests.chaos.broker_rights import create_topic
from tests.chaos.checker import Report, examine
from tests.chaos.load import Load
from tests.chaos.watch import Watch, until, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from llm_worker.contracts.topics import TopicCatalog

    NewScenario = Callable[..., AbstractAsyncContextManager["Scenario"]]

FULL = os.environ.get("CHAOS") == "full"  # noqa: TID251 - the tests' knob, no setting
WITHOUT_REDIS = {
    "cache__redis_url": "",
    # Who waits, for a retry or through a pause, may be overtaken; given back by a drain, it takes
    # with it what is finished behind it, and without Redis nobody else knows.
    "retry__attempts": 1,
    "providers__mock__error_rate": 0,
}
"""Settings of a worker that has its own memory alone."""
READY_S = 60.0
ANSWERED_S = 600.0 if FULL else 90.0
_LOG_LINES_SHOWN = 25
_INHERITED = ("PATH", "HOME", "TMPDIR")


def sized(*, small: int, full: int) -> int:
    """Choose by the one knob: CHAOS=full."""
    return full if FULL else small


class WorkerProcess:
    """One worker; its log is a file."""

    def __init__(self, environment: Mapping[str, str], log: Path, *arguments: str) -> None:
        self.log = log
        self._port = free_ports(1)[0]
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, str(Path(__file__).with_name("worker_process.py")), *arguments],
                env={**environment, "LLM_WORKER_WEB__PORT": str(self._port)},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=log.parent,
            )

    @property
    def pid(self) -> int:
        """Its process id, as the journal has it."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Say whether it has not ended yet."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it with SIGKILL; it is gone on return."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP)."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        self._process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._process.send_signal(signal.SIGTERM)

    async def ended(self, *, timeout_s: float) -> int:
        """Wait for its end, and give its exit code."""
        await until(lambda: not self.is_running, timeout_s=timeout_s, what=f"{self.log.stem} ends")
        return self._process.wait()

    async def until_ready(self, *, timeout_s: float = READY_S) -> None:
        """Wait until it has partitions."""
        await until(self._is_ready, timeout_s=timeout_s, what=f"{self.log.stem} is ready")

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
        """Give what it logged, without the line per delivery."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if '"event":"delivery"' not in line]

    async def _health(self) -> str:
        async with aiohttp.ClientSession() as session, session.get(self._url("healthz")) as answer:
            return str((await answer.json())["status"])

    async def _is_ready(self) -> bool:
        assert self.is_running, f"{self.log.stem} ended"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            timeout = aiohttp.ClientTimeout(total=2)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self._url("readyz")) as answer,
            ):
                return answer.status == 200
        return False

    def _url(self, page: str) -> str:
        return f"http://127.0.0.1:{self._port}/{page}"


@dataclass(slots=True, kw_only=True)
class Scenario:
    """One scenario under way. Made by `scenario`."""

    name: str
    catalog: TopicCatalog
    load: Load
    watch: Watch
    environment: dict[str, str]
    directory: Path
    reports: list[Report]
    workers: list[WorkerProcess] = field(default_factory=list)

    async def start_worker(self, *arguments: str, **settings: object) -> WorkerProcess:
        """Start a worker and wait until it has partitions.

        `settings` are LLM_WORKER_ variables in lower case, laid over the scenario's.
        """
        log = self.directory / f"worker-{len(self.workers)}.log"
        worker = WorkerProcess({**self.environment, **_variables(settings)}, log, *arguments)
        self.workers.append(worker)
        await worker.until_ready()
        return worker

    async def until_called(self, *, total: int, timeout_s: float = 60) -> None:
        """Wait until so many calls were made since the start."""
        await until(
            lambda: len(self.watch.calls()) >= total,
            timeout_s=timeout_s,
            what=f"{total} calls are made",
        )

    async def until_called_again(self, *, more: int) -> None:
        """Wait until so many more calls were made; for a load that goes on."""
        await self.until_called(total=len(self.watch.calls()) + more)

    async def until_answered(self, *, more: int, timeout_s: float = 60) -> None:
        """Wait until so many more requests are answered."""
        wanted = len(self.watch.answered) + more
        await until(
            lambda: len(self.watch.answered) >= wanted,
            timeout_s=timeout_s,
            what=f"{more} more requests are answered",
        )

    async def concluded(self) -> Report:
        """Wait until all is answered and committed, at the latest until it no longer moves."""
        sent = await self.load.flush()
        with contextlib.suppress(AssertionError):  # the report says better what is missing
            await self.watch.until_answered(sent, timeout_s=ANSWERED_S)
            await self.watch.until_committed(timeout_s=ANSWERED_S)
        report = examine(self.name, self.watch.evidence(sent))
        self.reports.append(report)
        return report

    def stop(self) -> None:
        """Kill what still runs."""
        for worker in self.workers:
            worker.kill()

    def log_tails(self) -> str:
        """Give the end of every worker's log."""
        return "\n".join(
            "\n".join([f"--- {worker.log.stem}", *worker.log_lines()[-_LOG_LINES_SHOWN:]])
            for worker in self.workers
        )


@asynccontextmanager
async def scenario(
    name: str,
    *,
    bootstrap_servers: str,
    directory: Path,
    reports: list[Report],
    replication_factor: int = -1,
    reply_topics: Mapping[str, Mapping[str, str]] = {},
    **settings: object,
) -> AsyncIterator[Scenario]:
    """Set a scenario up on topics and a group of its own; nothing of it runs afterwards.

    `reply_topics`, with their configuration, get the scenario's prefix; see
    `Scenario.start_worker` for `settings`.
    """
    catalog = load_topics(prefix=f"{name}.{uuid4().hex[:8]}.")
    connection = {"bootstrap_servers": bootstrap_servers}
    await create_topics(connection, catalog, replication_factor=replication_factor)
    for topic, config in reply_topics.items():
        await create_topic(bootstrap_servers, catalog.prefix + topic, config=config)
    journal = directory / "journal.jsonl"
    environment = _environment(bootstrap_servers, catalog.prefix, journal) | _variables(settings)
    async with (
        watching(
            bootstrap_servers,
            catalog=catalog,
            group=environment["LLM_WORKER_KAFKA__GROUP"],
            journal=journal,
            reply_topics=[catalog.prefix + topic for topic in reply_topics],
        ) as watch,
        # Longer than any outage here: what this producer gives up, the checker cannot judge.
        AIOKafkaProducer(
            **connection,
            enable_idempotence=True,
            request_timeout_ms=300_000,
            max_request_size=4 * 2**20,
        ) as producer,
    ):
        running = Scenario(
            name=name,
            catalog=catalog,
            load=Load(producer, catalog),
            watch=watch,
            environment=environment,
            directory=directory,
            reports=reports,
        )
        try:
            yield running
        except BaseException as error:
            error.add_note(running.log_tails())
            raise
        finally:
            running.stop()


def _environment(bootstrap_servers: str, prefix: str, journal: Path) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 - handed on to the worker
        if name in _INHERITED
    }
    return inherited | _variables(
        {
            "kafka__bootstrap_servers": bootstrap_servers,
            "kafka__topic_prefix": prefix,
            "kafka__group": f"{prefix}workers",
            "kafka__session_timeout_s": 6,
            "cache__key_prefix": prefix,
            "callback_patterns": f"{prefix}*",
            "providers__mock__enabled": "true",
            "providers__mock__journal": journal,
            "providers__mock__timeout_s": 10,
            "drain_s": 15,
            "breaker__recovery_timeout_s": 1,
            "log__format": "json",
        }
    )


def _variables(settings: Mapping[str, object]) -> dict[str, str]:
    return {f"LLM_WORKER_{name.upper()}": str(value) for name, value in settings.items()}
