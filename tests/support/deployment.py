"""What docker-compose.yml and deploy/ say, as data."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.dockerfile import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

COMPOSE = REPOSITORY / "docker-compose.yml"
DEPLOY = REPOSITORY / "deploy"
KUBERNETES = DEPLOY / "kubernetes"

GRACE_AFTER_DRAIN_S = 60
"""A worker that a library holds up ends by force 45 seconds after its drain."""


def compose() -> dict[str, Any]:
    """Give the services."""
    services: dict[str, Any] = read(COMPOSE)["services"]
    return services


def manifests() -> list[tuple[Path, dict[str, Any]]]:
    """Give what `kubectl apply` would be given, each with its file."""
    return [
        (file, document)
        for file in sorted(KUBERNETES.glob("*.yaml"))
        if file.name != "kustomization.yaml"
        for document in yaml.safe_load_all(file.read_text("utf-8"))
    ]


def manifest(kind: str, name: str = "llm-worker") -> dict[str, Any]:
    """Give the one of this kind and name."""
    [found] = [
        document
        for _, document in manifests()
        if (document["kind"], document["metadata"]["name"]) == (kind, name)
    ]
    return found


def pod(deployment: str = "llm-worker") -> dict[str, Any]:
    """Give the pod of a Deployment."""
    spec: dict[str, Any] = manifest("Deployment", deployment)["spec"]["template"]["spec"]
    return spec


def container(deployment: str = "llm-worker") -> dict[str, Any]:
    """Give the one container of a Deployment's pod."""
    [only] = pod(deployment)["containers"]
    found: dict[str, Any] = only
    return found


def read(file: Path) -> dict[str, Any]:
    """Give a file of one YAML document."""
    document: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return document


def version() -> str:
    """Give the version that is in the tree."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])
