"""What a dead letter tells, and what becomes of it when it is sent again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_worker.adapters.kafka.rendering import EventRenderer
from llm_worker.application.routes import Routes
from llm_worker.cli.dead_letters.command import moment_of
from llm_worker.cli.dead_letters.listing import letter_as_json, show_record
from llm_worker.cli.dead_letters.price import Price, add_up, price_of
from llm_worker.cli.dead_letters.replay import NotReplayable, Replay, Replayer, replay_id
from llm_worker.cli.dead_letters.topic import Wanted, letter_of
from llm_worker.contracts.vocabulary import Lane, ProviderName
from llm_worker.domain.delivery import PlacedRecord, PulledRecord, Record
from llm_worker.domain.errors import DeadlinePassedError
from llm_worker.domain.event import DeadLetter
from llm_worker.domain.outcome import Target
from llm_worker.domain.request import ComparisonRequest, id_of_record
from llm_worker.domain.routing import Place, Routing
from llm_worker.domain.strategies import Strategy
from tests.support.builders import (
    NOW,
    REQUEST_TOPIC,
    TARGET,
    TOPICS,
    body_of,
    codec_of,
    delivery_of,
    request_of,
)
from tests.support.fakes import FakeModels, FakeProvider, ManualClock

_LATER = NOW + timedelta(days=2)


def set_aside(value: bytes | dict[str, Any] | None, **changes: Any) -> PlacedRecord:  # noqa: ANN401 - fields of the record
    """The dead letter of a record, as the worker writes it and Kafka keeps it."""
    pulled = PulledRecord(
        topic=REQUEST_TOPIC,
        partition=3,
        offset=7,
        key=b"the key",
        value=orjson.dumps(value) if isinstance(value, dict) else value,
        headers=(("kept", b"as it came"), ("null", None)),
    )
    renderer = EventRenderer(TOPICS)
    letter = DeadLetter(
        delivery=replace(pulled, **changes),
        error=DeadlinePassedError("too late"),
        attempts=2,
        spent_usd=Decimal("0.02"),
        timestamp=NOW,
    )
    return placed(renderer.render(letter))


def placed(record: Record) -> PlacedRecord:
    return PlacedRecord(
        topic=record.topic,
        partition=1,
        offset=12,
        key=record.key,
        value=record.value,
        headers=record.headers,
        at_ms=int(NOW.timestamp() * 1000),
    )


def replayed(record: PlacedRecord) -> Replay | NotReplayable:
    return Replayer(TOPICS, ManualClock(_LATER)).replay(letter_of(record), record)


def sent(record: PlacedRecord) -> Replay:
    replay = replayed(record)
    assert isinstance(replay, Replay), replay
    return replay


def refusal(record: PlacedRecord) -> str:
    replay = replayed(record)
    assert isinstance(replay, NotReplayable)
    return replay.why


def test_letter_tells_what_the_worker_wrote() -> None:
    body = body_of(organization_id="school")

    letter = letter_of(set_aside(body))

    assert letter.at == "1:12"
    assert letter.written_at == NOW
    assert letter_as_json(letter) == {
        "at": "1:12",
        "time": NOW.isoformat(),
        "reason": "too late",
        "error_code": "TIMEOUT",
        "topic": REQUEST_TOPIC,
        "partition": 3,
        "offset": 7,
        "attempts": 2,
        "spent_usd": "0.02",
        "event_id": body["event_id"],
        "organization_id": "school",
    }


def test_unknown_spend_is_none_and_request_without_id_has_that_of_its_place() -> None:
    record = set_aside(b"dogs")
    headers = [(n, b"unknown" if n == "dlq.spent_usd" else v) for n, v in record.headers]

    letter = letter_of(replace(record, headers=tuple(headers)))

    assert letter.spent_usd is None
    assert letter.event_id == id_of_record(REQUEST_TOPIC, 3, 7)


def test_headers_that_the_record_came_with_do_not_pass_for_the_workers() -> None:
    record = set_aside(body_of(), headers=(("dlq.topic", b"forged"), ("dlq.offset", b"1")))

    letter = letter_of(record)

    assert (letter.topic, letter.source_offset) == (REQUEST_TOPIC, 7)
    assert not [name for name, _ in sent(record).record.headers if name.startswith("dlq.")]


def test_replay_is_what_was_asked_under_a_new_id_that_names_the_old_one() -> None:
    body = body_of(metadata={"pair": 1}, replicate=3, unknown_field=[1, {"x": None}])

    replay = sent(set_aside(body))

    again = orjson.loads(replay.record.value or b"")
    event_id = replay_id(UUID(body["event_id"]))
    assert again == {
        **body,
        "event_id": str(event_id),
        "event_timestamp": _LATER.isoformat().replace("+00:00", "Z"),
    }
    assert replay.event_id == event_id != UUID(body["event_id"])
    assert (replay.record.topic, replay.record.key) == (REQUEST_TOPIC, b"the key")
    assert replay.record.headers == (
        ("kept", b"as it came"),
        ("null", None),
        ("replay_of", body["event_id"].encode()),
    )


def test_worker_takes_the_replay_and_sees_the_same_request_each_time() -> None:
    record = set_aside(body_of(not_after="2030-01-01T00:00:00Z"))
    earlier = Replayer(TOPICS, ManualClock(NOW)).replay(letter_of(record), record)
    assert isinstance(earlier, Replay)

    requests = [
        codec_of().decode(delivery_of(each.record.value)) for each in (earlier, sent(record))
    ]

    first, second = requests
    assert isinstance(first, ComparisonRequest)
    assert isinstance(second, ComparisonRequest)
    assert first.asked.not_after is None
    # The same id with other data would be refused.
    assert (first.request_id, first.data_hash) == (second.request_id, second.data_hash)


def test_same_request_that_lies_there_twice_is_one_replay() -> None:
    body = body_of()
    one, other = set_aside(body), replace(set_aside(body, offset=99), partition=2, offset=40)

    assert sent(one).event_id == sent(other).event_id


def test_replay_that_failed_is_another_request_when_it_is_replayed() -> None:
    first = sent(set_aside(body_of()))
    again = set_aside(first.record.value, headers=first.record.headers)

    second = sent(again)

    assert second.event_id not in {first.event_id, first.request.request_id}
    assert [value for name, value in second.record.headers if name == "replay_of"] == [
        str(first.event_id).encode()
    ]


def test_record_without_key_is_sent_with_its_correlation_id() -> None:
    body = body_of()

    assert sent(set_aside(body, key=None)).record.key == body["correlation_id"].encode()


def test_bulk_request_goes_back_to_its_own_topic() -> None:
    bulk = "huleedu.llm_provider.comparison_requested_bulk.v1"

    replay = sent(set_aside(body_of(), topic=bulk))

    assert (replay.record.topic, replay.request.delivery.lane) == (bulk, Lane.BULK)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (set_aside(b"SECRET"), "no request that a worker takes: the value is not UTF-8 JSON"),
        (set_aside(None), "no request that a worker takes: the record has no value"),
        (set_aside(body_of(essay_b=None)), "no request that a worker takes: data: "),
        (set_aside(body_of(), topic="huleedu.llm_provider.cost_tracking.v1"), "no request topic"),
        (set_aside(body_of(), topic="other.topic"), "came from other.topic, which is no request"),
        (placed(Record(topic="t", key=b"", value=b"{}", headers=())), "do not say where"),
    ],
)
def test_what_cannot_be_sent_says_why_and_nothing_else(record: PlacedRecord, why: str) -> None:
    assert why in refusal(record)
    assert "SECRET" not in refusal(record)


def test_dropped_value_cannot_be_sent() -> None:
    record = set_aside(body_of())
    cut = EventRenderer(TOPICS).without_value(
        Record(topic=record.topic, key=b"", value=record.value, headers=tuple(record.headers))
    )

    assert refusal(placed(cut)).startswith("its value was too large")


@given(st.binary() | st.recursive(st.none() | st.text(), st.lists).map(orjson.dumps))
def test_no_content_makes_reading_fail(value: bytes) -> None:
    record = set_aside(value)

    assert letter_of(record).error_code == "TIMEOUT"
    assert isinstance(replayed(record), NotReplayable)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(), True),
        (Wanted(since=NOW), True),
        (Wanted(since=NOW + timedelta(seconds=1)), False),
        (Wanted(codes=frozenset({"TIMEOUT", "RATE_LIMIT"})), True),
        (Wanted(codes=frozenset({"RATE_LIMIT"})), False),
        (Wanted(topics=frozenset({REQUEST_TOPIC})), True),
        (Wanted(topics=frozenset({"other"}), codes=frozenset({"TIMEOUT"})), False),
    ],
)
def test_all_that_is_wanted_must_apply(wanted: Wanted, *, fits: bool) -> None:
    assert wanted.fits(letter_of(set_aside(body_of()))) is fits


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T10:00+02:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
    ],
)
def test_since_is_a_while_or_a_time(text: str, moment: datetime) -> None:
    assert moment_of(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "7", "-1h", "1.5h", "9999999999w"])
def test_since_is_nothing_else(text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        moment_of(text, NOW)


def test_show_prints_no_text_of_the_callers(capsys: pytest.CaptureFixture[str]) -> None:
    secret = "SECRET" * 3
    body = body_of(
        user_prompt=secret,
        essay_a=secret,
        essay_b=secret,
        metadata={secret: secret, "model": secret},
        llm_config_overrides={"system_prompt_override": secret, "model_override": "m-1"},
        unknown={"model": secret},
    )

    show_record(set_aside(body))

    shown = capsys.readouterr().out
    assert "SECRET" not in shown
    assert "18 characters" in shown
    assert "m-1" in shown
    assert body["event_id"] in shown


def _routes(usd_per_token: Decimal | None = Decimal("1e-6")) -> Routes:
    models = FakeModels(usd_per_token=usd_per_token)
    return Routes(
        providers={ProviderName.MOCK: FakeProvider(answer=None, models=models)},
        routing=Routing(places=(Place(provider=ProviderName.MOCK),), strategy=Strategy.PRIORITY),
    )


def test_price_is_that_of_the_first_target_about_and_at_most() -> None:
    price = price_of(request_of(), _routes())

    assert price.target == TARGET
    assert price.about_usd
    assert price.most_usd
    assert 0 < price.about_usd < price.most_usd < 1


def test_price_is_unknown_without_routes_and_where_nobody_takes_the_request() -> None:
    pinned = request_of(llm_config_overrides={"provider_override": "openai"})

    assert price_of(request_of(), None) == Price()
    assert price_of(pinned, _routes()) == Price()
    assert price_of(request_of(), _routes(None)) == Price(target=TARGET)


def test_sum_with_an_unknown_price_in_it_is_unknown() -> None:
    other = Target(provider=ProviderName.OPENAI, model="m")
    known = Price(target=TARGET, about_usd=Decimal("0.1"), most_usd=Decimal(1))

    found = add_up([known, Price(target=other), known, replace(known, target=other), Price()])

    assert [(each.target, each.requests, each.about_usd, each.most_usd) for each in found] == [
        (None, 1, None, None),
        (TARGET, 2, Decimal("0.2"), Decimal(2)),
        (other, 2, None, None),
    ]
