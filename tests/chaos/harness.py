"""Worker processes, and the scenarios that they are put through."""

from __future__ import annotations

import contextlib
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from llm_worker.adapters.kafka.topics import create_topics
from llm_worker.contracts.topics import load_topics
from tests.chaos.broker_rights import create_topic
from tests.chaos.checker import Report, examine
from tests.chaos.load import Load
from tests.chaos.processes import WorkerProcess
from tests.chaos.watch import Watch, until, watching
from tests.chaos.worker_process import ACCOUNTANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from llm_worker.contracts.topics import TopicCatalog
    from tests.chaos.evidence import Evidence, Sent

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
ANSWERED_S = 600.0 if FULL else 90.0
_LOG_LINES_SHOWN = 25
_INHERITED = ("PATH", "HOME", "TMPDIR")


def sized(*, small: int, full: int) -> int:
    """Choose by the one knob: CHAOS=full."""
    return full if FULL else small


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
    accountants: list[WorkerProcess] = field(default_factory=list)

    async def start_worker(self, *arguments: str, **settings: object) -> WorkerProcess:
        """Start a worker and wait until it has partitions.

        `settings` are LLM_WORKER_ variables in lower case, laid over the scenario's.
        """
        worker = self.launch_worker(*arguments, **settings)
        await worker.until_ready()
        return worker

    def launch_worker(self, *arguments: str, **settings: object) -> WorkerProcess:
        """Start a worker; see `start_worker`."""
        log = self.directory / f"worker-{len(self.workers)}.log"
        environment = {**self.environment, **_variables(settings)}
        self.workers.append(WorkerProcess(environment, log, *arguments))
        return self.workers[-1]

    def launch_accountant(self) -> WorkerProcess:
        """Start an accountant."""
        log = self.directory / f"accountant-{len(self.accountants)}.log"
        self.accountants.append(WorkerProcess(self.environment, log, ACCOUNTANT))
        return self.accountants[-1]

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

    async def until_called_by(self, worker: WorkerProcess, *, timeout_s: float = 60) -> None:
        """Wait until this worker has made a call; for a load that goes on."""
        await until(
            lambda: any(call.pid == worker.pid for call in self.watch.calls()),
            timeout_s=timeout_s,
            what=f"worker {worker.pid} makes a call",
        )

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
        report = examine(self.name, await self.settled(timeout_s=ANSWERED_S))
        self.reports.append(report)
        return report

    async def settled(self, *, timeout_s: float, beside: Sequence[Sent] = ()) -> Evidence:
        """Wait as `concluded` does, and give what is to be judged.

        `beside`: requests that took another way than the scenario's load.
        """
        sent = [*await self.load.flush(), *beside]
        with contextlib.suppress(AssertionError):  # the report says better what is missing
            await self.watch.until_answered(sent, timeout_s=timeout_s)
            await self.watch.until_committed(timeout_s=timeout_s)
        return self.watch.evidence(sent)

    def stop(self) -> None:
        """Kill what still runs."""
        for process in (*self.workers, *self.accountants):
            process.kill()

    def log_tails(self) -> str:
        """Give the end of every process's log."""
        return "\n".join(
            "\n".join([f"--- {process.log.stem}", *process.log_lines()[-_LOG_LINES_SHOWN:]])
            for process in (*self.workers, *self.accountants)
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
