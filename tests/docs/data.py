"""Blocks of data on the pages: each must be what a program of ours, or its reader's, would take."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any, Final

import yaml

from llm_worker.contracts.documents.schemas import EVENTS
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.request import LLMComparisonRequestV1
from llm_worker.contracts.topics import load_topics
from llm_worker.settings import load_settings
from tests.docs.engines import check_manifests, check_services
from tests.support.promql import known_series, unknown_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pydantic import BaseModel


def check_json(text: str, _folder: Path) -> None:
    """Demand JSON; an event of ours, or a request, has the fields of its model and no others."""
    _check_payload(json.loads(text))


def check_json_lines(text: str, folder: Path) -> None:
    """Demand JSON on each line."""
    for line in text.splitlines():
        check_json(line, folder)


def check_toml(text: str, folder: Path) -> None:
    """Demand a file of settings that a worker would start with."""
    tomllib.loads(text)
    file = folder / "llm-worker.toml"
    file.write_text(text, "utf-8")
    load_settings({"LLM_WORKER_CONFIG": str(file)})


def check_environment(text: str, _folder: Path) -> None:
    """Demand settings as they stand in `.env`."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    load_settings({name: value for name, _, value in (line.partition("=") for line in lines)})


def check_yaml(text: str, folder: Path) -> None:
    """Demand YAML; what Kubernetes or docker compose would be given must be valid there."""
    documents = list(yaml.safe_load_all(text))
    file = folder / "block.yaml"
    file.write_text(text, "utf-8")
    for document in documents:
        if isinstance(document, dict) and "kind" in document:
            check_manifests([file])
        elif isinstance(document, dict) and "services" in document:
            check_services(document)


def check_promql(text: str, _folder: Path) -> None:
    """Demand expressions over series that there are."""
    unknown = unknown_names(text, known_series())
    assert unknown == [], f"there are no {unknown}"


def _check_payload(payload: Any) -> None:  # noqa: ANN401 - any JSON may stand on a page
    if not isinstance(payload, dict):
        return
    if {"event_type", "data"} <= payload.keys():
        catalog = load_topics()
        topic = catalog[catalog.names_on_broker()[payload["event_type"]]]
        envelope: Any = EventEnvelope  # its parameter is only known now
        _check_fields(payload, envelope[EVENTS[topic.event]])
        _check_fields(payload["data"], EVENTS[topic.event])
    elif "user_prompt" in payload:
        _check_fields(payload, LLMComparisonRequestV1)


def _check_fields(payload: dict[str, Any], model: type[BaseModel]) -> None:
    model.model_validate_json(json.dumps(payload))
    unknown = payload.keys() - model.model_fields.keys()
    assert not unknown, f"{model.__name__} has no {sorted(unknown)}"


CHECKS: Final[Mapping[str, Callable[[str, Path], None]]] = {
    "json": check_json,
    "jsonl": check_json_lines,
    "toml": check_toml,
    "env": check_environment,
    "yaml": check_yaml,
    "promql": check_promql,
}
