"""What `llm-worker contract verify` says of a record."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from llm_worker.client.submission import Submission, render
from llm_worker.contracts.conformance import faults_of
from llm_worker.contracts.documents.examples import Example, load_examples
from llm_worker.contracts.record_lines import WireRecord, read_record
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import Lane
from llm_worker.domain.attempt_events import started_event
from llm_worker.domain.errors import ProviderDownError, ProviderTimeoutError
from llm_worker.domain.events import events_of
from llm_worker.domain.verdict import Billing
from tests.support.builders import (
    NOW,
    attempt_of,
    codec_of,
    completed_of,
    completion_of,
    failed_of,
    hit_of,
    request_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_worker.domain.outcome import Outcome

TOPICS = load_topics()
ESSAY = "Nobody may read this."


def _record(name: str) -> dict[str, Any]:
    return copy.deepcopy(
        next(dict(example.document) for example in load_examples() if example.name == name)
    )


def _fields(record: dict[str, Any]) -> list[str]:
    faults = faults_of(read_record(json.dumps(record)), TOPICS)
    assert all(fault.problem and fault.remedy for fault in faults)
    assert ESSAY not in repr(faults)
    return [fault.field for fault in faults]


def _put(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Set the field at a path; `...` takes it away."""

    def mutate(record: dict[str, Any]) -> None:
        *owners, name = path.split("/")
        for owner in owners:
            record = record[owner]
        if value is ...:
            del record[name]
        else:
            record[name] = value

    return mutate


@pytest.mark.parametrize("example", load_examples(), ids=lambda example: example.name)
def test_every_golden_record_obeys_the_contract(example: Example) -> None:
    assert _fields(dict(example.document)) == []


