from __future__ import annotations

import re
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it ships no types
import pytest

from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import REQUEST_TOPICS
from llm_worker.settings.names import variables
from tests.support.deployment import (
    GRACE_AFTER_DRAIN_S,
    KUBERNETES,
    container,
    manifest,
    manifests,
    pod,
    read,
)

_OLDEST = "1.28"
_OURS = ["llm-worker", "llm-worker-accountant"]
_NAME = "app.kubernetes.io/name"
_BUILT_IN = [
    pytest.param(document, id=f"{document['kind']}-{document['metadata']['name']}")
    for _, document in manifests()
    if document["kind"] != "ScaledObject"
]
# Of KEDA's trigger `kafka`: keda.sh/docs, scalers, Apache Kafka.
_TRIGGER_FIELDS = {
    "bootstrapServers",
    "consumerGroup",
    "topic",
    "lagThreshold",
    "offsetResetPolicy",
    "version",
}
_PROTOCOL_OF_KAFKA_4 = (2, 1)


@pytest.mark.parametrize("version", [_OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("document", _BUILT_IN)
def test_manifest_is_valid(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_one_command_applies_everything_but_the_secret() -> None:
    kustomization = read(KUBERNETES / "kustomization.yaml")
    assert kustomization["apiVersion"] == "kustomize.config.k8s.io/v1beta1"
    assert kustomization["kind"] == "Kustomization"
    files = {file.name for file, _ in manifests()}
    assert set(kustomization["resources"]) == files - {"secret.example.yaml"}


@pytest.mark.parametrize("name", _OURS)
def test_configuration_and_secret_are_those_that_there_are(name: str) -> None:
    assert container(name)["envFrom"] == [
        {"configMapRef": {"name": manifest("ConfigMap")["metadata"]["name"]}},
        {"secretRef": {"name": manifest("Secret")["metadata"]["name"]}},
    ]


def test_example_of_the_secret_holds_names_of_settings_and_no_value() -> None:
    secret = manifest("Secret")["stringData"]
    names = {name for v in variables().values() for name in (v.name, *v.aliases)}
    assert set(secret) <= names
    assert {"LLM_WORKER_WEB__API_KEY", "LLM_ADMIN_API_KEY", "ANTHROPIC_API_KEY"} <= set(secret)
    assert set(secret.values()) == {""}
    ignored = (KUBERNETES.parents[1] / ".gitignore").read_text("utf-8").splitlines()
    assert "deploy/kubernetes/secret.yaml" in ignored


def test_worker_has_longer_to_stop_than_it_drains() -> None:
    drain_s = float(manifest("ConfigMap")["data"]["LLM_WORKER_DRAIN_S"])
    assert pod()["terminationGracePeriodSeconds"] >= drain_s + GRACE_AFTER_DRAIN_S


@pytest.mark.parametrize("name", _OURS)
def test_probes_ask_what_is_answered(name: str) -> None:
    probed = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for probe, path in probed.items():
        assert container(name)[probe]["httpGet"] == {"path": path, "port": "http"}


@pytest.mark.parametrize("name", _OURS)
def test_containers_can_write_to_tmp_alone_and_gain_nothing(name: str) -> None:
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    [mount] = container(name)["volumeMounts"]
    assert mount["mountPath"] == "/tmp"  # noqa: S108 - the container's own
    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert pod(name)["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", _OURS)
def test_a_machine_that_dies_or_is_emptied_does_not_take_all(name: str) -> None:
    [spread] = pod(name)["topologySpreadConstraints"]
    budget = manifest("PodDisruptionBudget", name)["spec"]
    assert spread["labelSelector"]["matchLabels"] == budget["selector"]["matchLabels"]
    assert budget["selector"]["matchLabels"] == _labels(name)
    assert budget["maxUnavailable"] == 1


def test_services_select_pods_and_name_their_port() -> None:
    services = [d["spec"] for _, d in manifests() if d["kind"] == "Service"]
    assert {s["selector"][_NAME] for s in services} == set(_OURS)
    for service in services:
        name = service["selector"][_NAME]
        assert service["selector"] == _labels(name)
        [port] = service["ports"]
        assert port["targetPort"] in {each["name"] for each in container(name)["ports"]}


@pytest.mark.parametrize("name", _OURS)
def test_pods_that_are_not_ready_are_scraped_too(name: str) -> None:
    service = manifest("Service", f"{name}-metrics")["spec"]
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True


def test_network_policy_is_for_all_of_ours_and_lets_in_to_the_web_port_alone() -> None:
    policy = manifest("NetworkPolicy")["spec"]
    [selected] = policy["podSelector"]["matchExpressions"]
    assert (selected["key"], selected["operator"]) == (_NAME, "In")
    assert selected["values"] == _OURS
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    [inwards] = policy["ingress"]
    assert inwards["ports"] == [{"port": "http"}]
    assert all("namespaceSelector" in source for source in inwards["from"])


def test_network_policy_lets_out_to_what_the_configuration_names() -> None:
    rules = manifest("NetworkPolicy")["spec"]["egress"]
    let_out = {port["port"] for rule in rules for port in rule["ports"]}
    configured = manifest("ConfigMap")["data"]
    named = (
        configured["LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS"],
        configured["LLM_WORKER_CACHE__REDIS_URL"],
    )
    ports = {int(port) for each in named for port in re.findall(r":(\d+)", each)}
    assert len(ports) == 2
    assert let_out == ports | {53, 443}


def test_lag_of_every_request_topic_scales_the_worker() -> None:
    scaled, topics = manifest("ScaledObject"), load_topics()
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    assert scaled["spec"]["scaleTargetRef"] == {"name": _OURS[0]}
    assert "replicas" not in manifest("Deployment")["spec"]
    triggers = scaled["spec"]["triggers"]
    assert {trigger["metadata"]["topic"] for trigger in triggers} == {
        topics.on_broker(name) for name in REQUEST_TOPICS.values()
    }
    partitions = {topics[name].partitions for name in REQUEST_TOPICS.values()}
    assert scaled["spec"]["maxReplicaCount"] == max(partitions)


@pytest.mark.parametrize("trigger", manifest("ScaledObject")["spec"]["triggers"])
def test_trigger_asks_the_workers_broker_for_the_workers_group(trigger: dict[str, Any]) -> None:
    configured = manifest("ConfigMap")["data"]
    asked = trigger["metadata"]
    assert trigger["type"] == "kafka"
    assert set(asked) == _TRIGGER_FIELDS
    assert all(isinstance(value, str) for value in asked.values())
    assert asked["bootstrapServers"] == configured["LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS"]
    assert asked["consumerGroup"] == variables()["LLM_WORKER_KAFKA__GROUP"].field.default
    assert int(asked["lagThreshold"]) > int(configured["LLM_WORKER_MAX_IN_FLIGHT"])
    assert tuple(map(int, asked["version"].split(".")[:2])) >= _PROTOCOL_OF_KAFKA_4


def _labels(name: str) -> dict[str, str]:
    deployment = manifest("Deployment", name)["spec"]
    labels: dict[str, str] = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    return labels
