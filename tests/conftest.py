from __future__ import annotations

import signal
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from typing_extensions import override
from xdist.scheduler import LoadFileScheduling

from llm_worker.dev.cache import EmbeddedCache
from llm_worker.dev.kafka import EmbeddedKafka
from tests.support.aot_cache import aot_cache
from tests.support.redis_servers import RedisServer, redis_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xdist.remote import Producer

# How fast the machine is says nothing about the code.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_children() -> None:
    """Undo what a shell does to its background jobs: they and their children ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


# The longest first: what is short fills up at the end, when one of the processes has no more.
_LONG = ("chaos", "integration", "docs", "hostile", "browser")
# Two scenarios at once would be too much for two cores; the others have a server in common.
_TOGETHER = ("tests/chaos/", "tests/hostile/", "tests/browser/")
_SHOWN = "shown at the end: "


class _InSomeProcesses(LoadFileScheduling):  # type: ignore[misc] # xdist ships no types
    """A file, or a folder that wants it so, in one process."""

    @override
    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.startswith(_TOGETHER)
        return "/".join(nodeid.split("/")[:2]) if folder else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _InSomeProcesses(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(here).parts[0]
        return _LONG.index(folder) if folder in _LONG else len(_LONG)

    items.sort(key=place)


@pytest.fixture
def show(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Takes a heading, and a line to be shown under it at the end."""

    def show(heading: str, line: str) -> None:
        # A part of the test's report, since another process than the test's may show it.
        request.node.user_properties.append((_SHOWN + heading, line))

    return show


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    shown: dict[str, list[str]] = {}
    for report in chain.from_iterable(terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport) and report.when == "teardown":
            for name, line in report.user_properties:
                if name.startswith(_SHOWN):
                    shown.setdefault(name.removeprefix(_SHOWN), []).append(str(line))
    for heading, lines in shown.items():
        terminalreporter.section(heading)
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def fast_brokers() -> Iterator[dict[str, str]]:
    """Each JVM from now on takes what an earlier one made of Kafka's classes.

    One whose parent does not inherit our environment needs these variables.
    """
    variables = {"JAVA_TOOL_OPTIONS": f"-XX:AOTCache={aot_cache()}"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables


@pytest.fixture(scope="session")
def kafka(
    fast_brokers: dict[str, str],  # noqa: ARG001 - how it is started
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[EmbeddedKafka]:
    """One broker for the whole session: for tests that do not stop it."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture(scope="module")
def kafka_cluster(
    fast_brokers: dict[str, str],  # noqa: ARG001 - how it is started
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[EmbeddedKafka]:
    """Three brokers for a module; a test that kills one brings it back."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka-cluster"), nodes=3) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def cache_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCache]:
    """One cache for the whole session: for tests that do not stop it."""
    with EmbeddedCache(tmp_path_factory.mktemp("cache")) as cache:
        yield cache


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for the whole session, Debian's: for tests that do not stop it."""
    with RedisServer(tmp_path_factory.mktemp("redis"), redis_command()) as server:
        yield server
