"""The AsyncAPI document says what topics.yaml and the schemas say; its parser runs elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft7Validator

from llm_worker.contracts.documents.asyncapi import asyncapi_document, export, stale
from llm_worker.contracts.documents.examples import load_examples
from llm_worker.contracts.documents.flows import FLOWS, Party
from llm_worker.contracts.topics import load_topics, shipped
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi_document()


def _validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft7Validator:
    return Draft7Validator(schema | {"components": document["components"]})


def test_the_shipped_document_is_current() -> None:
    assert stale(shipped("schemas")) == []


def test_a_stale_document_is_named_with_the_remedy(tmp_path: Path) -> None:
    assert stale(tmp_path) == ["asyncapi.yaml is missing; run `llm-worker schemas export`"]
    file = export(tmp_path)
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == asyncapi_document()
    file.write_text("asyncapi: 3.0.0\n", encoding="utf-8")
    [finding] = stale(tmp_path)
    assert finding.startswith("asyncapi.yaml differs")


def test_every_topic_is_a_channel_as_topics_yaml_has_it(document: dict[str, Any]) -> None:
    for name, topic in load_topics().topics.items():
        channel = document["channels"][name]
        binding = channel["bindings"]["kafka"]
        assert (channel["address"], binding["partitions"]) == (topic.name, topic.partitions)
        settings = binding["topicConfiguration"]
        assert settings["retention.ms"] == topic.retention_ms
        assert settings["cleanup.policy"] == [topic.cleanup]


def test_requests_are_answered_on_the_topic_they_name(document: dict[str, Any]) -> None:
    answered = {
        name: operation["reply"]
        for name, operation in document["operations"].items()
        if "reply" in operation
    }

    assert answered.keys() == {
        "worker_receives_comparison_requested",
        "worker_receives_comparison_requested_bulk",
    }
    for reply in answered.values():
        assert reply["address"]["location"] == "$message.payload#/data/callback_topic"
        assert reply["messages"] == [{"$ref": "#/channels/reply/messages/comparison_result"}]
    assert document["channels"]["reply"]["address"] is None


def test_every_topic_is_written_by_somebody_and_read_by_somebody() -> None:
    assert FLOWS.keys() == set(TopicName)
    assert all(flow.writers and flow.readers for flow in FLOWS.values())
    assert not any(Party.SUBSCRIBER in flow.writers for flow in FLOWS.values())


def test_every_golden_record_obeys_its_message(document: dict[str, Any]) -> None:
    names = {topic.name: name for name, topic in load_topics().topics.items()}
    for example in load_examples():
        record = example.document
        if record["value"] is None:
            continue
        message = document["components"]["messages"][names[record["topic"]]]
        _validator(document, message["headers"]).validate(record["headers"])
        _validator(document, message["payload"]).validate(record["value"])
        assert example.name in {shown["name"] for shown in message["examples"]}


def test_a_record_of_another_topic_violates_the_message(document: dict[str, Any]) -> None:
    message = document["components"]["messages"][TopicName.CACHE_HIT]
    [hit] = [example for example in load_examples() if example.name == "cache_hit"]
    validator = _validator(document, message["payload"])
    event = hit.document["value"]

    assert validator.is_valid(event)
    assert not validator.is_valid(event | {"event_type": "another"})
    assert not validator.is_valid(event | {"data": event["data"] | {"saved_usd": -1}})
