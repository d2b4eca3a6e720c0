from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import orjson
import pytest

from llm_worker.adapters.kafka.codec import KafkaCodec
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.attempt_events import started_event
from llm_worker.domain.errors import ProviderDownError, ProviderTimeoutError
from llm_worker.domain.event import DeadLetter, Event
from llm_worker.domain.events import events_of
from llm_worker.domain.outcome import Rejected
from llm_worker.domain.request import ComparisonRequest, id_of_record
from llm_worker.domain.verdict import Billing, CallFacts
from tests.support.builders import (
    DEAD_LETTER_TOPIC,
    NOW,
    RESULT_TOPIC,
    TARGET,
    attempt_of,
    body_of,
    codec_of,
    completed_of,
    completion_of,
    delivery_of,
    failed_of,
    request_of,
)
from tests.support.fakes import ManualClock
from tests.support.wire import data_of, error_code_of, read_event

if TYPE_CHECKING:
    from llm_worker.domain.delivery import Header

_KEY = b"5f0c6f4e-64a8-4d7c-8f0d-6a4a8c0a9f11"
_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_TRACE = {"traceparent": _TRACEPARENT, "tracestate": "a=1"}


def _accepted(body: dict[str, Any], **delivery: Any) -> ComparisonRequest:  # noqa: ANN401 - passed on
    request = codec_of().decode(delivery_of(body, **delivery))
    assert isinstance(request, ComparisonRequest), request
    return request


def _rejected(value: bytes | dict[str, Any] | None, **delivery: Any) -> Rejected:  # noqa: ANN401 - passed on
    rejected = codec_of().decode(delivery_of(value, **delivery))
    assert isinstance(rejected, Rejected), rejected
    return rejected


def _without(body: dict[str, Any], *path: str) -> dict[str, Any]:
    *parents, last = path
    inner = body
    for name in parents:
        inner = inner[name]
    del inner[last]
    return body


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def _with_metadata(metadata: bytes) -> bytes:
    return orjson.dumps(body_of(metadata="HERE")).replace(b'"HERE"', metadata)


def test_request_is_read_with_identity_prompt_and_deadline() -> None:
    body = body_of(not_after="2026-11-23T10:00:30Z", replicate=2)
    delivery = delivery_of(body, received_s=1_000)
    request = codec_of().decode(delivery)
    assert isinstance(request, ComparisonRequest)
    assert request.request_id == UUID(body["event_id"])
    assert request.correlation_id == UUID(body["correlation_id"])
    assert request.delivery is delivery
    assert request.deadline_s == 1_030
    assert request.requested_at == datetime(2026, 11, 23, 9, 59, tzinfo=UTC)
    assert request.prompt.text.startswith("Which essay argues better?\n\nTwo essays follow.")
    assert request.asked.replicate == 2


def test_fields_that_nobody_knows_are_accepted() -> None:
    body = body_of(a_new_field={"of": ["a", "later", "version"]})
    request = _accepted(body | {"another": 1, "schema_version": 1})
    assert request.asked.essay_b == body["data"]["essay_b"]


def test_request_without_an_event_id_is_named_by_its_record() -> None:
    request = _accepted(_without(body_of(), "event_id"))
    delivery = request.delivery
    assert request.request_id == id_of_record(delivery.topic, delivery.partition, delivery.offset)


