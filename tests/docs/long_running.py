"""`llm-worker` as a page's blocks start it, where the command would go on for ever.

`worker`, `accountant` and `tail` are run for real until they are ready, or have shown an event;
then comes the signal that a person would send, and they must end well. `dev` and `demo` bring a
stack of their own, which the tests of these commands run: their options are checked.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

import click

from llm_worker.cli.app import cli
from llm_worker.dev.leashed import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONG_RUNNING: Final = ("worker", "accountant", "dev", "demo", "tail")
REQUESTS: Final = "examples/requests.jsonl"
"""Sent while something waits for events."""

_SEND: Final = ("llm-worker", "submit", REQUESTS)
_READY_TIMEOUT_S: Final = 60.0
# A process that some library holds up ends by force 45 s after its drain, which has 30 s.
_STOP_TIMEOUT_S: Final = 90.0
_POLL_S: Final = 0.1


class NotAsPromisedError(Exception):
    """The command ended early, did not begin, or did not end."""


def run(words: Sequence[str]) -> None:
    """Run a command that goes on for ever until it is ready, then end it; it must end well."""
    name, *options = words
    if name in {"dev", "demo"}:
        root = click.Context(cli, **cli.context_settings)  # a command keeps its first one's -h
        command = cli.get_command(root, name)
        assert command
        command.make_context(name, options, parent=root)
    elif "--help" in options or "-h" in options:
        subprocess.run(_command(words), check=True)  # noqa: S603 - our own
    elif name == "tail":
        _tail(_command(words))
    else:
        _serve(_command([*words, f"--web-port={(port := free_ports(1)[0])}"]), port)


def _command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "llm_worker", *words]


def _serve(command: Sequence[str], port: int) -> None:
    path = "readyz" if "worker" in command else "livez"
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    with _started(command) as process:
        while not _answers(f"http://127.0.0.1:{port}/{path}"):
            if process.poll() is not None:
                raise NotAsPromisedError(f"ended with {process.returncode}")
            if time.monotonic() > deadline_s:
                raise NotAsPromisedError(f"not ready within {_READY_TIMEOUT_S:.0f} s")
            time.sleep(_POLL_S)
        _end(process, signal.SIGTERM)


def _tail(command: Sequence[str]) -> None:
    with _started(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        os.set_blocking(process.stdout.fileno(), False)
        while not (seen := process.stdout.read()):
            if process.poll() is not None:
                raise NotAsPromisedError(f"ended with {process.returncode}")
            sent = subprocess.run(_SEND, capture_output=True, text=True, check=False)  # noqa: S603 - our own
            if sent.returncode != 0:
                raise NotAsPromisedError(sent.stderr)
        os.set_blocking(process.stdout.fileno(), True)
        with contextlib.suppress(BrokenPipeError):
            os.write(sys.stdout.fileno(), seen)
        _end(process, signal.SIGINT)


@contextlib.contextmanager
def _started(
    command: Sequence[str], stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=stdout) as process:  # noqa: S603 - our own
        try:
            yield process
        finally:
            process.kill()


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    process.send_signal(how)
    try:
        process.communicate(timeout=_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise NotAsPromisedError(f"goes on {_STOP_TIMEOUT_S:.0f} s after {how.name}") from None
    if process.returncode != 0:
        raise NotAsPromisedError(f"ended with {process.returncode} after {how.name}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - ours, http
            return True
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    try:
        run(sys.argv[1:])
    except (NotAsPromisedError, subprocess.CalledProcessError, click.ClickException) as error:
        sys.exit(f"llm-worker {' '.join(sys.argv[1:])}: {error}")
