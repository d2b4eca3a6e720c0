"""What the files of docker, compose and Kubernetes say of one thing is one thing."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from llm_worker.settings.names import CONFIG, variables
from tests.support.deployment import (
    COMPOSE,
    DEPLOY,
    compose,
    container,
    manifest,
    manifests,
    pod,
    read,
    version,
)
from tests.support.dockerfile import DOCKERFILE, REPOSITORY, stages, values

if TYPE_CHECKING:
    from pathlib import Path

_FILES = [DOCKERFILE, COMPOSE, *sorted(each for each in DEPLOY.rglob("*") if each.is_file())]
_SETTING = re.compile(r"\bLLM_WORKER_[A-Z0-9_]*[A-Z0-9]|\b[A-Z0-9_]+_API_KEY\b")
_FINAL = stages()[-1]
_PORTS = {
    "worker": variables()["LLM_WORKER_WEB__PORT"].field.default,
    "accountant": variables()["LLM_WORKER_WEB__ACCOUNTANT_PORT"].field.default,
}
_DEPLOYMENTS = {"worker": "llm-worker", "accountant": "llm-worker-accountant"}


@pytest.mark.parametrize("file", _FILES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_only_settings_that_exist_are_named(file: Path) -> None:
    named = set(_SETTING.findall(file.read_text("utf-8")))
    aliases = {alias for variable in variables().values() for alias in variable.aliases}
    assert named - {*variables(), *aliases, CONFIG} == set()


def test_the_names_above_are_found_at_all() -> None:
    named = {file for file in _FILES if "LLM_WORKER_" in file.read_text("utf-8")}
    assert {DOCKERFILE, COMPOSE, DEPLOY / "README.md"} <= named


def test_image_has_one_name_and_the_version_of_the_tree() -> None:
    in_compose = {service["image"] for service in compose().values() if "build" in service}
    in_kubernetes = {container(name)["image"] for name in _DEPLOYMENTS.values()}
    [kustomized] = read(DEPLOY / "kubernetes/kustomization.yaml")["images"]
    assert in_compose == in_kubernetes == {f"llm-worker:{version()}"}
    assert f"{kustomized['name']}:{kustomized['newTag']}" == f"llm-worker:{version()}"


@pytest.mark.parametrize("process", _PORTS)
def test_each_process_has_one_port_everywhere(process: str) -> None:
    port, name = _PORTS[process], _DEPLOYMENTS[process]
    assert str(port) in values(_FINAL, "EXPOSE")[0].split()
    assert [each.split(":")[-1] for each in compose()[process]["ports"]] == [str(port)]
    assert [each["containerPort"] for each in container(name)["ports"]] == [port]
    services = [document for _, document in manifests() if document["kind"] == "Service"]
    of_process = [s for s in services if s["spec"]["selector"]["app.kubernetes.io/name"] == name]
    assert of_process
    assert {each["port"] for s in of_process for each in s["spec"]["ports"]} == {port}


@pytest.mark.parametrize("process", _DEPLOYMENTS)
def test_each_process_is_its_command(process: str) -> None:
    by_default = json.loads(values(_FINAL, "CMD")[0])
    assert compose()[process].get("command", by_default) == [process]
    assert container(_DEPLOYMENTS[process])["args"] == [process]


@pytest.mark.parametrize("name", _DEPLOYMENTS.values())
def test_pods_run_as_the_user_of_the_image(name: str) -> None:
    context = pod(name)["securityContext"]
    assert values(_FINAL, "USER") == [f"{context['runAsUser']}:{context['runAsGroup']}"]


def test_compose_and_kubernetes_drain_alike() -> None:
    in_compose = compose()["worker"]["environment"]["LLM_WORKER_DRAIN_S"]
    assert manifest("ConfigMap")["data"]["LLM_WORKER_DRAIN_S"] == in_compose