def test_correlation_id_may_stand_in_the_data_too_if_it_agrees() -> None:
    body = body_of()
    body["data"]["correlation_id"] = body["correlation_id"].upper()
    assert _accepted(body).correlation_id == UUID(body["correlation_id"])


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        (None, "PARSING_ERROR", "has no value"),
        (b"", "PARSING_ERROR", "is not UTF-8 JSON"),
        (b"hello", "PARSING_ERROR", "is not UTF-8 JSON"),
        (b'{"data": "\xff\xfe"}', "PARSING_ERROR", "is not UTF-8 JSON"),
        (b'{"data": "\\ud800"}', "PARSING_ERROR", "is not UTF-8 JSON"),
        (b'{"data": NaN}', "PARSING_ERROR", "is not UTF-8 JSON"),
        (b'{"data": -Infinity}', "PARSING_ERROR", "is not UTF-8 JSON"),
        (_nested(100_000), "PARSING_ERROR", "is not UTF-8 JSON"),
        (b"[]", "VALIDATION_ERROR", "the envelope"),
        (b"null", "VALIDATION_ERROR", "the envelope"),
        (b"{}", "VALIDATION_ERROR", "correlation_id"),
        (b'{"data": 3}', "VALIDATION_ERROR", "data"),
    ],
    ids=[
        "null value",
        "empty",
        "not JSON",
        "not UTF-8",
        "lone surrogate",
        "NaN",
        "infinity",
        "100,000 levels",
        "a list",
        "null",
        "empty object",
        "data is a number",
    ],
)
def test_unreadable_value_is_rejected_with_code_and_remedy(
    value: bytes | None, code: str, words: str
) -> None:
    rejected = _rejected(value, key=_KEY)
    assert rejected.error.code == code
    assert words in rejected.error.message
    assert str(rejected.correlation_id).encode() == _KEY


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        ({"essay_b": None}, "VALIDATION_ERROR", "send both, or neither"),
        ({"essay_a": None}, "VALIDATION_ERROR", "send both, or neither"),
        ({"user_prompt": ""}, "LLM_INVALID_PROMPT", "data.user_prompt"),
        ({"user_prompt": " \n\t"}, "LLM_INVALID_PROMPT", "is blank"),
        ({"user_prompt": None}, "LLM_INVALID_PROMPT", "data.user_prompt"),
        ({"user_prompt": "x" * 3_000_000}, "LLM_CONTENT_TOO_LONG", "shorten it"),
        ({"essay_b": "x" * 3_000_000}, "LLM_CONTENT_TOO_LONG", "shorten it"),
        ({"essay_a": 3}, "VALIDATION_ERROR", "data.essay_a"),
        ({"correlation_id": str(uuid4())}, "VALIDATION_ERROR", "differs from the envelope's"),
        ({"correlation_id": "x"}, "VALIDATION_ERROR", "data.correlation_id"),
        ({"cache_mode": "sometimes"}, "VALIDATION_ERROR", "data.cache_mode"),
        ({"replicate": -1}, "VALIDATION_ERROR", "data.replicate"),
        ({"not_after": "tomorrow"}, "VALIDATION_ERROR", "data.not_after"),
        (
            {"not_after": "9999-12-31T23:59:59-14:00"},
            "VALIDATION_ERROR",
            "data.not_after: lies outside the years 1 to 9999",
        ),
        ({"not_after": "0001-01-01T00:00:00+14:00"}, "VALIDATION_ERROR", "data.not_after"),
        ({"metadata": ["a", "list"]}, "VALIDATION_ERROR", "data.metadata"),
        (
            {"llm_config_overrides": {"provider_override": "acme"}},
            "VALIDATION_ERROR",
            "data.llm_config_overrides.provider_override",
        ),
        (
            {"llm_config_overrides": {"temperature_override": 3}},
            "VALIDATION_ERROR",
            "data.llm_config_overrides.temperature_override",
        ),
    ],
)
def test_wrong_field_is_named_with_code_and_remedy(
    data: dict[str, Any], code: str, words: str
) -> None:
    body = body_of(**data)
    rejected = _rejected(body)
    assert rejected.error.code == code
    assert words in rejected.error.message
    assert rejected.correlation_id == UUID(body["correlation_id"])


@pytest.mark.parametrize("field", ["correlation_id", "event_timestamp", "data", "source_service"])
def test_missing_field_of_the_envelope_is_named(field: str) -> None:
    rejected = _rejected(_without(body_of(), field), key=_KEY)
    assert rejected.error.code == "VALIDATION_ERROR"
    assert f"{field}: Field required" in rejected.error.message


def test_many_faults_are_told_a_few_at_a_time() -> None:
    rejected = _rejected(b"{}")
    assert 2 <= rejected.error.message.count("Field required") <= 5


def test_year_9999_is_accepted_where_it_exists_in_utc() -> None:
    assert _accepted(body_of(not_after="9999-12-31T23:59:59Z")).deadline_s == 300


def test_metadata_as_deep_as_it_can_be_echoed_is_accepted() -> None:
    value = _with_metadata(b'{"a":' + _nested(200) + b"}")
    request = codec_of().decode(delivery_of(value))
    assert isinstance(request, ComparisonRequest)
    *_, result = events_of(completed_of(request))
    assert read_event(codec_of().render(result).value)


