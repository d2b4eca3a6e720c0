"""Thousands of mutated records: the codec never raises, and each can be answered or set aside."""

from __future__ import annotations

import json
import math
from copy import deepcopy
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_worker.contracts.vocabulary import ErrorCode
from llm_worker.domain.errors import ProviderTimeoutError
from llm_worker.domain.event import DeadLetter
from llm_worker.domain.events import events_of
from llm_worker.domain.outcome import Rejected
from llm_worker.domain.request import ComparisonRequest
from llm_worker.domain.verdict import Billing
from tests.support.builders import (
    attempt_of,
    body_of,
    codec_of,
    completed_of,
    completion_of,
    delivery_of,
    failed_of,
)
from tests.support.wire import read_event

if TYPE_CHECKING:
    from llm_worker.domain.delivery import Delivery, Record

_MARKER = "Zwiebelkuchen"
_DEEP = "@deep@"
_CODEC = codec_of()
_EXHAUSTIVE = settings(
    max_examples=2_000,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

_odd_values = st.sampled_from(
    [
        "",
        " ",
        "\ud800",
        "\udfff\ud800",
        "\x00",
        "x" * 5_000,
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00",
        "2026-11-23",
        "P1D",
        "-0",
        "infinity",
        "huleedu.llm_provider.comparison_result.v1",
        "urn:uuid:5f0c6f4e-64a8-4d7c-8f0d-6a4a8c0a9f11",
        "\u0665f0c6f4e-64a8-4d7c-8f0d-6a4a8c0a9f11",
        10**400,
        -(10**25),
        2**63,
        2**64 - 1,
        -(2**63) - 1,
        1e308,
        5e-324,
        -0.0,
        math.nan,
        math.inf,
        -math.inf,
        [],
        {},
        [[]],
        {"": {"": None}},
    ]
)
_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | _odd_values,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
_deep_text = st.builds(
    lambda depth, opening: opening * depth + "0" + {"[": "]", '{"a":': "}"}[opening] * depth,
    st.integers(10, 2_000) | st.integers(240, 260),
    st.sampled_from(["[", '{"a":']),
)


@st.composite
def _documents(draw: st.DrawFn) -> bytes:
    """A valid request with a few values deleted, replaced or put in, anywhere."""
    document: Any = body_of(
        essay_a=f"{_MARKER} is loyal.",
        essay_b=f"dogs {_MARKER} dogs",
        metadata={"batch": [1, {"of": None}], "opaque": draw(_json_values | st.just(_DEEP))},
        llm_config_overrides={"temperature_override": 0.5, "model_override": "m"},
        not_after="2026-11-23T12:00:00Z",
        callback_topic="huleedu.cj.results.v1",
        user_id="u",
    )
    document |= {"event_id": str(UUID(int=1)), "correlation_id": str(UUID(int=2))}
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        document = _mutate(draw, document)
    text = json.dumps(document)
    while f'"{_DEEP}"' in text:
        text = text.replace(f'"{_DEEP}"', draw(_deep_text), 1)
    return text.encode()


def _mutate(draw: st.DrawFn, document: Any) -> Any:  # noqa: ANN401 - any JSON value
    mutated = deepcopy(document)
    parent: Any = None
    key: Any = None
    inner = mutated
    while isinstance(inner, dict | list) and inner and draw(st.integers(0, 3)):
        parent = inner
        key = draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner))))
        inner = inner[key]
    value = draw(_json_values | st.just(_DEEP))
    if parent is None:
        if not isinstance(mutated, dict) or draw(st.integers(0, 9)) == 0:
            return value
        mutated[draw(st.text(max_size=5))] = value
        return mutated
    action = draw(st.sampled_from(["delete", "replace", "replace", "insert"]))
    if action == "delete":
        del parent[key]
    elif action == "replace" or isinstance(parent, list):
        parent[key] = value
    else:
        parent[draw(st.sampled_from(["metadata", "data", "event_id", "new"]))] = value
    return mutated


@st.composite
def _garbled(draw: st.DrawFn) -> bytes:
    """A request with a few bytes cut out, overwritten or put in."""
    value = draw(_documents())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(value)))
        end = draw(st.integers(start, min(len(value), start + 20)))
        value = value[:start] + draw(st.binary(max_size=6)) + value[end:]
    return value


_values = st.none() | st.binary(max_size=40) | _documents() | _documents() | _garbled()
_keys = st.none() | st.binary(max_size=20) | st.uuids().map(lambda found: str(found).encode())
_header_names = st.sampled_from(
    ["correlation_id", "traceparent", "tracestate", "dlq.reason", "", "é"]
)
_header_values = (
    st.none() | st.binary(max_size=40) | st.uuids().map(lambda found: str(found).encode())
)
_headers = st.lists(st.tuples(_header_names, _header_values), max_size=3).map(tuple)
_deliveries = st.builds(
    lambda value, key, headers: delivery_of(value, key=key, headers=headers),
    _values,
    _keys,
    _headers,
)


@_EXHAUSTIVE
@given(_deliveries)
def test_every_record_ends_as_a_request_or_a_rejection_whose_events_can_be_written(
    delivery: Delivery,
) -> None:
    outcome = _CODEC.decode(delivery)
    if isinstance(outcome, ComparisonRequest):
        _check_accepted(outcome)
    else:
        assert isinstance(outcome, Rejected)
        _check_rejected(outcome)


def _check_accepted(request: ComparisonRequest) -> None:
    assert math.isfinite(request.deadline_s)
    bought = completion_of()
    late = ProviderTimeoutError("late", billing=Billing())
    for outcome in (
        completed_of(request, attempt_of(bought), completion=bought),
        failed_of(request, late, attempt_of(late)),
    ):
        *others, result = [_CODEC.render(event) for event in events_of(outcome)]
        for record in others:
            assert record.topic.endswith(".dlq.v1") or orjson.loads(record.value or b"")
        metadata = read_event(result.value)["data"]["request_metadata"]
        assert metadata == request.asked.metadata | {"prompt_sha256": request.prompt.sha256}


def _check_rejected(rejected: Rejected) -> None:
    [event] = events_of(rejected)
    record = _CODEC.render(event)
    assert ErrorCode(rejected.error.code)
    assert rejected.error.message
    assert _MARKER not in rejected.error.message
    if rejected.correlation_id is None:
        assert isinstance(event, DeadLetter)
        _check_untouched(rejected.delivery, record)
    else:
        assert not isinstance(event, DeadLetter)
        result = read_event(record.value)
        assert result["correlation_id"] == str(rejected.correlation_id)
        assert result["data"]["error_detail"]["error_code"] == rejected.error.code
        assert _MARKER not in json.dumps(result["data"]["error_detail"])


def _check_untouched(delivery: Delivery, record: Record) -> None:
    headers = tuple(delivery.headers)
    assert record.value == delivery.value
    assert record.key == (delivery.key or b"")
    assert record.headers[: len(headers)] == headers
    assert _MARKER.encode() not in b"".join(v or b"" for _, v in record.headers[len(headers) :])


def test_mutations_reach_both_sides() -> None:
    """The property above says little if hardly any record is accepted, or hardly any rejected."""
    seen = {ComparisonRequest: 0, Rejected: 0}

    @settings(_EXHAUSTIVE, max_examples=300)
    @given(_deliveries)
    def look(delivery: Delivery) -> None:
        seen[type(_CODEC.decode(delivery))] += 1

    look()
    assert min(seen.values()) > 30, seen
