"""schemas/asyncapi.yaml: an AsyncAPI 3.0 document, written from the models and topics.yaml."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import yaml

from llm_worker.contracts.documents.asyncapi_schemas import component_schemas, payload_of
from llm_worker.contracts.documents.examples import ORIGINAL, load_examples
from llm_worker.contracts.documents.flows import ANSWERED, FLOWS, Party
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import TopicName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llm_worker.contracts.topics import Topic, TopicCatalog

FILE: Final = "asyncapi.yaml"

_Object = dict[str, Any]

_BINDING: Final = {"bindingVersion": "0.5.0"}
_REPLY: Final = "reply"
_GROUPS: Final = {Party.WORKER: "llm-worker", Party.ACCOUNTANT: "llm-worker-accountant"}
_DESCRIPTION: Final = """\
Verdicts on pairs of essays, bought from LLM providers: requests come on Kafka topics, and each is
answered by one result, with events about usage, cost and failures beside it.

Every value is UTF-8 JSON: an envelope with the event as `data`. Readers ignore fields they do not
know; within a version fields are only added, and a breaking change is a new topic beside the old
one. Times are UTC; a number that counts something says so as `x-unit`. Delivery is at least once:
an event that comes again has the same `event_id`.

Operations are those of llm-worker's processes, tagged `worker` and `accountant`. Topic names are
the defaults; an installation may put a prefix before all of them, which `event_type` leaves out.
"""


def asyncapi_document() -> _Object:
    """Describe every topic, record and operation."""
    topics = load_topics()
    document = {
        "asyncapi": "3.0.0",
        "id": "urn:llm-worker:asyncapi",
        "info": _info(),
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": dict(_channels(topics)),
        "operations": dict(_operations()),
        "components": {
            "messages": {name.value: _message(name, topics[name]) for name in topics.topics},
            "correlationIds": {
                "correlation_id": {
                    "description": "Joins a request with everything that follows it.",
                    "location": "$message.header#/correlation_id",
                }
            },
            "securitySchemes": {
                "sasl": {"type": "scramSha512", "description": "Or another mechanism of SASL."}
            },
            "schemas": component_schemas(),
        },
    }
    # Through JSON: plain types alone, and no object at two places, which YAML would write as alias.
    plain: _Object = json.loads(json.dumps(document))
    return plain


def asyncapi_text() -> str:
    """Write the document as YAML."""
    return yaml.safe_dump(asyncapi_document(), sort_keys=False, allow_unicode=True, width=100)


def export(directory: Path) -> Path:
    """Write the document into a directory, and return the file."""
    file = directory / FILE
    file.write_text(asyncapi_text(), encoding="utf-8")
    return file


def stale(directory: Path) -> list[str]:
    """Say whether the file is missing or differs from the models and topics.yaml."""
    file = directory / FILE
    if not file.is_file():
        return [f"{FILE} is missing; run `llm-worker schemas export`"]
    if file.read_text(encoding="utf-8") != asyncapi_text():
        return [f"{FILE} differs from the models or topics.yaml; run `llm-worker schemas export`"]
    return []


def _info() -> _Object:
    return {
        "title": "llm-worker",
        "version": "1.0.0",
        "description": _DESCRIPTION,
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        "tags": [
            {"name": Party.WORKER, "description": "Buys verdicts and publishes results."},
            {"name": Party.ACCOUNTANT, "description": "Adds up costs; publishes totals, alerts."},
        ],
    }


def _servers() -> _Object:
    variables = {
        "bootstrap_server": {
            "default": "kafka:9092",
            "description": "A placeholder: host and port of a broker of yours.",
        }
    }
    server = {"host": "{bootstrap_server}", "variables": variables}
    return {
        "plaintext": server
        | {"protocol": "kafka", "description": "A broker inside a network that is trusted."},
        "secure": server
        | {
            "protocol": "kafka-secure",
            "description": "A broker behind TLS, with SASL where it asks for it.",
            "security": [_ref("components", "securitySchemes", "sasl")],
        },
    }


def _channels(topics: TopicCatalog) -> Iterator[tuple[str, _Object]]:
    for name, topic in topics.topics.items():
        yield (
            name.value,
            {
                "address": topic.name,
                "summary": FLOWS[name].summary,
                "description": f"Key: {topic.key}.",
                "messages": {name.value: _ref("components", "messages", name)},
                "bindings": {"kafka": _channel_binding(topic)},
            },
        )
    result = TopicName.COMPARISON_RESULT.value
    yield (
        _REPLY,
        {
            "address": None,
            "summary": "The topic that a request has named as its callback_topic.",
            "description": "It must exist, and match the patterns that the worker allows.",
            "messages": {result: _ref("components", "messages", result)},
        },
    )


def _channel_binding(topic: Topic) -> _Object:
    return {
        "topic": topic.name,
        "partitions": topic.partitions,
        "topicConfiguration": {
            "cleanup.policy": [topic.cleanup],
            "retention.ms": topic.retention_ms,
            "max.message.bytes": topic.max_message_bytes,
        },
        **_BINDING,
    }


def _operations() -> Iterator[tuple[str, _Object]]:
    for name, flow in FLOWS.items():
        for party in _GROUPS:
            if party in flow.readers:
                yield f"{party}_receives_{name}", _receive(party, name)
            if party in flow.writers:
                yield f"{party}_sends_{name}", _operation(party, "send", name)


def _operation(party: Party, action: str, name: TopicName) -> _Object:
    return {
        "action": action,
        "channel": _ref("channels", name),
        "summary": FLOWS[name].summary,
        "tags": [{"name": party}],
        "messages": [_ref("channels", name, "messages", name)],
    }


def _receive(party: Party, name: TopicName) -> _Object:
    operation = _operation(party, "receive", name)
    if name in ANSWERED:
        group = {"type": "string", "enum": [_GROUPS[party]], "description": "Unless set otherwise."}
        operation["bindings"] = {"kafka": {"groupId": group, **_BINDING}}
        operation["reply"] = {
            "address": {
                "location": "$message.payload#/data/callback_topic",
                "description": "Where it is null, the result goes to the topic comparison_result.",
            },
            "channel": _ref("channels", _REPLY),
            "messages": [_ref("channels", _REPLY, "messages", TopicName.COMPARISON_RESULT)],
        }
    return operation


def _message(name: TopicName, topic: Topic) -> _Object:
    message = {
        "name": topic.event,
        "title": topic.event,
        "summary": FLOWS[name].summary,
        "contentType": "application/json",
        "headers": _ref("components", "schemas", "EventHeaders"),
        "correlationId": _ref("components", "correlationIds", "correlation_id"),
        "payload": payload_of(topic),
        "bindings": {"kafka": {"key": _key(topic), **_BINDING}},
        "examples": [
            {
                "name": example.name,
                "summary": example.document["summary"],
                "headers": example.document["headers"],
                "payload": example.document["value"],
            }
            for example in load_examples()
            if example.document["topic"] == topic.name and example.document["value"] is not None
        ],
    }
    if topic.event == ORIGINAL:
        message["headers"] = _ref("components", "schemas", "DeadLetterHeaders")
        message["description"] = "Mostly JSON, but it may be whatever somebody has sent."
        del message["correlationId"]  # its headers may lack it
    return message


def _key(topic: Topic) -> _Object:
    is_uuid = topic.key == "correlation id"
    format_ = {"format": "uuid"} if is_uuid else {}
    return {"type": "string", **format_, "description": f"UTF-8 text: {topic.key}."}


def _ref(*path: str) -> _Object:
    return {"$ref": "#/" + "/".join(path)}