@pytest.mark.parametrize("depth", range(245, 256))
def test_metadata_is_either_echoed_or_rejected_at_every_depth(depth: int) -> None:
    outcome = codec_of().decode(delivery_of(_with_metadata(b'{"a":' + _nested(depth) + b"}")))
    if isinstance(outcome, ComparisonRequest):
        events = list(events_of(failed_of(outcome, ProviderDownError("503"))))
    else:
        assert "nested too deeply" in outcome.error.message
        events = list(events_of(outcome))
    for event in events:
        assert orjson.loads(codec_of().render(event).value or b"") is not None


@pytest.mark.parametrize(
    ("envelope", "data", "header", "key", "found"),
    [
        ("a", "b", "c", "d", "a"),
        (None, "b", "c", "d", "b"),
        (None, None, "c", "d", "c"),
        (None, None, None, "d", "d"),
        ("nonsense", None, None, "d", "d"),
        (None, None, None, "nonsense", None),
        (None, None, None, None, None),
    ],
)
def test_correlation_id_is_looked_for_where_it_may_be(
    envelope: str | None, data: str | None, header: str | None, key: str | None, found: str | None
) -> None:
    ids = {name: str(uuid4()) for name in "abcd"} | {"nonsense": "\u00e9 nonsense"}
    body = body_of(user_prompt="", correlation_id=data and ids[data])
    body["correlation_id"] = envelope and ids[envelope]
    rejected = _rejected(
        body,
        headers=(("correlation_id", (header and ids[header].encode()) or None),),
        key=(key and ids[key].encode()) or None,
    )
    assert rejected.correlation_id == (UUID(ids[found]) if found else None)


def test_rejection_carries_what_the_caller_needs_to_recognise_it() -> None:
    body = body_of(user_prompt="", metadata={"batch": 7}, callback_topic="huleedu.cj")
    rejected = _rejected(body)
    assert rejected.metadata == {"batch": 7}
    assert rejected.reply_topic == "huleedu.cj"
    assert rejected.request_id == UUID(body["event_id"])
    [answer] = events_of(rejected)
    data = data_of(codec_of().render(answer).value)
    assert data["request_metadata"] == {"batch": 7}
    assert (data["provider"], data["model"], data["attempts"]) == ("mock", "mock-judge-1", 0)


def test_each_event_is_written_as_its_schema_says() -> None:
    request = request_of(user_id="u", organization_id="o", metadata={"nested": {"a": [1, None]}})
    late = attempt_of(ProviderTimeoutError("late", billing=Billing()))
    down = attempt_of(ProviderDownError("503", facts=CallFacts(http_status=503)), number=2)
    bought = completion_of(cost_usd=Decimal("0.0000123"))
    outcomes = (
        completed_of(request, late, attempt_of(bought, number=3), completion=bought),
        failed_of(request, ProviderDownError("503"), late, down),
        _rejected(body_of(user_prompt="")),
    )
    events = [started_event(request, late.attempt)]
    events += [e for outcome in outcomes for e in events_of(outcome) if isinstance(e, Event)]
    for event in events:
        record = codec_of().render(event)
        envelope = read_event(record.value)
        assert envelope["event_id"] == str(event.event_id)
        assert envelope["event_type"] == record.topic
        assert envelope["source_service"] == "llm-worker"
        assert record.key == str(event.correlation_id).encode()
        assert dict(record.headers) == {
            "correlation_id": record.key,
            "event_type": record.topic.encode(),
        }
        assert record.is_own
    assert {event.topic for event in events} == {
        TopicName.REQUEST_STARTED,
        TopicName.PROVIDER_FAILURE,
        TopicName.COST_TRACKING,
        TopicName.REQUEST_COMPLETED,
        TopicName.COMPARISON_RESULT,
    }


def test_trace_is_handed_on_in_envelope_header_and_result() -> None:
    request = _accepted(body_of() | {"metadata": _TRACE})
    *_, result = events_of(completed_of(request))
    record = codec_of().render(result)
    assert dict(record.headers).items() >= {k: v.encode() for k, v in _TRACE.items()}.items()
    envelope = read_event(record.value)
    assert envelope["metadata"] == _TRACE
    assert envelope["data"]["trace_id"] == _TRACEPARENT.split("-")[1]


