"""Everything at once, for a minute; `make chaos SEED=n` does it for ten, with any seed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.chaos.harness import FULL, sized
from tests.chaos.storm import Storm, run_storm

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(3600 if FULL else 600)


async def test_no_promise_breaks_in_a_storm(tmp_path: Path) -> None:
    storm = Storm(seed=1, length_s=sized(small=40, full=600), nodes=sized(small=1, full=3))
    found = await run_storm(storm, tmp_path)
    report = orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2).decode()
    assert not found.violations, report
    assert found.figures["requests"] > found.figures["over_http"] > 0, report
