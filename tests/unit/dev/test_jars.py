from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pytest

from llm_worker.dev.jars import _fetch, _Pin, _pins
from llm_worker.dev.leashed import EmbeddedServerError

if TYPE_CHECKING:
    from pathlib import Path

_GOOD = b"the jar as it was when it was pinned"
_PIN = _Pin(
    group="org.example", artifact="thing", version="1.0", sha256=hashlib.sha256(_GOOD).hexdigest()
)


@dataclass
class _Maven:
    """Stands in for jgo's Maven objects; its repository offers one jar."""

    repo_cache: Path
    offers: bytes | Exception
    downloads: list[str] = field(default_factory=list)

    def project(self, group: str, artifact: str) -> Self:
        self.downloads.append(f"{group}:{artifact}")
        return self

    def at_version(self, _version: str) -> Self:
        return self

    def artifact(self) -> Self:
        return self

    def resolve(self) -> None:
        if isinstance(self.offers, Exception):
            raise self.offers
        _jar(self.repo_cache).parent.mkdir(parents=True, exist_ok=True)
        _jar(self.repo_cache).write_bytes(self.offers)


def _jar(repo_cache: Path) -> Path:
    return repo_cache / "org" / "example" / "thing" / "1.0" / "thing-1.0.jar"


def _repository(repo_cache: Path, offers: bytes | Exception) -> Any:  # noqa: ANN401 - a MavenContext
    return _Maven(repo_cache, offers)


def test_missing_jar_is_downloaded_once(tmp_path: Path) -> None:
    maven = _repository(tmp_path, _GOOD)

    assert _fetch(_PIN, maven) == _fetch(_PIN, maven) == _jar(tmp_path)

    assert maven.downloads == ["org.example:thing"]


def test_half_a_jar_from_an_interrupted_download_is_fetched_again(tmp_path: Path) -> None:
    _repository(tmp_path, _GOOD[:5]).resolve()

    assert _fetch(_PIN, _repository(tmp_path, _GOOD)).read_bytes() == _GOOD


def test_jar_that_differs_from_its_pin_is_refused_and_removed(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r"thing-1\.0\.jar .* not what is pinned"):
        _fetch(_PIN, _repository(tmp_path, b"something else"))

    assert not _jar(tmp_path).exists()


@pytest.mark.parametrize("failure", [ConnectionError("no route"), RuntimeError("not found")])
def test_failed_download_says_what_it_needs(tmp_path: Path, failure: Exception) -> None:
    with pytest.raises(EmbeddedServerError, match=r"thing 1\.0 .*needs the network"):
        _fetch(_PIN, _repository(tmp_path, failure))


def test_every_pin_has_a_hash_and_kafka_itself_is_among_them() -> None:
    pins = _pins()

    assert all(len(pin.sha256) == 64 for pin in pins)
    assert ("kafka_2.13", "4.3.1") in {(pin.artifact, pin.version) for pin in pins}
