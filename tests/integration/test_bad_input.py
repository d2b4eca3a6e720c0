"""Everything that can be wrong with a request, sent for real: each gets what it must."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
import pytest

from llm_worker.contracts.vocabulary import Lane, TopicName
from tests.support.builders import body_of
from tests.support.wire import data_of, error_code_of
from tests.support.worker import Installation, answered

if TYPE_CHECKING:
    from pathlib import Path

    from aiokafka import AIOKafkaProducer, ConsumerRecord

    from llm_worker.dev.kafka import EmbeddedKafka
    from llm_worker.domain.delivery import Header

_MARKER = "Zwiebelkuchen"
_PARTITIONS = 12
_HEADERS: tuple[Header, ...] = (("origin", b"\xff\x00"), ("origin", b"again"), ("none", None))
_LETTER, _VERDICT = "dead letter", "verdict"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A record, and what must come of it: an error code, a verdict, or a dead letter.

    `answer_to` is the correlation id under which it is answered.
    """

    name: str
    value: bytes | None
    ending: str
    key: bytes | None = b"no uuid"
    headers: tuple[Header, ...] = _HEADERS
    answer_to: str = ""


def _asking(name: str, ending: str, body: dict[str, Any], **replaced: bytes) -> _Case:
    """A request that can be answered; `replaced` puts bytes in the place of a word."""
    value = orjson.dumps(body)
    for word, text in replaced.items():
        value = value.replace(f'"{word}"'.encode(), text)
    return _Case(name=name, value=value, ending=ending, answer_to=body["correlation_id"])


def _wrong(name: str, code: str, **data: object) -> _Case:
    return _asking(name, code, body_of(essay_a=f"{_MARKER}.", **data))


def _keyed(name: str, code: str, value: bytes | None) -> _Case:
    """A value that cannot be read, under a key that names who asks."""
    who = str(uuid4())
    return _Case(name=name, value=value, ending=code, key=who.encode(), answer_to=who)


def _conflict(event_id: str, essay: str, ending: str) -> _Case:
    body = body_of(essay_a=essay) | {"event_id": event_id}
    return _asking(f"one event id, {ending}", ending, body)


def _cases() -> list[_Case]:
    deep = b"[" * 900 + b"]" * 900
    nowhere = body_of(essay_a=_MARKER)
    del nowhere["correlation_id"]
    not_utf8 = f'{{"data": "{_MARKER} \xff"}}'.encode("latin-1")
    return [
        _Case(name="not JSON", value=f"{{{_MARKER}".encode(), ending=_LETTER),
        _Case(name="not UTF-8", value=not_utf8, ending=_LETTER),
        _Case(name="null value", value=None, ending=_LETTER),
        _Case(name="null key", value=b"[]", key=None, ending=_LETTER),
        _Case(name="empty value", value=b"", ending=_LETTER),
        _Case(name="missing correlation id", value=orjson.dumps(nowhere), ending=_LETTER),
        _Case(
            name="wrong correlation id",
            value=orjson.dumps(nowhere | {"correlation_id": "x"}),
            ending=_LETTER,
        ),
        _Case(name="no headers", value=b"{}", headers=(), ending=_LETTER),
        _Case(name="endless nesting", value=b"[" * 100_000, ending=_LETTER),
        _keyed("not JSON, keyed", "PARSING_ERROR", f"{{{_MARKER}".encode()),
        _keyed("not UTF-8, keyed", "PARSING_ERROR", not_utf8),
        _keyed("null value, keyed", "PARSING_ERROR", None),
        _keyed("wrong schema, keyed", "VALIDATION_ERROR", b'{"data": []}'),
        _wrong("wrong type", "VALIDATION_ERROR", essay_b=["a", "list"]),
        _wrong("two correlation ids", "VALIDATION_ERROR", correlation_id=str(uuid4())),
        _wrong("half the essays", "VALIDATION_ERROR", essay_b=None),
        _wrong("empty prompt", "LLM_INVALID_PROMPT", user_prompt=" \n"),
        _wrong("3 MB prompt", "LLM_CONTENT_TOO_LONG", user_prompt=_MARKER * 230_000),
        _wrong(
            "unknown provider", "VALIDATION_ERROR", llm_config_overrides={"provider_override": "x"}
        ),
        _wrong(
            "no such provider",
            "CONFIGURATION_ERROR",
            llm_config_overrides={"provider_override": "google"},
        ),
        _wrong("topic not allowed", "LLM_INVALID_CALLBACK_TOPIC", callback_topic="elsewhere"),
        _wrong("topic missing", "LLM_INVALID_CALLBACK_TOPIC", callback_topic=f"huleedu.{uuid4()}"),
        _wrong("year 9999 abroad", "VALIDATION_ERROR", not_after="9999-12-31T23:59:59-14:00"),
        _wrong("past", "TIMEOUT", not_after="2020-01-01T00:00:00Z"),
        _asking("deep nesting", "PARSING_ERROR", body_of(metadata={"a": "HERE"}), HERE=deep),
        _asking("NaN", _LETTER, body_of(metadata={"a": "HERE"}), HERE=b"NaN"),
        _wrong("year 9999", _VERDICT, not_after="9999-12-31T23:59:59Z"),
        _wrong("unknown fields", _VERDICT, a_new_field={"of": "a later version"}),
        _wrong("odd text", _VERDICT, essay_b="\x00\u2028\U0001f600" * 50),
        _wrong("2 MB metadata", _VERDICT, metadata={"big": "x" * 2_000_000}),
    ]


