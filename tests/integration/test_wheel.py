from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from packaging.metadata import Metadata, parse_email
from trove_classifiers import classifiers

if TYPE_CHECKING:
    from collections.abc import Sequence

_REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build("wheel", _REPOSITORY, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree, unpacked beside the environment's other packages."""
    target = tmp_path_factory.mktemp("installed")
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    _run([*install, "--target", str(target), str(wheel)], target)
    return target


@pytest.fixture
def shipped_path(installed: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PYTHONPATH", str(installed))
    return str(installed / "llm_worker")


def test_command_line_runs_from_the_wheel(shipped_path: str, tmp_path: Path) -> None:
    where = "import llm_worker; print(llm_worker.__path__[0])"
    assert _run([sys.executable, "-c", where], tmp_path).strip() == shipped_path
    assert "check" in _llm_worker(["topics", "--help"], tmp_path)


@pytest.mark.usefixtures("shipped_path")
def test_topics_and_schemas_are_in_the_wheel(tmp_path: Path) -> None:
    topics = json.loads(_llm_worker(["topics", "list", "--json"], tmp_path))
    assert topics[0]["name"] == "comparison_requested"
    _llm_worker(["schemas", "check"], tmp_path)


def test_wheel_carries_what_dev_and_demo_read(installed: Path) -> None:
    package = installed / "llm_worker"
    source = _REPOSITORY / "llm_worker"
    files = [
        path.relative_to(source)
        for path in source.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    assert [path for path in files if not (package / path).is_file()] == []
    assert (installed / "llm_worker/shipped/topics.yaml").is_file()
    assert any((installed / "llm_worker/shipped/schemas/released").glob("*.json"))


def test_source_distribution_builds_the_very_same_wheel(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(_build("sdist", _REPOSITORY, tmp_path / "sdist")) as sources:
        sources.extractall(tmp_path, filter="data")
    [unpacked] = tmp_path.glob("llm_worker-*")
    assert (unpacked / "tests/integration" / Path(__file__).name).is_file()
    assert _build("wheel", unpacked, tmp_path / "again").read_bytes() == wheel.read_bytes()


def test_wheel_tells_an_index_what_it_is(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        [name] = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        stated, unparsed = parse_email(archive.read(name))
    assert unparsed == {}
    metadata = Metadata.from_raw(stated)  # raises where a field breaks the standard
    assert metadata.keywords
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description == (_REPOSITORY / "README.md").read_text("utf-8")
    assert set(metadata.classifiers or []) <= classifiers


def _build(target: str, source: Path, directory: Path) -> Path:
    _run([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(directory)], source)
    [built] = directory.iterdir()
    return built


def _llm_worker(arguments: Sequence[str], cwd: Path) -> str:
    return _run([sys.executable, "-m", "llm_worker", *arguments], cwd)


def _run(command: Sequence[str], cwd: Path) -> str:
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
