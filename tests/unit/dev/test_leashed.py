from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from llm_worker.dev.leashed import EmbeddedServerError, LeashedProcess, free_ports, require_free

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    StartCode = Callable[[str], LeashedProcess]

_READY_AND_WAITING = "print('ready', flush=True); import time; time.sleep(600)"
_DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + _READY_AND_WAITING
_POLITE = (
    "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(print('bye'))); "
    + _READY_AND_WAITING
)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[StartCode]:
    started = []

    def start(code: str) -> LeashedProcess:
        started.append(LeashedProcess([sys.executable, "-c", code], log=tmp_path / "example.log"))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def test_end_before_readiness_is_an_error_with_the_end_of_the_log(run: StartCode) -> None:
    process = run("exit('no such setting: colour')")

    with pytest.raises(EmbeddedServerError, match=r"(?s)example ended.*no such setting: colour"):
        process.wait_until_logged("ready", timeout_s=30)


def test_readiness_that_does_not_come_in_time_is_an_error(run: StartCode) -> None:
    process = run(_READY_AND_WAITING)

    with pytest.raises(EmbeddedServerError, match="did not log 'never'"):
        process.wait_until_logged("never", timeout_s=0)


def test_readiness_of_an_earlier_run_does_not_count(run: StartCode) -> None:
    run(_READY_AND_WAITING).wait_until_logged("ready", timeout_s=30)

    with pytest.raises(EmbeddedServerError):
        run("print('other')").wait_until_logged("ready", timeout_s=30)


def test_server_is_asked_past_the_proxy_that_the_user_has(
    run: StartCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (port,) = free_ports(1)

    process = run(
        "from http.server import HTTPServer, SimpleHTTPRequestHandler as Pages; "
        f"HTTPServer(('127.0.0.1', {port}), Pages).serve_forever()"
    )

    process.wait_until_answers(f"http://127.0.0.1:{port}/", timeout_s=30)


def test_server_that_ends_before_it_answers_is_an_error(run: StartCode) -> None:
    (port,) = free_ports(1)

    with pytest.raises(EmbeddedServerError, match=r"(?s)example ended.*no such setting"):
        run("exit('no such setting')").wait_until_answers(f"http://127.0.0.1:{port}/", timeout_s=30)


def test_environment_reaches_the_command_and_no_command_line(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    process = LeashedProcess(
        [sys.executable, "-c", "import os; print(os.environ['KEY'], 'HOME' in os.environ); "
         + _READY_AND_WAITING],
        log=tmp_path / "example.log",
        environment={"KEY": "hunter2"},
    )  # fmt: skip
    try:
        process.wait_until_logged("hunter2 False\nready", timeout_s=30)
        started = set(psutil.Process().children(recursive=True)) - before
        assert len(started) == 2
        assert not any("hunter2" in word for each in started for word in each.cmdline())
    finally:
        process.kill()


def test_failed_command_is_an_error(run: StartCode) -> None:
    with pytest.raises(EmbeddedServerError, match=r"(?s)failed.*disk full"):
        run("exit('disk full')").wait(timeout_s=30)


def test_command_that_takes_too_long_is_killed(run: StartCode) -> None:
    process = run(_READY_AND_WAITING)

    with pytest.raises(EmbeddedServerError, match="was not done"):
        process.wait(timeout_s=0)

    assert not process.is_running


def test_stop_lets_the_command_end_in_good_order(run: StartCode, tmp_path: Path) -> None:
    process = run(_POLITE)
    process.wait_until_logged("ready", timeout_s=30)

    process.stop(timeout_s=30)

    assert (tmp_path / "example.log").read_text() == "ready\nbye\n"


def test_stop_kills_a_command_that_does_not_listen(run: StartCode) -> None:
    process = run(_DEAF)
    process.wait_until_logged("ready", timeout_s=30)

    process.stop(timeout_s=0.1)

    assert not process.is_running


def test_stop_and_kill_may_be_repeated(run: StartCode) -> None:
    process = run(_READY_AND_WAITING)

    process.kill()
    process.stop(timeout_s=30)
    process.kill()

    assert not process.is_running


def test_free_ports_are_distinct_and_free() -> None:
    ports = free_ports(6)

    assert len(set(ports)) == 6
    for port in ports:
        require_free(port)


def test_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(EmbeddedServerError, match=f"port {port} .* is in use"):
            require_free(port)
