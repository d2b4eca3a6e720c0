from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest

from llm_worker.client.errors import UnreadableResultError
from llm_worker.client.failures import ContentTooLongError, RequestValidationError
from llm_worker.client.submission import Submission, read_result, render, written
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.request import LLMComparisonRequestV1, LLMConfigOverrides
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import REQUEST_TOPICS, Lane
from tests.support.site import verdict_for

ONE = UUID("00000000-0000-4000-8000-000000000001")
TWO = UUID("00000000-0000-4000-8000-000000000002")
THREE = UUID("00000000-0000-4000-8000-000000000003")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOPICS = load_topics(prefix="tenant.")
REQUEST = LLMComparisonRequestV1(user_prompt="which?", essay_a="röd", essay_b="blå")


def test_event_id_joins_what_has_no_correlation_id() -> None:
    assert Submission(request=REQUEST, event_id=ONE).joined_by == ONE


def test_own_correlation_id_wins_over_the_requests_and_that_over_the_event_id() -> None:
    request = REQUEST.model_copy(update={"correlation_id": TWO})

    assert Submission(request=request, event_id=ONE).joined_by == TWO
    assert Submission(request=request, event_id=ONE, correlation_id=THREE).joined_by == THREE


@pytest.mark.parametrize(
    ("lane", "name"),
    [(Lane.NORMAL, "comparison_requested"), (Lane.BULK, "comparison_requested_bulk")],
)
def test_record_lies_on_its_lanes_topic_with_key_and_headers(lane: Lane, name: str) -> None:
    submission = Submission(request=REQUEST, event_id=ONE, correlation_id=TWO, lane=lane)

    record = render(submission, TOPICS, source_service="cj", now=NOW)

    assert record.topic == f"tenant.huleedu.llm_provider.{name}.v1"
    assert record.key == str(TWO).encode()
    assert record.headers == [
        ("correlation_id", str(TWO).encode()),
        ("event_type", f"huleedu.llm_provider.{name}.v1".encode()),
    ]


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_request_that_no_record_holds_is_refused_with_the_remedy(more: int, *, fits: bool) -> None:
    most = TOPICS[REQUEST_TOPICS[Lane.NORMAL]].max_message_bytes - 1_024
    short = LLMComparisonRequestV1(user_prompt="which?", essay_a="x", essay_b="b")
    value = render(Submission(request=short), TOPICS, source_service="cj", now=NOW).value
    essay = "x" * (most - len(value) + 1 + more)
    asked = Submission(request=short.model_copy(update={"essay_a": essay}))
    if fits:
        assert len(render(asked, TOPICS, source_service="cj", now=NOW).value) == most
        return
    with pytest.raises(ContentTooLongError, match="shorten essay_a, essay_b or user_prompt"):
        render(asked, TOPICS, source_service="cj", now=NOW)


def test_trace_context_stands_in_headers_and_envelope() -> None:
    trace = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "vendor=1"}
    submission = Submission(request=REQUEST, event_id=ONE, trace=trace)

    record = render(submission, TOPICS, source_service="cj", now=NOW)

    assert orjson.loads(record.value)["metadata"] == trace
    assert record.headers[2:] == [(name, value.encode()) for name, value in trace.items()]


def test_value_is_the_whole_envelope_in_utf_8() -> None:
    submission = Submission(request=REQUEST, event_id=ONE, correlation_id=TWO)

    value = render(submission, TOPICS, source_service="cj", now=NOW).value

    assert "röd".encode() in value
    assert orjson.loads(value).keys() == EventEnvelope.model_fields.keys()
    envelope = EventEnvelope[LLMComparisonRequestV1].model_validate_json(value)
    assert envelope == EventEnvelope[LLMComparisonRequestV1](
        event_id=ONE,
        event_type="huleedu.llm_provider.comparison_requested.v1",
        event_timestamp=NOW,
        source_service="cj",
        correlation_id=TWO,
        data=REQUEST,
    )


def test_result_is_read_however_deep_the_metadata_is_nested_that_the_worker_takes() -> None:
    nested: dict[str, Any] = {}
    for _ in range(240):
        nested = {"n": nested}
    result = verdict_for(REQUEST, ONE, request_metadata=nested)
    envelope = {
        "event_id": str(TWO),
        "event_type": "huleedu.llm_provider.comparison_result.v1",
        "event_timestamp": NOW,
        "source_service": "llm-worker",
        "correlation_id": str(ONE),
        "data": result.model_dump(mode="python"),
    }

    assert read_result(orjson.dumps(envelope)) == result


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"{}", b'{"data": {"winner": "a secret"}}'])
def test_what_is_no_result_is_an_error_that_quotes_nothing(value: bytes | None) -> None:
    with pytest.raises(UnreadableResultError, match="as new as the worker") as caught:
        read_result(value)

    assert "secret" not in str(caught.value)


def test_request_is_written_with_what_was_asked_for_alone() -> None:
    """Or a version that knows more fields would send something else under the same event id."""
    request = LLMComparisonRequestV1(
        user_prompt="which?",
        llm_config_overrides=LLMConfigOverrides(temperature_override=0),
        metadata={"pair": None},
    )

    assert orjson.loads(written(request)) == {
        "user_prompt": "which?",
        "llm_config_overrides": {"temperature_override": 0},
        "metadata": {"pair": None},
    }


def test_metadata_that_json_cannot_hold_is_named_and_not_quoted() -> None:
    nested: dict[str, Any] = {}
    for _ in range(400):
        nested = {"secret": nested}

    for metadata in ({"secret": object()}, nested):
        request = LLMComparisonRequestV1(user_prompt="which?", metadata=metadata)
        with pytest.raises(RequestValidationError, match=r"metadata: .* plain values") as caught:
            written(request)
        assert "secret" not in str(caught.value)
