"""The accountant, as its command starts it."""

from __future__ import annotations

from benchmarks.loops.traced import let_profilers_in
from llm_worker.bootstrap.accountant.app import run_accountant
from llm_worker.settings.loading import load_settings

if __name__ == "__main__":
    let_profilers_in()
    raise SystemExit(run_accountant(load_settings()))
