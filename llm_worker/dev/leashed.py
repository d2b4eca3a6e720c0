"""Child processes that never outlive this one, and the ports that they listen on."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

_LEASH = Path(__file__).with_name("leash.py")
_LOG_LINES_IN_ERROR = 15
_POLL_S = 0.05
_ANSWER_TIMEOUT_S = 2.0
# Below the range from which systems take the ports of outgoing connections: a client that keeps
# knocking at a killed server's port could otherwise be given that very port and keep it.
_SERVER_PORTS = range(10_240, 32_768)

ask_directly: Final = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
"""Asks a server of this machine, past the proxy that the environment may name."""


class EmbeddedServerError(RuntimeError):
    """An embedded server could not be installed, started or stopped."""


class LeashedProcess:
    """A running command whose output goes to a log file.

    It has its own session, so Ctrl-C in the terminal reaches only this process, which then
    stops it when it wants. If this process dies, by whatever means, the command is killed.

    Args:
        command: The program and its arguments, which other users can read.
        log: Where its output is appended.
        directory: Where it works; the log's folder if not given.
        environment: All that it finds there; what this process has if not given.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._leash = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-I", "-S", str(_LEASH), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                bufsize=0,
                start_new_session=True,
                cwd=directory or log.parent,
                env=environment,
            )

    def wait_until_logged(self, text: str, *, timeout_s: float) -> None:
        """Wait for a line of this run's log that contains `text`.

        Raises:
            EmbeddedServerError: The process ended first, or the time is up; with its last log
                lines. The process is left as it is.
        """
        self._wait_until(lambda: text in self._logged(), f"log {text!r}", timeout_s)

    def wait_until_answers(self, url: str, *, timeout_s: float) -> None:
        """Wait until an HTTP request succeeds.

        Raises:
            EmbeddedServerError: As for `wait_until_logged`.
        """
        self._wait_until(lambda: _answers(url), f"answer at {url}", timeout_s)

    def wait(self, *, timeout_s: float) -> None:
        """Wait until the process has ended well.

        Raises:
            EmbeddedServerError: It failed, or was killed because the time was up.
        """
        try:
            code = self._leash.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._error(f"was not done within {timeout_s:.0f} s") from None
        self.kill()
        if code != 0:
            raise self._error("failed")

    @property
    def is_running(self) -> bool:
        """Say whether the process has not ended yet."""
        return self._leash.poll() is None

    def require_running(self) -> None:
        """Raise EmbeddedServerError, with the end of its log, if the process has ended."""
        if not self.is_running:
            raise self._error("ended")

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM)."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(b"\n")

    def stop(self, *, timeout_s: float) -> None:
        """Ask the process to end, and kill it if it takes longer than `timeout_s`."""
        if self.is_running:
            self.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._leash.wait(timeout_s)
        self.kill()

    def kill(self) -> None:
        """Kill the process if it still runs; it is gone on return."""
        self._stdin.close()
        self._leash.wait()

    def _wait_until(self, is_so: Callable[[], bool], what: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_so():
            self.require_running()
            if time.monotonic() > deadline:
                raise self._error(f"did not {what} within {timeout_s:.0f} s")
            time.sleep(_POLL_S)

    @property
    def _stdin(self) -> IO[bytes]:
        return cast("IO[bytes]", self._leash.stdin)  # it was asked for

    def _logged(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def _error(self, what_happened: str) -> EmbeddedServerError:
        last_lines = "\n  ".join(self._logged().splitlines()[-_LOG_LINES_IN_ERROR:])
        return EmbeddedServerError(
            f"{self._log.stem} {what_happened}; the end of its log, {self._log}:\n  {last_lines}"
        )


def free_ports(count: int) -> list[int]:
    """Return distinct ports of the loopback interface on which nobody listens now.

    Raises:
        EmbeddedServerError: There are not so many.
    """
    shuffled = random.sample(_SERVER_PORTS, len(_SERVER_PORTS))
    found = list(itertools.islice(filter(_is_free, shuffled), count))
    if len(found) < count:
        raise EmbeddedServerError(f"found no {count} free ports on 127.0.0.1")
    return found


def require_free(port: int) -> None:
    """Check that a server can listen on this port of the loopback interface now.

    Raises:
        EmbeddedServerError: Somebody listens there.
    """
    if not _is_free(port):
        raise EmbeddedServerError(
            f"port {port} of 127.0.0.1 is in use: choose another, or stop who listens there"
        )


def _answers(url: str) -> bool:
    try:
        with ask_directly(url, timeout=_ANSWER_TIMEOUT_S):
            return True
    except OSError:  # urllib's own errors are of this kind
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        # As the servers do it: connections that linger from an earlier server do not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
