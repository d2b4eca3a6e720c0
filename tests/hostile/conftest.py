from __future__ import annotations

import asyncio
import os
import random
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.hostile.planted import KEY
from tests.support.worker import Installation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_worker.dev.kafka import EmbeddedKafka
    from tests.support.worker import WorkerProcess

_SEED = os.environ.get("HOSTILE_SEED", "1")  # noqa: TID251 - the tests' knob, no setting


@pytest.fixture
def draw(request: pytest.FixtureRequest) -> random.Random:
    """What decides what is sent: the same for a test and HOSTILE_SEED."""
    return random.Random(f"{_SEED}/{request.node.name}")  # noqa: S311 - to be had again


@pytest.fixture
def found(show: Callable[[str, str], None]) -> Callable[[str], None]:
    """Takes a line about what a test sent and saw, to be shown at the end."""
    return partial(show, f"hostile input, HOSTILE_SEED={_SEED}")


@pytest.fixture(scope="module")
def installation(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    installation = Installation(kafka.bootstrap_servers, tmp_path_factory.mktemp("hostile"))
    return asyncio.run(installation.create())


@pytest.fixture(scope="module")
def worker(installation: Installation) -> Iterator[WorkerProcess]:
    """One worker for a module, which outlives all that is sent to it."""
    worker = installation.launch(
        LLM_ADMIN_API_KEY=f"{KEY}-admin", LLM_WORKER_REQUEST_DEADLINE_S="30"
    )
    try:
        asyncio.run(worker.until_ready())
        yield worker
        assert asyncio.run(worker.terminate()) == 0
    finally:
        worker.kill()
