"""Loop (c): our worker, as its command starts it."""

from __future__ import annotations

from benchmarks.loops.traced import let_profilers_in
from llm_worker.bootstrap.worker.app import load_worker_settings, run_worker

if __name__ == "__main__":
    let_profilers_in()
    raise SystemExit(run_worker(load_worker_settings()))
