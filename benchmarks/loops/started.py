"""Our worker, noting when each step of its start is done."""

from __future__ import annotations

import time

_BEGUN_S = time.monotonic()

import os  # noqa: E402 - what is imported from here on is timed
from functools import wraps  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

import orjson  # noqa: E402
from aiokafka.consumer.fetcher import Fetcher  # noqa: E402
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance  # noqa: E402

from llm_worker.bootstrap.process import run_app  # noqa: E402
from llm_worker.bootstrap.worker.app import build_worker, load_worker_settings  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llm_worker.adapters.kafka.app import DeliveryApp
    from llm_worker.settings import Settings

NOTES = "BENCH_NOTES"
"""Environment variable: the file that holds the moments (CLOCK_MONOTONIC, s) of the steps."""

STEPS = ("interpreter", "imports", "settings", "wiring", "servers and broker", "join", "first poll")
"""In their order; each ends at its moment."""


class _Notes:
    def __init__(self) -> None:
        self.moments = {"interpreter": _BEGUN_S}

    def note(self, step: str) -> None:
        if step not in self.moments:
            self.moments[step] = time.monotonic()

    def write(self) -> None:
        path = Path(os.environ[NOTES])  # noqa: TID251 - the bench's own, no setting
        path.write_bytes(orjson.dumps(self.moments))


def main() -> int:
    """Run the worker."""
    notes = _Notes()
    notes.note("imports")
    settings = load_worker_settings()
    notes.note("settings")

    def build(settings: Settings) -> DeliveryApp:
        app = build_worker(settings)
        notes.note("wiring")
        return app

    def polled() -> None:
        # Faust asks for records as soon as it has its partitions, never before.
        notes.note("first poll")
        notes.write()

    _around(
        CoordinatorGroupRebalance,
        "perform_group_join",
        before=lambda: notes.note("servers and broker"),
        after=lambda: notes.note("join"),
    )
    _around(Fetcher, "fetched_records", before=polled, after=lambda: None)
    return run_app(settings, build, drain_s=settings.drain_s)


def _around(
    owner: type, name: str, *, before: Callable[[], None], after: Callable[[], None]
) -> None:
    real: Callable[..., Awaitable[object]] = getattr(owner, name)

    @wraps(real)
    async def wrapped(*args: object, **options: object) -> object:
        before()
        try:
            return await real(*args, **options)
        finally:
            after()

    setattr(owner, name, wrapped)


if __name__ == "__main__":
    raise SystemExit(main())
