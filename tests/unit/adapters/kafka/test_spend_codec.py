from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.adapters.kafka.spend_codec import SpendCodec, read_account
from llm_worker.contracts.envelope import EventEnvelope
from llm_worker.contracts.events import (
    LLMCostTrackingV1,
    LLMProviderFailureV1,
    LLMRequestCompletedV1,
)
from llm_worker.contracts.topics import load_topics
from llm_worker.contracts.vocabulary import TopicName
from llm_worker.domain.errors import InvalidDeliveryError, UnreadableError, ValidationFailedError
from llm_worker.domain.ledger import Account
from llm_worker.domain.spend import AccountKey, Source
from llm_worker.domain.spend_events import key_text, state_event
from tests.support.builders import NOW, TOPICS
from tests.support.spend import (
    CELL,
    COSTS,
    DAY,
    FAILURES,
    MORE_COSTS,
    REQUESTS,
    completion_value,
    cost_of,
    failure_value,
    record_of,
    uid,
)

if TYPE_CHECKING:
    from llm_worker.contracts.envelope import WireModel

_codec = SpendCodec(TOPICS)
_KEY = AccountKey(CELL, DAY, COSTS)


def _state(**laid_over: object) -> bytes:
    """A record of the state, with some fields of its data changed."""
    envelope = orjson.loads(
        _codec.render(state_event(_KEY, Account(last_offset=3), NOW, "me")).value or b""
    )
    return orjson.dumps({**envelope, "data": {**envelope["data"], **laid_over}})


@pytest.mark.parametrize("source", [COSTS, MORE_COSTS, REQUESTS, FAILURES])
def test_source_partition_is_that_of_the_topics_logical_name(source: Source) -> None:
    assert _codec.source(record_of(b"", source=source)) == source


def test_topics_have_their_prefix_on_the_broker() -> None:
    topics = load_topics("staging.")
    record = record_of(cost_of(uid(1)))
    prefixed = type(record)(
        topic=topics.on_broker(TopicName.COST_TRACKING),
        partition=2,
        offset=0,
        at_ms=0,
        key=None,
        value=record.value,
        headers=(),
    )
    codec = SpendCodec(topics)
    assert codec.source(prefixed) == Source(TopicName.COST_TRACKING, 2)
    assert isinstance(codec.event(prefixed), EventEnvelope)


@pytest.mark.parametrize(
    ("value", "source", "model"),
    [
        (cost_of(uid(1)), COSTS, LLMCostTrackingV1),
        (completion_value(uid(1)), REQUESTS, LLMRequestCompletedV1),
        (failure_value(uid(1)), FAILURES, LLMProviderFailureV1),
    ],
)
def test_each_topics_events_are_read(value: bytes, source: Source, model: type[WireModel]) -> None:
    event = _codec.event(record_of(value, source=source))
    assert isinstance(event, EventEnvelope)
    assert isinstance(event.data, model)
    assert event.event_id == uid(1)


def test_fields_that_nobody_knows_are_ignored() -> None:
    event = _codec.event(record_of(cost_of(uid(1), colour="green")))
    assert isinstance(event, EventEnvelope)


def test_record_without_a_value_is_unreadable() -> None:
    assert isinstance(_codec.event(record_of(None)), UnreadableError)


@pytest.mark.parametrize("value", [b"", b"\xff\xfe", b"{", b"[]", b"null", b'"text"'])
def test_value_that_is_no_event_is_refused(value: bytes) -> None:
    assert isinstance(_codec.event(record_of(value)), ValidationFailedError)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cost_estimate_usd", -0.01),
        ("cost_estimate_usd", "much"),
        ("cost_estimate_usd", None),
        ("cost_known", None),
        ("provider", "ibm"),
        ("token_usage", {"total_tokens": None}),
    ],
)
def test_what_is_wrong_with_an_event_is_named(field: str, value: object) -> None:
    error = _codec.event(record_of(cost_of(**{field: value})))  # type: ignore[arg-type]
    assert isinstance(error, ValidationFailedError)
    assert f"data.{field}" in error.message
    assert "compare with LLMCostTrackingV1.json" in error.message


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999"])
def test_cost_that_is_no_number_is_refused(number: bytes) -> None:
    value = cost_of(usd=0.5).replace(b'"cost_estimate_usd":0.5', b'"cost_estimate_usd":' + number)
    assert isinstance(_codec.event(record_of(value)), InvalidDeliveryError)


@pytest.mark.parametrize("at", ["yesterday", "0001-01-01T00:00:00+05:00", "2026-02-30T00:00:00Z"])
def test_time_that_is_none_in_utc_is_refused(at: str) -> None:
    assert isinstance(_codec.event(record_of(cost_of(at=at))), ValidationFailedError)


@given(st.binary(max_size=60))
def test_no_bytes_raise(value: bytes) -> None:
    assert isinstance(_codec.event(record_of(value)), InvalidDeliveryError)
    assert read_account(value, value) is None


def test_account_is_read_from_its_record() -> None:
    assert read_account(b"", _state()) == (_KEY, Account(last_offset=3))


def test_account_that_was_written_before_sources_were_named_is_one_of_costs() -> None:
    envelope = orjson.loads(_state())
    del envelope["data"]["source"]
    read = read_account(b"", orjson.dumps(envelope))
    assert read is not None
    assert read[0].source == COSTS


def test_tombstone_takes_the_account_of_its_key_away() -> None:
    assert read_account(key_text(_KEY).encode(), None) == (_KEY, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, None),
        (b"\xff", None),
        (b"[1]", None),
        (b"{}", None),
        (b'[null,"ibm",null,null,"2026-11","cost_tracking",0]', None),
        (b'[null,null,null,null,"2026-11","cost_tracking",null]', None),
        (b"[]", b"{}"),
        (b"[]", b"\xff"),
        (b"[]", _state(partition=-1)),
        (b"[]", _state(scope={"provider": "ibm"})),
        (b"[]", _state(cost_usd="-1")),
    ],
)
def test_record_of_the_state_that_is_none_of_ours_is_passed_over(
    key: bytes | None, value: bytes | None
) -> None:
    assert read_account(key, value) is None
