from __future__ import annotations

import json
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import REQUEST_TOPICS
from tests.support.deployment import COMPOSE, DEPLOY, GRACE_AFTER_DRAIN_S, compose, read
from tests.support.dockerfile import REPOSITORY

_SERVICES = compose()
_OURS = [name for name, service in _SERVICES.items() if "build" in service]


def test_file_is_valid() -> None:
    # Read as a file: with the click that Faust wants, the package itself cannot be imported.
    vendored = distribution("check-jsonschema").locate_file(
        "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
    )
    schema = json.loads(Path(str(vendored)).read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(read(COMPOSE))


def test_profiles_add_to_what_starts_by_itself() -> None:
    by_profile: dict[str, set[str]] = {}
    for name, service in _SERVICES.items():
        for profile in service.get("profiles", ["none"]):
            by_profile.setdefault(profile, set()).add(name)
    assert by_profile == {
        "none": {"kafka", "redis", "topics", "worker", "accountant"},
        "monitoring": {"prometheus", "grafana"},
        "tracing": {"jaeger"},
    }


@pytest.mark.parametrize("name", _SERVICES)
def test_images_are_of_one_version(name: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+(-alpine)?$", _SERVICES[name]["image"])


@pytest.mark.parametrize("name", _OURS)
def test_our_containers_can_write_to_tmp_alone_and_gain_nothing(name: str) -> None:
    service = _SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - the container's own
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", _OURS)
def test_keys_come_from_a_file_that_may_be_missing(name: str) -> None:
    assert _SERVICES[name]["env_file"] == [{"path": ".env", "required": False}]
    assert not [each for each in _SERVICES[name]["environment"] if each.endswith("_API_KEY")]


@pytest.mark.parametrize("name", _OURS)
def test_what_the_file_of_keys_says_of_the_host_does_not_hold_in_containers(name: str) -> None:
    environment = _SERVICES[name]["environment"]
    assert environment["LLM_WORKER_KAFKA__BOOTSTRAP_SERVERS"].startswith("kafka:")
    assert environment["LLM_WORKER_CACHE__REDIS_URL"].startswith("redis://redis:")
    assert environment["LLM_WORKER_WEB__HOST"] == "0.0.0.0"  # noqa: S104 - in the container
    assert environment["LLM_WORKER_WEB__PORT"] == "8080"
    assert environment["LLM_WORKER_WEB__ACCOUNTANT_PORT"] == "8081"


def test_ports_are_on_loopback_alone_and_none_is_taken_twice() -> None:
    taken: list[int] = []
    for service in _SERVICES.values():
        for published in service.get("ports", []):
            address, host, _container = published.split(":")
            assert address == "127.0.0.1"
            first, _, last = host.partition("-")
            taken += range(int(first), int(last or first) + 1)
    assert 8090 in taken
    assert len(taken) == len(set(taken))


def test_as_many_workers_find_a_port_as_a_request_topic_has_partitions() -> None:
    [published] = _SERVICES["worker"]["ports"]
    first, last = published.split(":")[1].split("-")
    topics = load_topics()
    partitions = {topics[name].partitions for name in REQUEST_TOPICS.values()}
    assert {int(last) - int(first) + 1} == partitions
    assert first == "8090"


def test_worker_has_longer_to_stop_than_it_drains() -> None:
    worker = _SERVICES["worker"]
    drain_s = float(worker["environment"]["LLM_WORKER_DRAIN_S"])
    grace_s = float(worker["stop_grace_period"].removesuffix("s"))
    assert grace_s >= drain_s + GRACE_AFTER_DRAIN_S


def test_topics_are_there_before_a_worker_starts() -> None:
    assert _SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert _SERVICES["topics"]["command"] == ["topics", "create"]
    for name in "worker", "accountant":
        waits_for = _SERVICES[name]["depends_on"]["topics"]["condition"]
        assert waits_for == "service_completed_successfully"


def test_every_file_that_is_mounted_is_there() -> None:
    mounted = [source for source, _ in _mounts() if source.startswith("./")]
    assert mounted
    assert [source for source in mounted if not (REPOSITORY / source).exists()] == []


def test_prometheus_scrapes_every_worker_and_accountant_and_loads_the_alerts() -> None:
    prometheus = read(DEPLOY / "prometheus/prometheus.yml")
    [job] = prometheus["scrape_configs"]
    scraped = {(each["names"][0], str(each["port"])) for each in job["dns_sd_configs"]}
    assert scraped == {(name, _container_port(name)) for name in ("worker", "accountant")}
    assert all(each["type"] == "A" for each in job["dns_sd_configs"])
    assert prometheus["rule_files"] == ["alerts.yaml"]
    assert (DEPLOY / "prometheus/alerts.yaml").is_file()


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    provisioning = DEPLOY / "grafana/provisioning"
    [source] = read(provisioning / "datasources/prometheus.yaml")["datasources"]
    [provider] = read(provisioning / "dashboards/llm-worker.yaml")["providers"]
    assert source["url"] == f"http://prometheus:{_container_port('prometheus')}"
    mounted = {target: origin for origin, target in _mounts()}
    dashboards = REPOSITORY / mounted[provider["options"]["path"]]
    home = Path(
        _SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    ).relative_to(provider["options"]["path"])
    assert (dashboards / home).is_file()
    assert REPOSITORY / mounted["/etc/grafana/provisioning"] == provisioning


def test_traces_reach_jaeger_when_an_endpoint_is_given() -> None:
    endpoint = _SERVICES["worker"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert endpoint == "${OTEL_EXPORTER_OTLP_ENDPOINT:-}"
    assert "127.0.0.1:4318:4318" in _SERVICES["jaeger"]["ports"]
    assert "http://jaeger:4318" in (DEPLOY / "README.md").read_text("utf-8")


def _mounts() -> list[tuple[str, str]]:
    volumes: list[Any] = [v for service in _SERVICES.values() for v in service.get("volumes", [])]
    return [(origin, target) for origin, target, *_ in (volume.split(":") for volume in volumes)]


def _container_port(name: str) -> str:
    [published] = _SERVICES[name]["ports"]
    return str(published.split(":")[-1])