@pytest.mark.parametrize(
    ("name", "path", "value", "field"),
    [
        ("comparison_requested", "value/event_id", ..., "event_id"),
        ("comparison_requested", "value/schema_version", 2, "schema_version"),
        ("comparison_requested", "value/data/user_prompt", " ", "data.user_prompt"),
        ("comparison_requested", "value/data/user_prompt", [ESSAY], "data.user_prompt"),
        ("comparison_requested", "value/data/essay_b", None, "data"),
        ("comparison_requested", "value/data/cache_mode", ESSAY, "data.cache_mode"),
        ("comparison_requested", "value/data/replicate", "1", "data.replicate"),
        ("comparison_requested", "value/data/not_after", 1790000000, "data.not_after"),
        (
            "comparison_requested_bulk",
            "value/data/llm_config_overrides/temperature_override",
            3,
            "data.llm_config_overrides.temperature_override",
        ),
        (
            "comparison_requested_bulk",
            "value/data/correlation_id",
            "0f2b6b5e-3a53-5d0f-8a9a-6f1f0c7a9d21",
            "data.correlation_id",
        ),
        ("comparison_requested", "value", ESSAY, "value"),
        ("comparison_requested", "value", None, "value"),
        ("comparison_requested", "key", "school-3", "key"),
        ("comparison_requested", "key", None, "key"),
        ("comparison_requested", "headers/correlation_id", ..., "headers.correlation_id"),
        ("comparison_requested", "headers/correlation_id", ESSAY, "headers.correlation_id"),
        (
            "comparison_requested",
            "headers/correlation_id",
            "0f2b6b5e-3a53-5d0f-8a9a-6f1f0c7a9d21",
            "headers.correlation_id",
        ),
        ("comparison_requested", "headers/event_type", "another", "headers.event_type"),
        ("comparison_requested", "headers/traceparent", "00-1-2-3", "headers.traceparent"),
        ("comparison_result", "value/data/winner", None, "data"),
        ("comparison_result", "value/data/confidence", 5.1, "data.confidence"),
        ("comparison_result", "value/data/justification", ESSAY * 50, "data.justification"),
        (
            "comparison_result_error",
            "value/data/error_detail/error_code",
            ESSAY,
            "data.error_detail.error_code",
        ),
        ("cost_tracking", "value/data/cost_known", ..., "data.cost_known"),
        ("cost_alert", "key", "", "key"),
        ("usage_analytics", "value/data/provider_stats/anthropic/requests", -1,
         "data.provider_stats.anthropic.requests"),
        ("dead_letter", "headers/dlq.offset", "last", "headers.dlq.offset"),
        ("dead_letter", "headers/dlq.error_code", ..., "headers.dlq.error_code"),
        ("cache_hit", "topic", "somebody.elses.v1", None),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_field(
    name: str, path: str, value: object, field: str | None
) -> None:
    record = _record(name)

    _put(path, value)(record)

    assert _fields(record) == ([] if field is None else [field])


def test_an_event_on_a_wrong_topic_of_ours_is_told() -> None:
    record = _record("cache_miss")
    record["topic"] = TOPICS.topics[next(iter(TOPICS.topics))].name

    assert "data.user_prompt" in _fields(record)


def test_the_bulk_lane_has_an_event_type_of_its_own() -> None:
    record = _record("comparison_requested")
    record["topic"] = _record("comparison_requested_bulk")["topic"]

    assert _fields(record) == ["event_type"]


@pytest.mark.parametrize("event_type", ["teapot.v1", None, "huleedu.llm_provider.failure.v9"])
def test_on_a_topic_of_nobody_the_event_type_must_name_an_event(event_type: str | None) -> None:
    record = _record("comparison_result") | {"topic": "huleedu.cj.verdicts.v1"}
    record["value"]["event_type"] = event_type

    assert _fields(record) == ["event_type"]


def test_the_topics_may_have_a_prefix() -> None:
    record = _record("comparison_requested")
    record["topic"] = f"tenant.{record['topic']}"
    record["key"] = None

    [fault] = faults_of(read_record(json.dumps(record)), load_topics("tenant."))

    assert fault.field == "key"


def test_an_unknown_field_is_no_fault() -> None:
    record = _record("comparison_result")
    record["value"]["data"]["from_the_future"] = 1

    assert _fields(record) == []


def test_a_value_that_is_no_utf8_is_a_fault_of_the_value() -> None:
    whole = read_record(json.dumps(_record("comparison_requested")))
    broken = type(whole)(
        topic=whole.topic, key=whole.key, value=b'{"event_id": "\xff"}', headers=whole.headers
    )

    assert [fault.field for fault in faults_of(broken, TOPICS)] == ["value"]


def test_metadata_as_deep_as_the_worker_echoes_it_is_no_fault() -> None:
    record = _record("comparison_requested")
    record["value"]["data"]["metadata"] = json.loads('{"a":' * 220 + "1" + "}" * 220)

    assert _fields(record) == []


def test_what_the_worker_and_the_client_write_obeys_the_contract() -> None:
    request = request_of(metadata={"pair": 1})
    late = attempt_of(ProviderTimeoutError("late", billing=Billing()))
    outcomes: tuple[Outcome, ...] = (
        completed_of(request, late, attempt_of(completion_of(), number=2)),
        replace(completed_of(request), hit=hit_of()),
        failed_of(request, ProviderDownError("503"), late),
    )
    events = [started_event(request, late.attempt)]
    records = [codec_of().render(e) for e in [*events, *chain(*map(events_of, outcomes))]]
    asked = Submission(request=request.asked, lane=Lane.BULK)
    sent = render(asked, TOPICS, source_service="cj-assessment", now=NOW)

    assert len({record.topic for record in records}) >= 7
    for topic, key, value, headers in [
        *((record.topic, record.key, record.value, record.headers) for record in records),
        (sent.topic, sent.key, sent.value, tuple(sent.headers)),
    ]:
        said = WireRecord(topic=topic, key=key, value=value, headers=headers)
        assert faults_of(said, TOPICS) == []
