from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import REQUEST_TOPICS
from llm_worker.settings.names import CONFIG, variables

_ROOT = Path(__file__).parents[2]
_COMPOSE = _ROOT / "docker-compose.yml"
_MANIFESTS = _ROOT / "deploy/kubernetes/worker.yaml"
_ACCOUNTANT = _ROOT / "deploy/kubernetes/accountant.yaml"
_DOCKERFILE = _ROOT / "Dockerfile"
_PAGES = sorted((_ROOT / "deploy").rglob("*.md"))

_GRACE_AFTER_DRAIN_S = 60
"""A worker that a library holds up ends by force 45 seconds after its drain."""


@pytest.mark.parametrize(
    "file",
    [_COMPOSE, _MANIFESTS, _DOCKERFILE, _ROOT / ".env.example", *_PAGES],
    ids=lambda f: f.name,
)
def test_only_settings_that_exist_are_named(file: Path) -> None:
    named = set(re.findall(r"LLM_WORKER_[A-Z0-9_]*[A-Z0-9]", file.read_text("utf-8")))
    assert named
    assert named - {*variables(), CONFIG} == set()


def test_compose_gives_a_worker_longer_than_its_drain() -> None:
    worker = _compose()["worker"]
    drain_s = float(worker["environment"]["LLM_WORKER_DRAIN_S"])
    grace_s = float(worker["stop_grace_period"].removesuffix("s"))
    assert grace_s >= drain_s + _GRACE_AFTER_DRAIN_S


def test_compose_creates_topics_before_the_worker_starts() -> None:
    services = _compose()
    assert services["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert services["topics"]["command"] == ["topics", "create"]
    waits_for = services["worker"]["depends_on"]["topics"]["condition"]
    assert waits_for == "service_completed_successfully"


def test_compose_publishes_ports_on_loopback_alone() -> None:
    ports = [port for service in _compose().values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_kubernetes_gives_a_worker_longer_than_its_drain() -> None:
    drain_s = float(_manifest("ConfigMap")["data"]["LLM_WORKER_DRAIN_S"])
    assert _pod()["terminationGracePeriodSeconds"] >= drain_s + _GRACE_AFTER_DRAIN_S


def test_kubernetes_probes_what_the_worker_answers() -> None:
    [container] = _pod()["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_kubernetes_probes_the_accountant_on_its_own_port() -> None:
    [container] = yaml.safe_load(_ACCOUNTANT.read_text("utf-8"))["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["args"] == ["accountant"]
    port = variables()["LLM_WORKER_WEB__ACCOUNTANT_PORT"].field.default
    assert [each["containerPort"] for each in container["ports"]] == [port]
    assert f"127.0.0.1:{port}:{port}" in _compose()["accountant"]["ports"]


def test_kubernetes_scales_on_the_lag_of_every_request_topic() -> None:
    scaler, topics = _manifest("ScaledObject")["spec"], load_topics()
    scaled_on = {trigger["metadata"]["topic"] for trigger in scaler["triggers"]}
    assert scaled_on == {topics.on_broker(name) for name in REQUEST_TOPICS.values()}
    partitions = {topics[name].partitions for name in REQUEST_TOPICS.values()}
    assert scaler["maxReplicaCount"] == max(partitions)
    in_flight = int(_manifest("ConfigMap")["data"]["LLM_WORKER_MAX_IN_FLIGHT"])
    assert all(int(t["metadata"]["lagThreshold"]) > in_flight for t in scaler["triggers"])


def test_image_installs_what_is_locked_and_runs_without_root() -> None:
    dockerfile = _DOCKERFILE.read_text("utf-8")
    installs = re.findall(r"pip install .*", dockerfile)
    locked, package = installs
    assert "--require-hashes" in locked
    assert "requirements.lock" in locked
    assert "--no-deps" in package
    assert re.search(r"^USER (?!0|root)", dockerfile, re.MULTILINE)


def test_image_copies_nothing_that_dockerignore_leaves_out() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (_ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    copies = re.findall(r"^COPY (.*) \S+$", _DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    copied = {source for sources in copies for source in sources.split()}
    assert copied == allowed
    assert all((_ROOT / source).exists() for source in copied)


def _compose() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load(_COMPOSE.read_text("utf-8"))["services"]
    return services


def _manifest(kind: str) -> dict[str, Any]:
    documents = yaml.safe_load_all(_MANIFESTS.read_text("utf-8"))
    [found] = [document for document in documents if document["kind"] == kind]
    manifest: dict[str, Any] = found
    return manifest


def _pod() -> dict[str, Any]:
    pod: dict[str, Any] = _manifest("Deployment")["spec"]["template"]["spec"]
    return pod
