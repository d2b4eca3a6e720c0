"""A terminal in which one page's blocks are run, in their order, as a reader would paste them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.docs.engines import SHIMS
from tests.docs.long_running import LONG_RUNNING, REQUESTS
from tests.docs.pages import SHELL
from tests.support.dockerfile import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.docs.pages import Block

_TIMEOUT_S: Final = 200.0
_STOP_TIMEOUT_S: Final = 20.0
_ORDER: Final = Path(__file__).with_name("order.py")
_NOT_COPIED: Final = frozenset({"build", "dist"})
_NOT_WRITTEN_TO: Final = frozenset({"llm_worker", "tests", "benchmarks"})
# What a page calls each address, in the words of whoever follows it.
_ADDRESSES: Final = {
    "broker": r"(?:localhost|127\.0\.0\.1|kafka(?:-\d)?):9092(?:,kafka-\d:9092)*",
    "worker": r"(?:localhost|127\.0\.0\.1):(?:8080|8090)",
    "accountant": r"(?:localhost|127\.0\.0\.1):8081",
    "cache": r"(?:localhost|127\.0\.0\.1|redis):6379",
    "fakes": r"127\.0\.0\.1:PORT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the stack answers, as `host:port`."""

    broker: str
    worker: str
    accountant: str
    cache: str
    fakes: str

    def put_into(self, text: str) -> str:
        """Replace the addresses that pages name by those of the stack."""
        for name, written in _ADDRESSES.items():
            text = re.sub(rf"(?<![\w.]){written}(?!\d)", getattr(self, name), text)
        return text


@dataclass(frozen=True, slots=True)
class Ending:
    """How a block's run ended."""

    code: int | None
    """None: it was stopped, having done what it should."""
    output: str


class Terminal:
    """A shell in a copy of the repository; files, exports and the folder outlive a block.

    Args:
        directory: The caller's; it is filled.
        addresses: Of the stack that the blocks are run against.
        environment: All that a block finds in its environment, beside PATH and HOME.
        ready: Address of the process that has imported `llm_worker`.
    """

    def __init__(
        self, directory: Path, *, addresses: Addresses, environment: Mapping[str, str], ready: str
    ) -> None:
        self._addresses = addresses
        self._folder = directory / "llm-worker"
        self._state = directory / "state"
        self._scripts = directory / "scripts"
        self._order = shlex.join([sys.executable, "-I", "-S", str(_ORDER), ready])
        self._environment = {
            "PATH": f"{self._folder}/.venv/bin:{Path(sys.executable).parent}:{os.defpath}",
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            **environment,
        }
        self._scripts.mkdir(parents=True)
        self._state.write_text(f"cd {shlex.quote(str(self._folder))}\n", "utf-8")
        _copy_repository(self._folder)
        _install_shims(self._folder / ".venv/bin", order=self._order)

    def save(self, name: str, text: str) -> None:
        """Write a file into the folder."""
        file = self._folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._addresses.put_into(text), "utf-8")

    def run(self, block: Block, text: str) -> Ending:
        """Run a block's text until it ends or has printed what it was to.

        Raises:
            TimeoutError: It did neither; with its output.
        """
        script, log = (self._scripts / f"{block.line}.{suffix}" for suffix in ("sh", "log"))
        script.write_text(self._script(block, self._addresses.put_into(text)), "utf-8")
        with (
            log.open("wb") as output,
            subprocess.Popen(  # noqa: S603 - our own pages
                ["/usr/bin/env", "bash", script],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            ) as process,
        ):
            try:
                code = _watch(process, log, block.until, self._send_requests)
            except subprocess.TimeoutExpired:
                raise TimeoutError(f"goes on after {_TIMEOUT_S:.0f} s: {_read(log)}") from None
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return Ending(code, _read(log))

    def _script(self, block: Block, text: str) -> str:
        if block.language not in SHELL:
            program = self._scripts / f"{block.line}.py"
            program.write_text(text, "utf-8")
            text = f"{self._order} program {shlex.quote(str(program))}\n"
        state = shlex.quote(str(self._state))
        return (
            f"set -euo pipefail\n. {state}\n"
            f'trap \'{{ export -p; printf "cd %q\\n" "$PWD"; }} > {state}\' EXIT\n{text}'
        )

    def _send_requests(self) -> None:
        subprocess.run(  # noqa: S603 - our own command
            [self._folder / ".venv/bin/llm-worker", "submit", REQUESTS],
            cwd=self._folder,
            env=self._environment,
            check=True,
            capture_output=True,
        )


def _watch(
    process: subprocess.Popen[bytes],
    log: Path,
    until: str | None,
    send_requests: Callable[[], None],
) -> int | None:
    if until is None:
        return process.wait(_TIMEOUT_S)
    deadline_s = time.monotonic() + _TIMEOUT_S
    while until not in _read(log):
        if process.poll() is not None:
            return process.returncode
        if time.monotonic() > deadline_s:
            raise subprocess.TimeoutExpired(process.args, _TIMEOUT_S)
        send_requests()
    os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_TIMEOUT_S)
    return None


def _read(log: Path) -> str:
    return log.read_text("utf-8", errors="replace")


def _copy_repository(folder: Path) -> None:
    """Copy what a block may change, and link the rest."""
    folder.mkdir()
    for entry in REPOSITORY.iterdir():
        copy = folder / entry.name
        if entry.name in _NOT_WRITTEN_TO:
            copy.symlink_to(entry)
        elif entry.name in _NOT_COPIED or (entry.name[0] == "." and entry.suffix != ".example"):
            continue
        elif entry.is_dir():
            shutil.copytree(entry, copy)
        else:
            shutil.copy2(entry, copy)


def _install_shims(folder: Path, *, order: str) -> None:
    """Put what checks commands, and an `activate`, where the virtual environment would be."""
    folder.mkdir(parents=True)
    (folder / "activate").write_text(f'export PATH={shlex.quote(str(folder))}:"$PATH"\n', "utf-8")
    python = shlex.quote(sys.executable)
    git = shlex.quote(shutil.which("git", path=os.defpath) or "git")
    engine = f"{python} -P -m tests.docs.engines"
    long_running = f"{python} -P -m tests.docs.long_running"
    launchers = {name: f'exec {engine} {name} "$@"' for name in SHIMS}
    launchers["git"] = f'case "$1" in clone) exec {engine} git "$@";; esac\nexec {git} "$@"'
    launchers["llm-worker"] = (
        f'case "$1" in {"|".join(LONG_RUNNING)}) exec {long_running} "$@";; esac\n'
        f'exec {order} llm-worker "$@"'
    )
    launchers["python"] = launchers["python3"] = (
        f'case "$1 $2" in "-m venv") exit 0;; "-m pip") shift 2; exec {engine} pip "$@";; esac\n'
        f'exec {python} "$@"'
    )
    for name, command in launchers.items():
        file = folder / name
        file.write_text(f"#!/bin/sh\n{command}\n", "utf-8")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
