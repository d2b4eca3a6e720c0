"""A worker with and without an endpoint for spans: what is loaded, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from llm_worker.application.tracing import NO_TRACING
from llm_worker.bootstrap.tracing import build_tracing
from llm_worker.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

_SETTINGS = {"LLM_WORKER_CACHE__REDIS_URL": "", "LLM_WORKER_USE_MOCK_LLM": "true"}
_ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
_BUILD = """
import sys
from llm_worker.bootstrap.worker.app import build_worker, load_worker_settings
build_worker(load_worker_settings())
machinery = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "google.protobuf", "requests")
print(*(name for name in machinery if name in sys.modules))
"""


def _loaded(directory: Path, environment: dict[str, str]) -> list[str]:
    ended = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", _BUILD],
        env=_SETTINGS | environment,
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.splitlines()[-1].split()  # before it come lines of the log


def test_worker_without_an_endpoint_loads_nothing_that_makes_spans(tmp_path: Path) -> None:
    assert _loaded(tmp_path, {"OTEL_TRACES_SAMPLER": "always_on"}) == []


def test_worker_with_an_endpoint_does(tmp_path: Path) -> None:
    assert "opentelemetry.sdk.trace" in _loaded(tmp_path, _ENDPOINT)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_BSP_MAX_QUEUE_SIZE", "-1")],
)
def test_wish_that_cannot_be_met_is_said_and_nobody_is_held_up(
    variable: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, said in (_ENDPOINT | {variable: value}).items():
        monkeypatch.setenv(name, said)
    assert build_tracing(load_settings({}), ()) is NO_TRACING
    assert "tracing_off" in capsys.readouterr().out
