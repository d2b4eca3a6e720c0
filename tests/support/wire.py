"""Reading records as a consumer in the field would: JSON, held to the published schemas."""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

import orjson
from jsonschema import Draft202012Validator

from llm_worker.contracts.documents.schemas import ENVELOPE, schema_of
from llm_worker.contracts.topics import load_topics

_EVENT_OF_TOPIC = {topic.name: topic.event for topic in load_topics().topics.values()}


def read_event(value: bytes | None) -> dict[str, Any]:
    """Parse an envelope and hold it and its data to their schemas."""
    assert value is not None
    envelope: dict[str, Any] = orjson.loads(value)
    _validator(ENVELOPE).validate(envelope)
    _validator(_EVENT_OF_TOPIC[envelope["event_type"]]).validate(envelope["data"])
    UUID(envelope["event_id"])
    return envelope


def data_of(value: bytes | None) -> dict[str, Any]:
    """Parse an envelope, check it, and give its data."""
    data: dict[str, Any] = read_event(value)["data"]
    return data


def error_code_of(value: bytes | None) -> str | None:
    """Give a result's error code, None for a verdict."""
    error = data_of(value)["error_detail"]
    return error["error_code"] if error else None


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schema_of(name))
