"""What stands in for docker and the like refuses what cannot be right."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from tests.docs.engines import main
from tests.support.dockerfile import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

_RIGHT = [
    "make",
    "make test",
    "make --quiet check PYTHON=python3.12",
    "docker build -t llm-worker:0.1.0 .",
    "docker compose up --build -d",
    "docker compose --profile monitoring up",
    "docker compose up --scale worker=3 worker redis",
    "docker compose logs -f worker",
    "docker compose exec worker llm-worker doctor",
    "docker run --rm -e USE_MOCK_LLM=true llm-worker:0.1.0 doctor",
    "kubectl apply -k deploy/kubernetes",
    "kubectl apply -f deploy/kubernetes/worker.yaml",
    "kubectl rollout restart deployment/llm-worker",
    "kubectl logs -f deployment/llm-worker --tail 5",
    "kubectl exec deployment/llm-worker -- llm-worker doctor",
    "pip install .",
    "pip install -e '.[dev]'",
    "pip install --upgrade 'llm-worker[dev]==0.1.0'",
    "pip install -r requirements.lock",
    "pip --version",
]
_WRONG = [
    ("make tests", "no target tests"),
    ("make demo ESSAYZ=dir/", "reads no ESSAYZ"),
    ("docker compose up wroker", "no service wroker"),
    ("docker compose up --scale wroker=3", "no service wroker"),
    ("docker compose --profile monitor up", "no profile monitor"),
    ("docker compose upp", "compose upp"),
    ("docker compose -f compose.yml up", "compose.yml"),
    ("docker build -f Dockerfil .", "no Dockerfil"),
    ("docker buidl .", "docker buidl"),
    ("kubectl apply -k deploy", "kustomization.yaml"),
    ("kubectl apply -f deploy/kubernetes/wroker.yaml", "wroker.yaml"),
    ("kubectl apply -f bad.yaml", "'many' is not of type"),
    ("kubectl rollout restart deployment/wroker", "no deployment/wroker"),
    ("kubectl aply -k deploy/kubernetes", "kubectl aply"),
    ("pip install '.[dve]'", "the extras are"),
    ("pip install requests", "not this package"),
    ("pip install -r requirement.lock", "no requirement.lock"),
    ("git clone llm-worker", "no address"),
]
_BAD_MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: x}
spec: {replicas: many, selector: {}, template: {}}
"""


@pytest.mark.parametrize("command", _RIGHT)
def test_what_can_be_right_is_taken(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    name, *words = shlex.split(command)
    assert main(name, words) == 0


@pytest.mark.parametrize(("command", "complaint"), _WRONG)
def test_what_cannot_be_right_is_refused_with_the_reason(
    command: str,
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for entry in REPOSITORY.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "bad.yaml").write_text(_BAD_MANIFEST, "utf-8")
    monkeypatch.chdir(tmp_path)
    name, *words = shlex.split(command)
    assert main(name, words) == 1
    assert complaint in capsys.readouterr().err


def test_clone_is_this_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main("git", ["clone", "https://example.org/llm-worker.git"]) == 0
    assert (tmp_path / "llm-worker").samefile(tmp_path)
