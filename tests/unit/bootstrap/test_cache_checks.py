from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_worker.bootstrap import load_settings
from llm_worker.bootstrap.cache.checks import cache_faults

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _faults(**given: str) -> list[str]:
    return list(cache_faults(load_settings(given)))


def test_defaults_have_no_fault() -> None:
    assert _faults() == []
    assert _faults(REDIS_URL="") == []


def test_outcomes_that_are_forgotten_before_kafka_forgets_are_a_fault_with_both_numbers() -> None:
    normal, bulk = _faults(LLM_WORKER_CACHE__OUTCOME_TTL_S="281399")
    for part in ("LLM_WORKER_CACHE__OUTCOME_TTL_S is 281399 s", "281400 s", "raise the first"):
        assert part in normal
    assert "comparison_requested_bulk" in bulk


def test_url_that_cannot_be_used_is_a_fault_without_its_secret() -> None:
    [fault] = _faults(REDIS_URL="redis://:hunter2/3@127.0.0.1")
    assert fault.startswith("LLM_WORKER_CACHE__REDIS_URL (or REDIS_URL): its URL is not like")
    assert "hunter2" not in fault


def test_database_of_a_cluster_is_a_fault() -> None:
    [fault] = _faults(REDIS_URL="redis://127.0.0.1/5", LLM_WORKER_CACHE__CLUSTER="true")
    assert "cluster" in fault
