from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from llm_worker.contracts.topics import load_topics
from llm_worker.dev.cache import EmbeddedCache
from llm_worker.dev.fake_providers.process import FakeProviders
from llm_worker.dev.leashed import LeashedProcess
from llm_worker.dev.stack import LocalStack
from tests.docs.ready import LISTENS
from tests.docs.terminal import Addresses, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_START_TIMEOUT_S = 60.0
_ADMIN_KEY = "an-admin-key-for-the-pages"


@pytest.fixture(scope="module")
def addresses(
    fast_brokers: dict[str, str],  # noqa: ARG001 - how its broker is started
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Addresses]:
    """What `llm-worker dev` runs, with a mock that never fails."""
    directory = tmp_path_factory.mktemp("stack")
    with ExitStack() as running:
        cache = running.enter_context(EmbeddedCache(directory / "cache"))
        fakes = running.enter_context(FakeProviders(directory / "fakes"))
        settings = {
            "LLM_WORKER_CACHE__REDIS_URL": cache.url,
            "LLM_WORKER_PROVIDERS__MOCK__ERROR_RATE": "0",
            "LLM_WORKER_USE_MOCK_LLM": "true",
            "LLM_WORKER_ADMIN_API_KEY": _ADMIN_KEY,
        }
        stack = running.enter_context(
            LocalStack(
                directory,
                catalog=load_topics(),
                environment=settings,
                inherit_environment=False,
                with_accountant=True,
            )
        )
        yield Addresses(
            broker=stack.bootstrap_servers,
            worker=stack.web_url.removeprefix("http://"),
            accountant=str(stack.accountant_url).removeprefix("http://"),
            cache=cache.url.removeprefix("redis://").removesuffix("/0"),
            fakes=fakes.url.removeprefix("http://"),
        )


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a process that has imported `llm_worker`."""
    name = f"llm-worker-pages-{os.getpid()}"
    command = ["/usr/bin/env", "-i", "LANG=C.UTF-8", sys.executable, "-m", "tests.docs.ready", name]
    process = LeashedProcess(command, log=tmp_path_factory.mktemp("ready") / "ready.log")
    try:
        process.wait_until_logged(LISTENS, timeout_s=_START_TIMEOUT_S)
        yield name
    finally:
        process.kill()


@pytest.fixture(scope="module")
def terminal_of(
    addresses: Addresses, ready: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Terminal]:
    """Give the terminal of a page, the same one for all of its blocks."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": addresses.broker,
        "REDIS_URL": f"redis://{addresses.cache}/0",
        "USE_MOCK_LLM": "true",
        "LLM_WORKER_PROVIDERS__MOCK__ERROR_RATE": "0",
        "LLM_ADMIN_API_KEY": _ADMIN_KEY,
    }
    terminals: dict[str, Terminal] = {}

    def terminal_of(page: str) -> Terminal:
        if page not in terminals:
            directory = tmp_path_factory.mktemp("page")
            terminals[page] = Terminal(
                directory, addresses=addresses, environment=environment, ready=ready
            )
        return terminals[page]

    return terminal_of
