from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import psutil
import pytest
from click.testing import CliRunner

from llm_worker.cli.app import cli
from llm_worker.dev.leashed import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

_STOP_TIMEOUT_S = 60
# An own installation, which the one on this machine is none of.
_ELSEWHERE = {
    "LLM_WORKER_KAFKA__SECURITY_PROTOCOL": "SSL",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "http_proxy": "http://127.0.0.1:1",
    "no_proxy": "",
}


@pytest.fixture
def ports() -> tuple[int, int]:
    kafka, web = free_ports(2)
    return kafka, web


@pytest.fixture
def dev(tmp_path: Path, ports: tuple[int, int]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-P", "-m", "llm_worker", "dev"]
    options = [f"--kafka-port={ports[0]}", f"--web-port={ports[1]}"]
    (tmp_path / ".env").write_text("USE_MOCK_LLM=true\nLLM_WORKER_ENVIRONMENT=of-dotenv\n")
    (tmp_path / "redis.py").write_text("raise AssertionError('nobody asked for this')\n")
    with subprocess.Popen(  # noqa: S603 - our own command
        [*command, *options],
        cwd=tmp_path,
        env={**os.environ, **_ELSEWHERE},  # noqa: TID251 - handed on
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        yield process
        process.kill()


def test_dev_serves_until_sigterm_and_leaves_nothing_behind(
    dev: subprocess.Popen[str], ports: tuple[int, int]
) -> None:
    welcome = _read_until(dev.stdout, "Ctrl-C ends everything.")
    assert f"LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:{ports[0]} llm-worker compare" in welcome
    with urllib.request.urlopen(f"http://127.0.0.1:{ports[1]}/healthz", timeout=10) as answer:
        health = json.load(answer)
    assert health["status"] in {"healthy", "degraded"}
    assert health["environment"] == "of-dotenv"
    _stop(dev, signal.SIGTERM)


def test_ctrl_c_while_it_starts_leaves_nothing_behind(dev: subprocess.Popen[str]) -> None:
    _read_until(dev.stderr, "starting Apache Kafka")
    _stop(dev, signal.SIGINT)


@pytest.mark.parametrize("option", ["--kafka-port", "--web-port"])
def test_taken_port_is_an_error_that_names_its_option(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ports: tuple[int, int]
) -> None:
    monkeypatch.chdir(tmp_path)
    others = {"--kafka-port": str(ports[0]), "--web-port": str(ports[1])}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = others | {option: str(taken.getsockname()[1])}
        result = CliRunner().invoke(
            cli, ["dev", *(word for pair in options.items() for word in pair)]
        )
    assert result.exit_code == 1
    assert result.stderr.startswith(
        f"Error: {option}: port {options[option]} of 127.0.0.1 is in use"
    )


def _read_until(stream: IO[str] | None, last_line: str) -> str:
    assert stream
    read = ""
    for line in stream:
        read += line
        if last_line in line:
            return read
    raise AssertionError(f"ended without {last_line!r}: {read}")


def _stop(dev: subprocess.Popen[str], with_signal: signal.Signals) -> None:
    children = psutil.Process(dev.pid).children(recursive=True)
    dev.send_signal(with_signal)
    assert dev.wait(_STOP_TIMEOUT_S) == 0
    _, alive = psutil.wait_procs(children, timeout=_STOP_TIMEOUT_S)
    assert alive == []
