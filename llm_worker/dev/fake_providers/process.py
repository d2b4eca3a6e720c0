"""The fake providers as a child process: for `dev`, and for workers that are processes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from llm_worker.contracts.variables import under_every_name
from llm_worker.dev.fake_providers.self_hosted import SELF_HOSTED_MODEL
from llm_worker.dev.fake_providers.server import BASES, HOST
from llm_worker.dev.leashed import LeashedProcess, free_ports, require_free

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

STARTED = "steered at"
"""What it prints once it answers."""

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 5.0
_PREFIX = "LLM_WORKER_PROVIDERS__"


class FakeProviders:
    """All providers' APIs on one port, for as long as the context lasts. Its methods block.

    It does not outlive this process.

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
        """The server's address, without a slash at the end; `/_control` steers it."""
        return f"http://{HOST}:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """Settings that let a worker call these instead of the real providers.

        A key comes under its other names, too: inherited, a real one would contradict it, or be
        sent here.
        """
        settings = {f"{_PREFIX}SELF_HOSTED__DEFAULT_MODEL": SELF_HOSTED_MODEL}
        for name, base in BASES.items():
            settings[f"{_PREFIX}{name.upper()}__BASE_URL"] = self.url + base
            settings[f"{_PREFIX}{name.upper()}__API_KEY"] = f"fake-{name}-key"
        return under_every_name(settings)

    def __enter__(self) -> Self:
        require_free(self._port)
        self._directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "llm_worker.dev.fake_providers"]
        self._process = LeashedProcess(
            [*command, "--port", str(self._port)], log=self._directory / "fake-providers.log"
        )
        try:
            self._process.wait_until_logged(STARTED, timeout_s=_START_TIMEOUT_S)
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process:
            self._process.stop(timeout_s=_STOP_TIMEOUT_S)
