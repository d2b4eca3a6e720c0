"""The jars of Apache Kafka: fetched once through jgo, checked by hash, kept in the Maven cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from llm_worker.dev.leashed import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jgo.maven import MavenContext

KAFKA_VERSION = "4.3.1"
_DOWNLOAD_MB = 45


def kafka_class_path(report: Callable[[str], None]) -> str:
    """Return Kafka's class path; the first call on a machine downloads it and reports that.

    Raises:
        EmbeddedServerError: jgo is not installed, or a jar cannot be had as it is pinned.
    """
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise EmbeddedServerError("jgo is not installed: pip install 'llm-worker[dev]'") from error
    maven = MavenContext()
    with _one_at_a_time(maven.repo_cache):
        pins = _pins()
        if not all(pin.path(maven).exists() for pin in pins):
            report(f"Fetching Apache Kafka {KAFKA_VERSION}, {_DOWNLOAD_MB} MB, once")
        return os.pathsep.join(str(_fetch(pin, maven)) for pin in pins)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pin:
    group: str
    artifact: str
    version: str
    sha256: str

    def path(self, maven: MavenContext) -> Path:
        folder = maven.repo_cache.joinpath(*self.group.split("."), self.artifact, self.version)
        return folder / f"{self.artifact}-{self.version}.jar"

    def matches(self, jar: Path) -> bool:
        return hashlib.sha256(jar.read_bytes()).hexdigest() == self.sha256


def _pins() -> list[_Pin]:
    lines = (resources.files("llm_worker.dev") / "kafka_jars.txt").read_text().splitlines()
    return [_parse(line) for line in lines if not line.startswith("#")]


def _parse(line: str) -> _Pin:
    coordinate, sha256 = line.split()
    group, artifact, version = coordinate.split(":")
    return _Pin(group=group, artifact=artifact, version=version, sha256=sha256)


def _fetch(pin: _Pin, maven: MavenContext) -> Path:
    jar = pin.path(maven)
    if jar.exists() and not pin.matches(jar):
        jar.unlink()  # jgo writes in place: an interrupted download leaves half a jar
    if not jar.exists():
        _download(pin, maven)
        if not pin.matches(jar):
            jar.unlink()
            raise EmbeddedServerError(f"{jar.name} was downloaded but is not what is pinned")
    return jar


def _download(pin: _Pin, maven: MavenContext) -> None:
    try:
        maven.project(pin.group, pin.artifact).at_version(pin.version).artifact().resolve()
    except (OSError, RuntimeError) as error:  # a requests exception is an OSError
        raise EmbeddedServerError(
            f"cannot download {pin.artifact} {pin.version} from Maven's central repository: "
            f"{error}; it needs the network this once (proxies: HTTPS_PROXY)"
        ) from error


@contextmanager
def _one_at_a_time(cache: Path) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".llm-worker.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
