"""Everything at once: brokers, Redis, providers over HTTP, workers with their API, accountants."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from llm_worker.adapters.clock import SystemClock
from llm_worker.contracts.vocabulary import ProviderName
from llm_worker.dev.fake_providers.server import BASES
from llm_worker.dev.kafka import EmbeddedKafka
from tests.chaos.harness import scenario
from tests.chaos.provider_process import STARTED
from tests.chaos.storm_excuses import Absence, Interruption
from tests.chaos.storm_http import HttpLoad
from tests.chaos.worker_process import JOURNAL
from tests.support.redis_servers import RedisServer, valkey_command
from tests.support.slow_proxy import SlowProxy
from tests.support.worker import Installation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

    from tests.chaos.harness import Scenario
    from tests.chaos.processes import WorkerProcess

SLOTS: Final = 20
CALL_S: Final = 8.0
"""How long one call to a provider may take."""
PROVIDERS: Final = (ProviderName.ANTHROPIC, ProviderName.GOOGLE, ProviderName.OPENAI)
LATENCY_MS: Final = 150
_ENDS_WITHIN_S: Final = 120.0
_DRAIN_S: Final = 15
_FORCED: Final = 75


@dataclass(slots=True, kw_only=True)
class Stack:
    """All of it, running. Made by `stack`."""

    kafka: EmbeddedKafka
    nodes: int
    redis: RedisServer
    proxy: SlowProxy
    providers_url: str
    scenario: Scenario
    installation: Installation
    workers: list[WorkerProcess] = field(default_factory=list)
    """Those that should run, the frozen ones too."""

    accountants: list[WorkerProcess] = field(default_factory=list)
    frozen: list[WorkerProcess] = field(default_factory=list)
    spared: list[WorkerProcess] = field(default_factory=list)
    """Those that no fault is meant for."""

    interruptions: list[Interruption] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)
    outages: list[Absence] = field(default_factory=list)
    """When a broker was away; the last one may go on."""

    freezes: list[Absence] = field(default_factory=list)
    """When an accountant was frozen."""

    ended_wrongly: list[str] = field(default_factory=list)
    http: HttpLoad = field(init=False)

    def __post_init__(self) -> None:
        self.http = HttpLoad(self._urls)

    @property
    def books(self) -> Path:
        """What the providers billed."""
        return self.scenario.directory / "books.jsonl"

    @property
    def topics(self) -> list[str]:
        """Every topic, as the brokers know it."""
        return list(self.scenario.catalog.names_on_broker())

    def launch_worker(self) -> WorkerProcess:
        """Start one more worker."""
        journal = self.scenario.directory / "journal.jsonl"
        self.workers.append(self.scenario.launch_worker(f"{JOURNAL}{journal}"))
        return self.workers[-1]

    def launch_accountant(self) -> WorkerProcess:
        """Start one more accountant."""
        self.accountants.append(self.scenario.launch_accountant())
        return self.accountants[-1]

    def interrupted(self, worker: WorkerProcess) -> None:
        """Remember that a worker is killed or frozen now."""
        self.interruptions.append(Interruption(pid=worker.pid, at=now()))

    async def retire(self, process: WorkerProcess) -> None:
        """Ask a process to end, and see it end well."""
        for those in (self.workers, self.accountants):
            if process in those:
                those.remove(process)
        begin = now()
        process.terminate()
        try:
            code = await process.ended(timeout_s=_ENDS_WITHIN_S)
        except AssertionError:
            process.kill()
            self.ended_wrongly.append(f"{process.log.stem} did not end within {_ENDS_WITHIN_S} s")
            return
        if code == _FORCED and any(each.end >= begin for each in self.outages):
            # What it still had to say no broker took: as documented, and as good as a kill.
            self.interrupted(process)
        elif code:
            self.ended_wrongly.append(
                f"{process.log.stem} was asked to end, and exited with {code}"
            )

    def replace_ended(self) -> None:
        """Start those again that have ended by themselves, and remember that they did."""
        for those, launch in (
            (self.workers, self.launch_worker),
            (self.accountants, self.launch_accountant),
        ):
            for process in [each for each in those if not each.is_running]:
                those.remove(process)
                name, code = process.log.stem, process.exit_code
                self.ended_wrongly.append(f"{name} ended by itself with {code}")
                launch()

    async def steer(self, provider: str, change: Mapping[str, Any]) -> None:
        """Tell a provider what to do with its calls; no name: all of them."""
        url = f"{self.providers_url}/_control/{provider}"
        timeout = aiohttp.ClientTimeout(total=_ENDS_WITHIN_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, json=change) as answer,
        ):
            assert answer.status == 200, await answer.text()

    def _urls(self) -> list[str]:
        awake = [worker.url for worker in self.workers if worker not in self.frozen]
        return awake or [worker.url for worker in self.workers]


def now() -> datetime:
    """Give the time as the workers see it."""
    return SystemClock().now()


@asynccontextmanager
async def stack(
    directory: Path, *, name: str, nodes: int, **settings: object
) -> AsyncIterator[Stack]:
    """Start everything but our own processes; nothing of it runs afterwards."""
    async with AsyncExitStack() as running:
        kafka = EmbeddedKafka(directory / "kafka", nodes=nodes)
        await asyncio.to_thread(kafka.start)
        running.push_async_callback(asyncio.to_thread, kafka.stop)
        redis = running.enter_context(RedisServer(directory / "redis", valkey_command()))
        proxy = await running.enter_async_context(SlowProxy(redis.port))
        url = await running.enter_async_context(_fake_providers(directory))
        begun = await running.enter_async_context(
            scenario(
                name,
                bootstrap_servers=kafka.bootstrap_servers,
                directory=directory,
                reports=[],
                replication_factor=nodes,
                cache__redis_url=f"redis://127.0.0.1:{proxy.port}/0",
                **_settings(url) | settings,
            )
        )
        prefix = begun.catalog.prefix
        found = Stack(
            kafka=kafka,
            nodes=nodes,
            redis=redis,
            proxy=proxy,
            providers_url=url,
            scenario=begun,
            installation=Installation(kafka.bootstrap_servers, directory, prefix),
        )
        running.push_async_callback(found.http.aclose)
        await found.steer("", {"latency_ms": LATENCY_MS})
        yield found


def _settings(providers_url: str) -> dict[str, Any]:
    of_providers: dict[str, Any] = {
        f"providers__{name}__{field}": value
        for name in PROVIDERS
        for field, value in {
            "api_key": f"fake-{name}-key",
            "base_url": providers_url + BASES[name],
            "timeout_s": CALL_S,
            "requests_per_minute": 3_000,
            "max_in_flight": SLOTS,
        }.items()
    }
    return of_providers | {
        "providers__mock__enabled": "false",
        "routing__strategy": "round_robin",
        "max_in_flight": SLOTS,
        "drain_s": _DRAIN_S,
        # Slower answers than this are made on purpose here, whatever else the machine does.
        "cache__budget_ms": 1_000,
        "budget__daily_usd": "0.005",
        "budget__organizations": '{"school-http": {"daily_usd": 0.0005}}',
    }


@asynccontextmanager
async def _fake_providers(directory: Path) -> AsyncIterator[str]:
    program = Path(__file__).with_name("provider_process.py")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program), str(directory / "books.jsonl")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        assert line.startswith(STARTED), line
        yield line.removeprefix(STARTED).strip()
    finally:
        process.kill()
        await process.wait()
