from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.chaos.harness import scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_worker.dev.cache import EmbeddedCache
    from tests.chaos.checker import Report
    from tests.chaos.harness import NewScenario


@pytest.fixture
def reports(show: Callable[[str, str], None]) -> Iterator[list[Report]]:
    """Collects what a test's scenarios found; shown at the end, and kept where it is wanted."""
    found: list[Report] = []
    yield found
    lines = [orjson.dumps(report.figures()).decode() for report in found]
    for line in lines:
        show("what the chaos scenarios found", line)
    # What docs/reliability.md is filled from.
    kept = os.environ.get("CHAOS_REPORT")  # noqa: TID251 - the tests' knob, no setting
    if kept:
        with Path(kept).open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)


@pytest.fixture
def new_scenario(tmp_path: Path, reports: list[Report], cache_server: EmbeddedCache) -> NewScenario:
    """Set up a scenario with logs and journal in the test's own directory."""
    return partial(
        scenario,
        directory=tmp_path,
        reports=reports,
        cache__redis_url=cache_server.url,
        cache__budget_ms=1_000,  # a busy machine is no fault of Redis
    )
