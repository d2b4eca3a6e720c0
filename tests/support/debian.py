"""Programs out of Debian's packages, fetched by apt-get without root and kept in ~/.cache.

    promtool = debian.command("promtool", "prometheus")  # a command line to put arguments behind
    root = debian.unpacked("chromium")  # a directory that stands for /
    environment = {"LD_LIBRARY_PATH": debian.library_path(root)}

apt resolves the dependencies, all the way down, without the recommended ones; what the machine has
is not fetched again. The machine's package lists are used, or, where they are missing or old, lists
of our own. Several processes may ask at once: one fetches, the others wait for it.

Where it cannot be had, the test is skipped and says why.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CACHE = Path.home() / ".cache" / "llm-worker" / "debian"
_LIBRARIES = tuple(
    f"{top}/*-linux-gnu*{below}" for top in ("lib", "usr/lib") for below in ("", "/pulseaudio")
)


class _UnavailableError(Exception):
    """A command did not end well."""


def command(program: str, *packages: str) -> list[str]:
    """Give the command that starts `program`: the installed one, or that of `packages`."""
    installed = shutil.which(program)
    if installed:
        return [installed]
    root = unpacked(*packages)
    command = [
        *("/usr/bin/env", f"LD_LIBRARY_PATH={library_path(root)}"),
        str(root / "usr" / "bin" / program),
    ]
    with _skipping(packages):
        _run([*command, "--version"])
    return command


def unpacked(*packages: str) -> Path:
    """Give the directory that holds `packages`, and what they need, as they lie under /."""
    directory = _CACHE / "+".join(packages)
    with _skipping(packages):
        _CACHE.mkdir(parents=True, exist_ok=True)
        with directory.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not directory.exists():
                _fetch(packages, directory)
    return directory


def library_path(root: Path) -> str:
    """Give what LD_LIBRARY_PATH has to be for the programs under `root`."""
    return ":".join(str(path) for pattern in _LIBRARIES for path in root.glob(pattern))


@contextmanager
def _skipping(packages: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except (OSError, subprocess.TimeoutExpired, _UnavailableError) as error:
        names = " ".join(packages)
        pytest.skip(f"needs Debian's {names}: install it, or let `apt-get` download; {error}")


def _fetch(packages: Sequence[str], directory: Path) -> None:
    with tempfile.TemporaryDirectory(dir=directory.parent) as temporary:
        work = Path(temporary)
        (work / "unpacked").mkdir()
        for archive in _downloaded(packages, work):
            _run(["dpkg-deb", "-x", str(archive), str(work / "unpacked")])
        (work / "unpacked").rename(directory)


def _downloaded(packages: Sequence[str], work: Path) -> list[Path]:
    """Download by the machine's package lists; where that fails, by new ones."""
    archives = work / "archives"
    (archives / "partial").mkdir(parents=True)
    # Without root nobody may lock the machine's package database, which is only read here.
    apt_get = ["apt-get", "-o", "Debug::NoLocking=1", "-o", f"Dir::Cache::archives={archives}"]
    download = ["install", "--yes", "--download-only", "--no-install-recommends", *packages]
    try:
        _run([*apt_get, *download])
    except _UnavailableError:
        (work / "lists" / "partial").mkdir(parents=True)
        apt_get += ["-o", f"Dir::State::Lists={work}/lists", "-o", f"Dir::Cache={work}/cache"]
        _run([*apt_get, "update"])
        _run([*apt_get, *download])
    return sorted(archives.glob("*.deb"))


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        command, capture_output=True, text=True, timeout=280, check=False
    )
    if done.returncode != 0:
        raise _UnavailableError(f"{command[0]} said: {done.stderr.strip() or done.stdout.strip()}")