@pytest.fixture
async def installation(kafka: EmbeddedKafka, tmp_path: Path) -> Installation:
    return await Installation(kafka.bootstrap_servers, tmp_path).create()


async def test_every_kind_of_bad_input_gets_what_it_must_and_blocks_nothing(
    installation: Installation,
) -> None:
    event_id = str(uuid4())
    cases = [*_cases(), _conflict(event_id, "first", _VERDICT)]
    async with installation.worker() as worker, installation.producer() as producer:
        for number, case in enumerate(cases):
            await _send(producer, installation.request_topic(), number % _PARTITIONS, case)
        await _endings(installation, cases)

        conflict = _conflict(event_id, "second", "VALIDATION_ERROR")
        await _send(producer, installation.request_topic(), 0, conflict)
        cases.append(conflict)
        letters, results = await _endings(installation, cases)

        good = await _good_on_every_partition(installation, producer)
        topic = installation.topic(TopicName.COMPARISON_RESULT)
        await installation.read(topic, until=lambda records: good <= answered(records))
        await installation.until_committed()
        assert worker.is_running
        assert _MARKER not in worker.log
        assert '"event":"fault"' not in worker.log
        assert await worker.terminate() == 0

    _check_letters(installation, [case for case in cases if case.ending == _LETTER], letters)
    for case in cases:
        if case.answer_to and case.ending != _LETTER:
            [record] = [r for r in results if r.key.decode() == case.answer_to]
            expected = None if case.ending == _VERDICT else case.ending
            assert error_code_of(record.value) == expected, case.name
            assert _MARKER.encode() not in record.value, case.name


async def _send(producer: AIOKafkaProducer, topic: str, partition: int, case: _Case) -> None:
    await producer.send_and_wait(
        topic, case.value, key=case.key, partition=partition, headers=list(case.headers)
    )


async def _endings(
    installation: Installation, cases: list[_Case]
) -> tuple[list[ConsumerRecord], list[ConsumerRecord]]:
    """Wait for as many dead letters and results as there must be."""
    # What was understood and failed is set aside too, beside its answer.
    failed = {"CONFIGURATION_ERROR", "TIMEOUT"}
    wanted = sum(case.ending in {_LETTER, *failed} for case in cases)
    letters = await installation.read(
        installation.topic(TopicName.DEAD_LETTER), until=lambda records: len(records) >= wanted
    )
    ids = {case.answer_to for case in cases if case.ending != _LETTER}
    results = await installation.read(
        installation.topic(TopicName.COMPARISON_RESULT),
        until=lambda records: ids <= answered(records),
    )
    assert len(letters) == wanted
    assert len(results) == len(ids), "each is answered once, and nobody else is"
    return letters, results


def _check_letters(
    installation: Installation, cases: list[_Case], letters: list[ConsumerRecord]
) -> None:
    for case in cases:
        of_case = [
            letter
            for letter in letters
            if letter.value == case.value and letter.key == (case.key or b"")
        ]
        assert len(of_case) == 1, case.name
        headers = tuple(of_case[0].headers)
        assert headers[: len(case.headers)] == case.headers, case.name
        said = dict(headers[len(case.headers) :])
        assert said["dlq.topic"] == installation.request_topic().encode()
        assert said["dlq.reason"]
        assert said["dlq.error_code"] in {b"PARSING_ERROR", b"VALIDATION_ERROR"}
        assert _MARKER.encode() not in b"".join(said.values())
        assert ("dlq.null_key" in said) == (case.key is None), case.name
        assert ("dlq.null_value" in said) == (case.value is None), case.name


async def _good_on_every_partition(
    installation: Installation, producer: AIOKafkaProducer
) -> set[str]:
    sent = set()
    for lane in Lane:
        for partition in range(_PARTITIONS):
            body = body_of()
            sent.add(body["correlation_id"])
            await producer.send_and_wait(
                installation.request_topic(lane), orjson.dumps(body), partition=partition
            )
    return sent


async def test_result_too_large_for_its_topic_says_that_its_metadata_was_dropped(
    installation: Installation,
) -> None:
    case = _wrong("2 MB metadata", _VERDICT, metadata={"big": "x" * 2_000_000})
    async with installation.worker(), installation.producer() as producer:
        await _send(producer, installation.request_topic(), 0, case)
        topic = installation.topic(TopicName.COMPARISON_RESULT)
        [record] = await installation.read(topic, until=bool)
    metadata = data_of(record.value)["request_metadata"]
    assert metadata.keys() == {"prompt_sha256", "metadata_dropped"}
