"""A whole installation on this machine: embedded broker, topics, worker and accountant."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from llm_worker.adapters.kafka.topics import create_topics
from llm_worker.contracts.variables import under_every_name
from llm_worker.dev.kafka import EmbeddedKafka
from llm_worker.dev.leashed import LeashedProcess, free_ports, require_free

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from llm_worker.contracts.topics import TopicCatalog

_READY_TIMEOUT_S = 90.0
_DRAIN_TIMEOUT_S = 10.0


class LocalStack:
    """Broker, topics and our processes, for as long as the context lasts. Its methods block.

    They block so that Ctrl-C interrupts them at any moment; enter it outside of an event loop.
    Nothing of it outlives this process, whichever way it ends.

    Entering raises `EmbeddedServerError`, with the end of a log, if something does not come up,
    and `ClusterError` if the topics cannot be created; nothing runs then.

    Args:
        directory: The caller's, for records and logs; created if need be, never removed.
        catalog: The topics to create, as the worker will name them too.
        environment: Settings of our processes, beside those of broker, cache and ports.
        inherit_environment: Whether they also see the environment of this process, and `.env` and
            `llm-worker.toml` where it works.
        cache_url: A Redis; without one they have no shared cache.
        kafka_port: A free one if not given.
        web_port: Of the worker's health pages; a free one if not given.
        with_accountant: Whether spend is added up too.
        report: Told what is going on, a line at a time.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, and most have a default
        self,
        directory: Path,
        *,
        catalog: TopicCatalog,
        environment: Mapping[str, str],
        inherit_environment: bool,
        cache_url: str = "",
        kafka_port: int | None = None,
        web_port: int | None = None,
        with_accountant: bool = False,
        report: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._directory = directory.absolute()
        self._catalog = catalog
        self._environment = environment
        self._inherit_environment = inherit_environment
        self._cache_url = cache_url
        self._web_port = web_port or free_ports(1)[0]
        self._accountant_port = free_ports(1)[0] if with_accountant else None
        self._report = report
        self._kafka = EmbeddedKafka(directory, port=kafka_port, report=report)
        self._running = ExitStack()
        self._processes: list[LeashedProcess] = []

    @property
    def kafka_options(self) -> dict[str, Any]:
        """Connection arguments as every aiokafka client takes them."""
        return {"bootstrap_servers": self._kafka.bootstrap_servers}

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address."""
        return self._kafka.bootstrap_servers

    @property
    def web_url(self) -> str:
        """Where the worker answers HTTP, without a slash at the end."""
        return f"http://127.0.0.1:{self._web_port}"

    @property
    def accountant_url(self) -> str | None:
        """Where the accountant answers HTTP, without a slash at the end; None without one."""
        port = self._accountant_port
        return None if port is None else f"http://127.0.0.1:{port}"

    @property
    def worker_log(self) -> Path:
        """What the worker logs."""
        return self._directory / "worker.log"

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            self._report("starting Apache Kafka")
            starting.enter_context(self._kafka)
            self._report("creating topics")
            asyncio.run(create_topics(self.kafka_options, self._catalog, replication_factor=1))
            self._report("starting the worker")
            require_free(self._web_port)
            worker = self._start("worker", starting)
            accountant = self._start("accountant", starting) if self._accountant_port else None
            worker.wait_until_answers(f"{self.web_url}/readyz", timeout_s=_READY_TIMEOUT_S)
            if accountant is not None:
                accountant.wait_until_answers(
                    f"{self.accountant_url}/readyz", timeout_s=_READY_TIMEOUT_S
                )
            self._running = starting.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._running.close()

    def require_running(self) -> None:
        """Raise EmbeddedServerError, with the end of its log, if worker or accountant has ended."""
        for process in self._processes:
            process.require_running()

    def _start(self, name: str, running: ExitStack) -> LeashedProcess:
        process = LeashedProcess(
            [sys.executable, "-P", "-m", "llm_worker", name],  # a folder may hold any module
            log=self._directory / f"{name}.log",
            directory=Path.cwd() if self._inherit_environment else None,
            environment=self._whole_environment(),
        )
        running.callback(process.stop, timeout_s=_DRAIN_TIMEOUT_S)
        self._processes.append(process)
        return process

    def _whole_environment(self) -> dict[str, str]:
        settings = {
            "LLM_WORKER_WEB__HOST": "127.0.0.1",
            "LLM_WORKER_WEB__PORT": str(self._web_port),
            "LLM_WORKER_WEB__ACCOUNTANT_PORT": str(self._accountant_port or 0),
            "LLM_WORKER_CACHE__REDIS_URL": self._cache_url,
            **self._environment,
            "LLM_WORKER_KAFKA__TOPIC_PREFIX": self._catalog.prefix,
            "LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "LLM_WORKER_KAFKA__SECURITY_PROTOCOL": "PLAINTEXT",
        }
        inherited = os.environ if self._inherit_environment else {}  # noqa: TID251 - handed on
        return {**inherited, **under_every_name(settings)}
