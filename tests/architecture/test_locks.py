"""Everything is installed as it was locked: one version each, and no file but those it had then."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_LOCKS = sorted(
    path.relative_to(_ROOT).as_posix()
    for path in (*_ROOT.glob("requirements*.lock"), *_ROOT.glob("benchmarks/**/*.lock"))
)
_PINNED = re.compile(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+( ; [^\\]+)?")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@pytest.mark.parametrize("lock", _LOCKS)
def test_every_locked_requirement_has_one_version_and_its_hashes(lock: str) -> None:
    requirements = (_ROOT / lock).read_text(encoding="utf-8").replace("\\\n", "").splitlines()

    assert requirements
    for requirement in requirements:
        pinned, *hashes = re.split(r"\s+(?=--hash)", requirement.strip())
        assert _PINNED.fullmatch(pinned), pinned
        assert hashes, pinned
        assert all(map(_HASH.fullmatch, hashes)), pinned


def test_no_install_goes_without_the_hashes() -> None:
    for name in ("Makefile", "Dockerfile"):
        text = (_ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
        from_files = [
            line for line in text.splitlines() if re.search(r"(?:install|\$\(PIP\)).* -r ", line)
        ]
        assert from_files
        assert all("--require-hashes" in line for line in from_files), from_files


def test_versions_of_what_runs_are_those_that_are_tested() -> None:
    def versions(lock: str) -> set[str]:
        text = (_ROOT / lock).read_text(encoding="utf-8")
        return set(re.findall(r"^([a-z0-9._-]+(?:\[[a-z,]+\])?==[^\s\\;]+)", text, re.MULTILINE))

    assert versions("requirements.lock") < versions("requirements-test.lock")
    assert versions("requirements-dev.lock") < versions("requirements-test.lock")