@pytest.mark.parametrize("body", [body_of(user_prompt=7), body_of(essay_b=None)])
def test_trace_of_what_is_rejected_is_handed_on_too(body: dict[str, Any]) -> None:
    [event] = events_of(_rejected(body | {"metadata": _TRACE}))
    envelope = read_event(codec_of().render(event).value)
    assert envelope["metadata"] == _TRACE
    _, trace_id, span_id, _ = _TRACEPARENT.split("-")
    assert envelope["data"]["trace_id"] == trace_id
    detail = envelope["data"]["error_detail"]
    assert (detail["trace_id"], detail["span_id"]) == (trace_id, span_id)


def test_event_type_has_no_prefix_and_the_topic_has() -> None:
    codec = KafkaCodec(
        topics=load_topics("test."),
        first_target=lambda: TARGET,
        clock=ManualClock(NOW),
        longest_s=300,
    )
    *_, result = events_of(completed_of(request_of()))
    record = codec.render(result)
    assert record.topic == f"test.{RESULT_TOPIC}"
    assert record.is_own
    assert read_event(record.value)["event_type"] == RESULT_TOPIC


def test_result_on_a_callers_topic_is_marked_as_not_our_own() -> None:
    *_, result = events_of(completed_of(request_of(callback_topic="huleedu.cj")))
    record = codec_of().render(result)
    assert (record.topic, record.is_own) == ("huleedu.cj", False)


def test_redirected_result_says_where_it_could_not_be_delivered() -> None:
    *_, result = events_of(completed_of(request_of(callback_topic="huleedu.cj")))
    record = codec_of().render(result)
    redirected = codec_of().redirected(record)
    assert (redirected.topic, redirected.is_own) == (RESULT_TOPIC, True)
    assert redirected.headers == (*record.headers, ("undeliverable_to", b"huleedu.cj"))
    assert (redirected.key, redirected.value) == (record.key, record.value)


def _letter(outcome: Rejected) -> DeadLetter:
    [letter] = events_of(outcome)
    assert isinstance(letter, DeadLetter)
    return letter


def test_dead_letter_keeps_bytes_key_and_headers_untouched() -> None:
    headers: tuple[Header, ...] = (("a", b"\xff\x00"), ("a", b"again"), ("none", None))
    record = codec_of().render(_letter(_rejected(b"\xff\xfe", key=b"\x00key", headers=headers)))
    assert record.topic == DEAD_LETTER_TOPIC
    assert (record.key, record.value) == (b"\x00key", b"\xff\xfe")
    assert record.headers[:3] == headers
    said = dict(record.headers[3:])
    assert said.pop("dlq.reason")
    assert said == {
        "dlq.error_code": b"PARSING_ERROR",
        "dlq.topic": b"huleedu.llm_provider.comparison_requested.v1",
        "dlq.partition": b"3",
        "dlq.offset": b"7",
        "dlq.time": b"2026-11-23T10:00:00+00:00",
        "dlq.attempts": b"0",
        "dlq.spent_usd": b"0",
    }


def test_dead_letter_says_that_key_or_value_was_null() -> None:
    record = codec_of().render(_letter(_rejected(None, key=None)))
    # A record must have one of them, so the key is empty; the header tells it from a null one.
    assert (record.key, record.value) == (b"", None)
    assert dict(record.headers)["dlq.null_key"] == b"true"
    assert dict(record.headers)["dlq.null_value"] == b"true"
    assert "dlq.null_key" not in dict(codec_of().render(_letter(_rejected(b"x", key=b""))).headers)


def test_dead_letter_without_its_value_says_what_was_dropped() -> None:
    value = b"x" * 5_000
    record = codec_of().without_value(codec_of().render(_letter(_rejected(value))))
    assert record.value == b""
    said = f"5000 bytes, sha256 {sha256(value).hexdigest()}".encode()
    assert record.headers[-1] == ("dlq.value_dropped", said)


def test_error_result_of_bad_input_is_written_as_its_schema_says() -> None:
    [answer] = events_of(_rejected(b"\xff", key=_KEY))
    assert error_code_of(codec_of().render(answer).value) == "PARSING_ERROR"


def test_rejection_has_another_event_id_than_the_verdict_of_the_mended_request() -> None:
    body = {**body_of(), "data": {}}
    rejected, again = _rejected(body), _rejected(body)
    assert rejected.request_id == UUID(body["event_id"]) != rejected.event_namespace
    assert rejected.event_namespace == again.event_namespace
