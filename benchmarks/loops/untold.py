"""Our worker, as its command starts it, but that nothing is counted and no delivery is logged."""

from __future__ import annotations

from typing import Any

from benchmarks.loops.traced import let_profilers_in
from llm_worker.adapters.telemetry.events import WorkerTelemetry
from llm_worker.adapters.telemetry.metrics import Metrics
from llm_worker.bootstrap.worker import parts as worker_parts
from llm_worker.bootstrap.worker.app import load_worker_settings, run_worker

_PAGE = ("render", "total")


def _untold(told: type) -> Any:  # noqa: ANN401 - a class of the same methods
    """Make a class whose methods do nothing, but for those of the page."""
    names = [name for name in vars(told) if not name.startswith("_") and name not in _PAGE]
    return type(told.__name__, (told,), dict.fromkeys(names, lambda *_told, **_more: None))


if __name__ == "__main__":
    let_profilers_in()
    # In their places for the whole process.
    vars(worker_parts).update(Metrics=_untold(Metrics), WorkerTelemetry=_untold(WorkerTelemetry))
    raise SystemExit(run_worker(load_worker_settings()))
